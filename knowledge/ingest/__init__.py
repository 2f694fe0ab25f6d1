"""How does a source become passages in the record? The pipeline, its progress and its report."""

from knowledge.ingest.contracts import (
    IngestProgress,
    IngestReport,
    KnownDocument,
    NearDuplicate,
    OnProgress,
    Quarantined,
    Record,
    Surroundings,
)
from knowledge.ingest.pipeline import IngestPipeline

__all__ = [
    "IngestPipeline",
    "IngestProgress",
    "IngestReport",
    "KnownDocument",
    "NearDuplicate",
    "OnProgress",
    "Quarantined",
    "Record",
    "Surroundings",
]
