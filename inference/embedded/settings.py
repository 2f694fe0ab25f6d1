"""Settings of the embedded engine."""

from pydantic import BaseModel, ConfigDict, Field


class EmbeddedSettings(BaseModel):
    """Bounds on what one call may cost and say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vector_cache_entries: int = Field(
        default=20_000, ge=0, description="Embeddings kept in memory, oldest use out first."
    )
    max_embedded_units: int = Field(
        default=36, ge=4, description="Sentences of one call that are embedded, best first."
    )
    max_answer_words: int = Field(default=212, ge=20, description="Words quoted in one answer, all parts together.")
    max_list_words: int = Field(default=200, ge=20, description="Longest list of steps that is kept whole.")
    max_table_rows: int = Field(default=10, ge=1, description="Rows of a result shown as a table.")
    max_parallel_calls: int = Field(default=4, ge=1, description="Tool calls of one reply.")
    max_evidence_chars: int = Field(default=60_000, ge=1000, description="Evidence read in one call; the rest is left.")
    decline_below: float = Field(default=0.5, ge=0, le=1, description="Confidence under which no answer is given.")
    embed_timeout_s: float = Field(default=10, gt=0)
