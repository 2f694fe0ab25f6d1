"""What the assistant's tools return."""

from pydantic import BaseModel, ConfigDict, Field


class Citation(BaseModel):
    """A passage that the answer rests on."""

    model_config = ConfigDict(frozen=True)

    number: int | None = Field(default=None, description="The number that the answer shows: [1].")
    title: str
    document: str
    uri: str
    quote: str


class Answer(BaseModel):
    """An answer with its citations."""

    model_config = ConfigDict(frozen=True)

    text: str
    citations: list[Citation] = Field(default_factory=list)
    conversation_id: str = Field(description="Pass it with the next question to continue.")
    run_id: str
    declined: bool = Field(default=False, description="True where the documents and data do not hold an answer.")
    pending_approvals: list[str] = Field(
        default_factory=list, description="Actions that wait for a person, in words; nothing was done yet."
    )


class Passage(BaseModel):
    """A passage that fits a search."""

    model_config = ConfigDict(frozen=True)

    title: str
    document: str
    uri: str
    heading: str = ""
    text: str
    score: float | None = None


class Passages(BaseModel):
    """What a search found; empty when nothing fits that the caller may see."""

    model_config = ConfigDict(frozen=True)

    passages: list[Passage] = Field(default_factory=list)
