"""Loads the demo workspace into an empty data folder; a second start finds it there and does nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import demo
from signalbox.settings import Settings
from signalbox.wiring.paths import Paths

if TYPE_CHECKING:
    from knowledge.ingest import IngestReport, OnProgress


class DemoWorkspace:
    """The demo in one data folder; markers beside the data tell how far loading it came."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = Paths(settings.data_dir)
        self._loading = settings.data_dir / "demo.loading"
        self._loaded = settings.data_dir / "demo.loaded"

    @property
    def is_missing(self) -> bool:
        """Whether it must be loaded: it is enabled, and nobody took in documents of their own before it."""
        if not self._settings.demo.enabled or self._loaded.exists():
            return False
        return self._loading.exists() or not (self._settings.data_dir / "knowledge").exists()

    @property
    def needs_operations(self) -> bool:
        """Whether the operations database must be written."""
        wanted = self._settings.demo.enabled and self._settings.operations.url is None
        return wanted and not self._paths.operations.exists()

    def write_operations(self) -> None:
        """Two years of operations, written beside and moved into place, so that it is whole or not there."""
        from demo.database import build_operations

        self._paths.data_dir.mkdir(parents=True, exist_ok=True)
        unfinished = self._paths.operations.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        build_operations(unfinished, today=self._settings.demo.today)
        unfinished.replace(self._paths.operations)

    @property
    def needs_desk(self) -> bool:
        """Whether the desk must get its people and tickets."""
        return self._settings.demo.enabled and self._settings.desk.url is None and not self._paths.desk.exists()

    def write_desk(self) -> None:
        """The directory and some sixty tickets, written beside and moved into place."""
        from demo.desk import build_desk

        unfinished = self._paths.desk.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        build_desk(unfinished)
        unfinished.replace(self._paths.desk)

    async def read_documents(self, on_progress: "OnProgress") -> "IngestReport":
        """Take the documents in; interrupted, the next start goes on where this one stopped."""
        from signalbox.wiring.ingesting import Ingest, ingest_folder  # only the first start needs all that

        self._loading.parent.mkdir(parents=True, exist_ok=True)
        self._loading.touch()
        folder = Path(demo.__file__).parent / "documents"
        ingest = Ingest(folder, access=("group:staff",), name="demo")
        report = await ingest_folder(self._settings, ingest, on_progress=on_progress)
        self._loaded.touch()
        self._loading.unlink()
        return report
