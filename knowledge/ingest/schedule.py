"""When each source is read again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from knowledge.ingest.contracts import IngestReport
from knowledge.ingest.pipeline import IngestPipeline
from knowledge.sources.opening import open_source
from knowledge.sources.settings import AnySource
from signalbox.errors import SignalboxError

_log = structlog.get_logger(__name__)
_RETRY_S = 60.0

OnReport = Callable[[IngestReport], Awaitable[None]]


class IngestSchedule:
    """Runs each source at its own interval, never twice at once; a source that fails is tried again later."""

    def __init__(
        self, pipeline: IngestPipeline, sources: Sequence[AnySource], *, on_report: OnReport | None = None
    ) -> None:
        self._pipeline = pipeline
        self._sources = tuple(sources)
        self._on_report = on_report
        self._locks = {source.name: asyncio.Lock() for source in sources}

    async def run_once(self, source: AnySource, *, dry_run: bool = False, tenant: str = "default") -> IngestReport:
        """One run over one source, after the one that is under way if there is one."""
        async with self._locks.setdefault(source.name, asyncio.Lock()), open_source(source) as connector:
            report = await self._pipeline.run(connector, dry_run=dry_run, tenant=tenant)
        if self._on_report is not None:
            await self._on_report(report)
        return report

    async def run_forever(self) -> None:
        """Serve all sources that have an interval, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                if source.every_s > 0:
                    group.create_task(self._serve(source))

    async def _serve(self, source: AnySource) -> None:
        while True:
            try:
                await self.run_once(source)
                pause = source.every_s
            except SignalboxError as error:
                _log.warning("ingest_failed", source=source.name, code=error.code, reason=error.message)
                pause = min(source.every_s, _RETRY_S)
            except Exception:  # noqa: BLE001  (a task root: the other sources go on)
                _log.exception("ingest_broke", source=source.name)
                pause = max(source.every_s, _RETRY_S)
            await asyncio.sleep(pause)
