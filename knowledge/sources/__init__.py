"""Where do documents come from? One connector per kind of source, all behind `knowledge.contracts.Connector`.

`FolderSource` and `UploadSource` are built directly; `opening.open_source` makes any connector from its settings.
"""

from knowledge.sources.folder import FolderSource
from knowledge.sources.upload import UploadSource

__all__ = ["FolderSource", "UploadSource"]
