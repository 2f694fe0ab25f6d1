"""The running count of one run, from which progress and the report are made."""

import time
from dataclasses import dataclass, field

from knowledge.ingest.contracts import IngestProgress, IngestReport, NearDuplicate, OnProgress, Quarantined


@dataclass(slots=True)
class Tally:
    """Counts what happens to each file and tells whoever watches."""

    source: str
    total: int
    dry_run: bool
    on_progress: OnProgress | None = None
    taken: int = 0
    changed: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    done: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    near_duplicates: list[NearDuplicate] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)

    def finished(self, document: str) -> None:
        """One more file is done."""
        self.done += 1
        self.tell(document)

    def tell(self, current: str) -> None:
        """Pass on where the run stands."""
        if self.on_progress is not None:
            self.on_progress(
                IngestProgress(
                    total=self.total,
                    done=self.done,
                    taken=self.taken + self.changed,
                    skipped=self.unchanged + self.moved,
                    quarantined=len(self.quarantined),
                    chunks=self.chunks,
                    current=current,
                )
            )

    def report(self) -> IngestReport:
        """The result so far, in an order that does not depend on what finished first."""
        return IngestReport(
            source=self.source,
            dry_run=self.dry_run,
            taken=self.taken,
            changed=self.changed,
            moved=self.moved,
            unchanged=self.unchanged,
            removed=self.removed,
            quarantined=tuple(sorted(self.quarantined, key=lambda entry: entry.document)),
            warnings=tuple(sorted(self.warnings)),
            near_duplicates=tuple(sorted(self.near_duplicates, key=lambda pair: (pair.document, pair.of))),
            chunks=self.chunks,
            seconds=round(time.monotonic() - self._started, 3),
        )
