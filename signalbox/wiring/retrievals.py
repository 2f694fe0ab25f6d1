"""The record of retrievals, read beside a system that may be running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url

from knowledge.retrieve.audit import RetrievalAudit
from knowledge.service import record_url
from knowledge.store.database import Database
from signalbox.database import open_engine
from signalbox.settings import Settings


@asynccontextmanager
async def open_retrievals(settings: Settings) -> AsyncIterator[RetrievalAudit | None]:
    """The audit of the knowledge layer; none where nothing was ever stored."""
    retrieval = settings.knowledge.retrieval
    url = make_url(record_url(retrieval, settings.data_dir))
    folder = settings.data_dir / "knowledge"
    if url.get_backend_name() == "sqlite" and not (folder / "record.db").exists():
        yield None
        return
    database = Database(open_engine(url.render_as_string(hide_password=False)))
    try:
        audit = RetrievalAudit(database, keep_days=retrieval.audit_days)
        await audit.create()
        yield audit
    finally:
        await database.close()
