"""Where are documents kept? `KnowledgeStore` is the record; its tables are the truth behind every index."""

from knowledge.store.record import Indexes, KnowledgeStore

__all__ = ["Indexes", "KnowledgeStore"]
