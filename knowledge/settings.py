"""Settings of the knowledge layer: how documents come in, and how passages are found."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from knowledge.sources.settings import AnySource


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParseSettings(_Settings):
    """What one untrusted file may cost while it is parsed, and what is refused."""

    workers: int = Field(default=2, ge=1, le=64, description="Parser processes.")
    timeout_s: float = Field(
        default=120.0,
        gt=0,
        description="Wall time of one file; then its worker is killed. Above cpu_s: a busy machine is no file's fault.",
    )
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

    max_tokens: int = Field(
        default=256, ge=32, description="A section above this is split; the embedder truncates here."
    )


class IngestSettings(_Settings):
    """Which sources there are, and how they are read, parsed and cut."""

    sources: tuple[AnySource, ...] = ()

    parallel: int = Field(default=8, ge=1, le=256, description="Documents in work at once.")
    region: str = Field(default="", description="Where this store is; documents tagged for another region stay out.")
    read_timeout_s: float = Field(default=60.0, gt=0)
    store_timeout_s: float = Field(
        default=300.0, gt=0, description="A run ends when the record and the embedder get no step further for so long."
    )
    allow_emptying: bool = Field(default=False, description="Whether an empty source removes all that came from it.")
    near_duplicate_similarity: float = Field(default=0.85, gt=0, le=1, description="Jaccard over word 5-grams.")
    parse: ParseSettings = ParseSettings()
    chunk: ChunkSettings = ChunkSettings()


class EmbeddingSettings(_Settings):
    """What turns texts into vectors: the model on this machine, or a server that speaks `/v1/embeddings`."""

    engine: Literal["minilm", "openai"] = "minilm"
    threads: int = Field(default=2, ge=1, le=64)
    batch_texts: int = Field(default=16, ge=1, le=1024)
    max_tokens: int = Field(default=256, ge=32, le=512, description="A text is cut here (minilm).")
    base_url: str = Field(default="", description="Of the server, ending in /v1 (openai).")
    model: str = Field(default="", description="Name of the model on the server (openai).")
    api_key: SecretStr | None = None
    dimensions: int = Field(default=1024, ge=8, description="Width of the server's vectors (openai).")
    timeout_s: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.engine == "openai" and not (self.base_url and self.model):
            raise ValueError("embedding.engine 'openai' needs base_url and model")
        return self


class RerankSettings(_Settings):
    """How the best candidates are ordered anew: by what they and their documents hold, by a judge, by a server."""

    documents: int = Field(default=20, ge=0, le=200, description="Documents looked at closely; 0 switches it off.")
    judged: int = Field(
        default=20,
        ge=0,
        le=50,
        description="The best of them, which the local judge reads with the question until one answers; 0: none.",
    )
    enough: float = Field(
        default=-1.0,
        description="The judge's log-odds at which a passage answers and it reads no further; 99: it reads on.",
    )
    url: str = Field(default="", description="Full address of a rerank endpoint; empty: there is none.")
    passages: int = Field(default=30, ge=1, le=200, description="The best of them, which the endpoint judges.")
    model: str = ""
    api_key: SecretStr | None = None
    timeout_s: float = Field(default=5.0, gt=0, description="After this the order by evidence stands.")


class ChromaSettings(_Settings):
    """Where the dense index lives: in this process by default, or in a Chroma server."""

    url: str = Field(default="", description="Of a `chroma run` server, https for TLS; empty: inside this process.")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Sent to the server (a proxy's token).")
    ca_file: Path | None = Field(default=None, description="Certificates that the server's must be signed by; PEM.")
    ef_search: int = Field(default=200, ge=10, le=5_000, description="Width of the graph search; 400 above 50k chunks.")
    ef_construction: int = Field(default=200, ge=10, le=5_000)
    max_neighbors: int = Field(default=16, ge=4, le=128)
    timeout_s: float = Field(default=20.0, gt=0)


class RetrievalSettings(_Settings):
    """How passages are stored, found and checked."""

    database_url: SecretStr | None = Field(
        default=None,
        description="The record in PostgreSQL, postgresql://user:password@host/name; else SQLite.",
    )
    region: str = Field(
        default="", pattern=r"^[a-z0-9-]{0,24}$", description="Where this store is; documents of another are refused."
    )
    words: Literal["auto", "fts5", "tantivy"] = Field(
        default="auto", description="What indexes words beside SQLite; auto: tantivy above so many passages."
    )
    words_above: int = Field(default=50_000, ge=1, description="Passages above which tantivy takes over.")
    embedding: EmbeddingSettings = EmbeddingSettings()
    chroma: ChromaSettings = ChromaSettings()
    rerank: RerankSettings = RerankSettings()
    candidates: int = Field(default=100, ge=10, le=1_000, description="From each index.")
    dense_weight: float = Field(default=0.65, ge=0, le=1, description="At first look; the rest is the lexical index's.")
    per_document: int = Field(default=4, ge=1, le=100, description="Passages of one document before others get a turn.")
    answerable_odds: float = Field(
        default=-2.1, description="Log-odds of the judge at which `answerable` is 0.5; see docs/knowledge.md."
    )
    answerable_fit: float = Field(
        default=0.58, gt=0, lt=2, description="The same where nothing was judged: how well the best passage fits."
    )
    group_parents: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Nested groups: members of the key are members of these as well."
    )
    audit_days: int = Field(default=90, ge=1, description="How long the record of retrievals is kept.")
    upkeep_every_s: float = Field(
        default=21_600.0,
        gt=0,
        description="How often, after the start, indexes are checked and mended and old audit records are dropped.",
    )
    self_queries: int = Field(default=50, ge=0, description="Vectors that the integrity job asks back, per index.")


class KnowledgeSettings(_Settings):
    """Everything that the knowledge layer can be told."""

    ingest: IngestSettings = IngestSettings()
    retrieval: RetrievalSettings = RetrievalSettings()

    @model_validator(mode="after")
    def _one_region(self) -> Self:
        if self.ingest.region != self.retrieval.region:
            raise ValueError("knowledge.ingest.region and knowledge.retrieval.region must be the same")
        return self
