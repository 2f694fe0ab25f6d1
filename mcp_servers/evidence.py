"""A result as something that an answer can cite (docs/contracts.md, Evidence)."""

from pydantic import BaseModel, ConfigDict


class Evidence(BaseModel):
    """One row set, ticket or person: a handle to cite it by, where it is from, and what it says."""

    model_config = ConfigDict(frozen=True)

    ref: str
    chunk_id: str
    document: str
    title: str
    heading: str = ""
    page: int | None = None
    start: int | None = None
    end: int | None = None
    uri: str
    text: str
    modified: str | None = None
    score: float = 1.0
