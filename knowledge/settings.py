"""Settings of the knowledge layer: how documents come in, and how passages are found."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParseSettings(_Settings):
    """What one untrusted file may cost while it is parsed, and what is refused."""

    workers: int = Field(default=2, ge=1, le=64, description="Parser processes.")
    timeout_s: float = Field(default=60.0, gt=0, description="Wall time of one file; then its worker is killed.")
    cpu_s: int = Field(default=60, ge=1, description="CPU time of one file.")
    memory_bytes: int = Field(default=1_500_000_000, ge=200_000_000, description="Address space of a worker.")
    max_bytes: int = Field(default=100_000_000, gt=0, description="Largest file that is read at all.")
    max_unpacked_bytes: int = Field(default=400_000_000, gt=0, description="Sum of the sizes inside an archive.")
    max_ratio: float = Field(default=200.0, gt=1, description="Unpacked size over packed size of an archive.")
    max_entries: int = Field(default=5_000, gt=0, description="Entries of an archive.")
    max_depth: int = Field(default=3, ge=1, description="Archives and mails inside each other.")
    max_pages: int = Field(default=5_000, gt=0, description="Pages of a PDF, slides of a deck.")
    max_characters: int = Field(default=20_000_000, gt=0, description="Text of one document.")
    macros: Literal["refuse", "ignore"] = Field(default="refuse", description="What to do with files that hold macros.")
    ocr: bool = Field(default=False, description="Read scanned pages with the `tesseract` program, where installed.")
    ocr_languages: str = "eng"
    files_per_worker: int = Field(default=500, ge=1, description="A worker is replaced after so many files.")


class ChunkSettings(_Settings):
    """How documents are cut into passages."""

    max_tokens: int = Field(default=256, ge=32, description="A section above this is split; the embedder truncates here.")


class IngestSettings(_Settings):
    """How sources are read, parsed and cut."""

    parallel: int = Field(default=8, ge=1, le=256, description="Documents in work at once.")
    read_timeout_s: float = Field(default=60.0, gt=0)
    store_timeout_s: float = Field(default=300.0, gt=0, description="Deadline of one write to the record.")
    allow_emptying: bool = Field(default=False, description="Whether an empty source removes all that came from it.")
    near_duplicate_similarity: float = Field(default=0.85, gt=0, le=1, description="Jaccard over word 5-grams.")
    parse: ParseSettings = ParseSettings()
    chunk: ChunkSettings = ChunkSettings()


class KnowledgeSettings(_Settings):
    """Everything that the knowledge layer can be told."""

    ingest: IngestSettings = IngestSettings()
