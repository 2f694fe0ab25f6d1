"""Where do documents come from? One connector per kind of source, all behind `knowledge.contracts.Connector`."""

from knowledge.sources.folder import FolderSource

__all__ = ["FolderSource"]
