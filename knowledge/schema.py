"""Tables of the record. Everything else (Chroma, the lexical index) can be made again from these."""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

aclset = Table(
    "knowledge_aclset",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("tenant", "digest"),
)

aclset_member = Table(
    "knowledge_aclset_member",
    metadata,
    Column("aclset", ForeignKey("knowledge_aclset.id"), primary_key=True),
    Column("effect", String(5), primary_key=True),  # allow | deny
    Column("subject", Text, primary_key=True),
    Index("knowledge_aclset_member_subject", "subject", "effect"),
)

document = Table(
    "knowledge_document",
    metadata,
    Column("document_id", String(32), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("aclset", ForeignKey("knowledge_aclset.id"), nullable=False),
    Column("state", String(8), nullable=False),  # pending | indexed
    Column("media_type", String(200), nullable=False),
    Column("modified", String(40)),  # ISO 8601 in UTC, so that text order is time order
    Column("record", JSON, nullable=False),  # the StoredDocument without its access rule
    Column("updated_at", Float, nullable=False),
    Index("knowledge_document_source", "source"),
    Index("knowledge_document_aclset", "aclset"),
)

document_text = Table(
    "knowledge_document_text",
    metadata,
    Column("document_id", ForeignKey("knowledge_document.document_id", ondelete="CASCADE"), primary_key=True),
    Column("text", Text, nullable=False),
)

facet = Table(
    "knowledge_facet",
    metadata,
    Column("document_id", ForeignKey("knowledge_document.document_id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),  # tag | author
    Column("value", String(300), primary_key=True),
    Index("knowledge_facet_value", "kind", "value"),
)

chunk = Table(
    "knowledge_chunk",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # row number of the lexical index
    Column("chunk_id", String(32), nullable=False, unique=True),
    Column("document_id", ForeignKey("knowledge_document.document_id", ondelete="CASCADE"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("heading", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("input_sha", String(64), nullable=False),  # key of the embedding cache
    Column("dense", Integer, nullable=False),  # 1: belongs in the dense index
    Column("state", String(8), nullable=False),  # pending | live
    Column("record", JSON, nullable=False),  # the Chunk without its text
    Index("knowledge_chunk_document", "document_id", "ordinal"),
    Index("knowledge_chunk_input", "input_sha"),
)

embedding = Table(
    "knowledge_embedding",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("input_sha", String(64), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32
    Column("sentences", LargeBinary, nullable=False),  # int8, one row of `dimensions` for each sentence
)

quarantine = Table(
    "knowledge_quarantine",
    metadata,
    Column("source", Text, primary_key=True),
    Column("uri", String(2000), primary_key=True),
    Column("document", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # the verdict; empty where the next run is to try again
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)

ingest_job = Table(
    "knowledge_ingest_job",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("finished_at", Float, nullable=False),
    Column("report", JSON, nullable=False),
    Index("knowledge_ingest_job_source", "source"),
)

index_alias = Table(
    "knowledge_index_alias",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("current", String(200), nullable=False),
    Column("embedder", String(200), nullable=False),
    Column("previous", String(200)),
    Column("previous_embedder", String(200)),
    Column("building", String(200)),
    Column("building_embedder", String(200)),
    Column("switched_at", Float, nullable=False),
)

retrieval_audit = Table(
    "knowledge_retrieval_audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("run_id", String(60), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("query_sha256", String(64), nullable=False),
    Column("subjects_sha256", String(64), nullable=False),
    Column("index_version", String(200), nullable=False),
    Column("candidates", JSON, nullable=False),
    Column("returned", JSON, nullable=False),
    Column("denied", JSON, nullable=False),
    Column("answerable", Float, nullable=False),
    Column("duration_ms", Float, nullable=False),
    # Records of before the chain have no hash.
    Column("event", String(20), nullable=False, server_default="retrieval"),  # retrieval | pruned
    Column("prev", String(64), nullable=False, server_default=""),
    Column("hash", String(64), nullable=False, server_default=""),
    Index("knowledge_retrieval_audit_run", "run_id"),
    Index("knowledge_retrieval_audit_at", "at"),
)
