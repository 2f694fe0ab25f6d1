"""Vectors: Chroma inside this process (one writer, locked) or a Chroma server; no call blocks the loop."""

import asyncio
import hashlib
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import httpx
import numpy as np
import structlog
from numpy.typing import NDArray

from knowledge.index.chroma_server import connect, let_go
from knowledge.index.lock import WriterLock
from knowledge.index.probe import healthy
from knowledge.settings import ChromaSettings
from signalbox.errors import SignalboxError, UpstreamDown

T = TypeVar("T")
Floats = NDArray[np.float32]

_log = structlog.get_logger(__name__)
_ADD_BATCH = 2_000  # Chroma's limit is 5,461
_PAGE = 5_000
_MAX_IN = 20_000  # "too many SQL variables" comes at 40,000
_WIDE = 6  # times as many as wanted are asked for without a filter, before the filter is asked for
_REMEMBERED = 1_000
_TOLD = 300  # characters of an error of Chroma's that are passed on


@dataclass(frozen=True)
class DenseRow:
    """One vector as it is added: who may see it is in `aclset`, and checked again in the record."""

    chunk_id: str
    document_id: str
    aclset: int
    vector: Floats


def collection_name(tenant: str, realm: str, embedder: str) -> str:
    """`kb_{tenant}_{realm}_{version}`, within Chroma's alphabet."""
    return f"kb_{_digest(tenant)}_{realm}_{_digest(embedder)}"


class DenseIndex:
    """Collections of unit vectors, searched by cosine among the access sets that the asker may see."""

    def __init__(self, folder: Path, settings: ChromaSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = None if settings.url else WriterLock(folder.with_name(f"{folder.name}.lock"))
        self._open_mark = folder.with_name(f"{folder.name}.open")
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="chroma")
        self._running: set[Future[Any]] = set()
        self._closing = False
        self._client: Any = None
        self._opening = Lock()
        self._collections: dict[str, Any] = {}
        self._narrow = _Remembered()

    @property
    def embedded(self) -> bool:
        """Whether the index lives in this process."""
        return self._lock is not None

    def lock(self) -> None:
        """Claim the folder; raises `UserFault` when another process has it."""
        if self._lock is not None:
            self._lock.acquire()

    async def open(self) -> None:
        """Load Chroma now instead of at the first call."""
        await self._call(lambda: None)

    async def add(self, collection: str, rows: Sequence[DenseRow]) -> None:
        """Add new ids. An id that is there already keeps its vector, which is right: an id means one text."""

        def work() -> None:
            target = self._collection(collection)
            for start in range(0, len(rows), _ADD_BATCH):
                part = rows[start : start + _ADD_BATCH]
                target.add(
                    ids=[row.chunk_id for row in part],
                    embeddings=np.stack([row.vector for row in part]),
                    metadatas=[{"doc": row.document_id, "as": row.aclset} for row in part],
                )

        if rows:
            await self._call(work)

    async def query(
        self, collection: str, vector: Floats, sets: Sequence[int], documents: Sequence[str] | None, limit: int
    ) -> list[tuple[str, float]]:
        """Chunk ids with their cosine, best first. Nothing visible: nothing is asked.

        Chroma's filter costs more the more rows it lets through. Who may see much is answered without it: of the
        nearest of all, those are left out that the asker may not see. Where too few remain, the filter is asked.
        The same holds for a filter that leaves more documents than one question can name.
        """
        if not sets or (documents is not None and not documents):
            return []
        visible, within = frozenset(sets), None if documents is None else frozenset(documents)
        many = within is not None and len(within) > _MAX_IN

        def work() -> list[tuple[str, float]]:
            target = self._collection(collection)
            if many or (within is None and not self._narrow.has(collection, visible)):
                near = _nearest(target, vector, _WIDE * limit)
                seen = [item.pair for item in near if item.aclset in visible and item.within(within)]
                if len(seen) >= limit:
                    return seen[:limit]
                if not many:
                    self._narrow.add(collection, visible)
            found = [pair for where in _filters(sets, documents) for pair in _filtered(target, vector, limit, where)]
            return sorted(found, key=lambda pair: -pair[1])[:limit]

        return await self._call(work)

    async def relabel(self, collection: str, ids: Sequence[str], aclset: int) -> None:
        """Change the access set of rows; vectors stay."""

        def work() -> None:
            target = self._collection(collection)
            for start in range(0, len(ids), _ADD_BATCH):
                part = list(ids[start : start + _ADD_BATCH])
                target.update(ids=part, metadatas=[{"as": aclset}] * len(part))

        if ids:
            await self._call(work)

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Forget rows; unknown ids are fine."""

        def work() -> None:
            target = self._collection(collection)
            for start in range(0, len(ids), _ADD_BATCH):
                target.delete(ids=list(ids[start : start + _ADD_BATCH]))

        if ids:
            await self._call(work)

    async def labels(self, collection: str) -> dict[str, int]:
        """Every id with its access set."""

        def work() -> dict[str, int]:
            target, found = self._collection(collection), dict[str, int]()
            while True:
                page = target.get(limit=_PAGE, offset=len(found), include=["metadatas"])
                found.update((name, int(meta["as"])) for name, meta in zip(page["ids"], page["metadatas"], strict=True))
                if len(page["ids"]) < _PAGE:
                    return found

        return await self._call(work)

    async def nearest(self, collection: str, vectors: Floats) -> list[str]:
        """For each vector the id that the graph finds first: an inserted vector must find itself."""

        def work() -> list[str]:
            found = self._collection(collection).query(
                query_embeddings=list(vectors), n_results=1, include=["distances"]
            )
            return [ids[0] if ids else "" for ids in found["ids"]]

        return await self._call(work) if len(vectors) else []

    async def drop(self, collection: str) -> None:
        """Delete a whole collection; one that is not there is fine."""

        def work() -> None:
            self._collections.pop(collection, None)
            if collection in {item.name for item in self._client.list_collections()}:
                self._client.delete_collection(collection)

        await self._call(work)

    async def close(self) -> None:
        """Flush, close and give the folder back; a server that does not answer is not waited for longer than once."""
        self._closing = True
        limit = self._settings.timeout_s if self._settings.url else None
        left = (await asyncio.to_thread(wait, frozenset(self._running), limit)).not_done
        if left:
            _log.warning("knowledge_index_left_behind", calls=len(left), url=self._settings.url)
        self._pool.shutdown(wait=False)
        client, self._client = self._client, None
        self._collections.clear()
        if client is not None:
            await asyncio.to_thread(let_go, client)
            self._open_mark.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()

    async def _call(self, work: Callable[[], T]) -> T:
        if self._closing:
            raise UpstreamDown(f"{self._place} is closed.")
        call = self._pool.submit(self._run, work)
        self._running.add(call)
        call.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(self._settings.timeout_s if self._settings.url else None):
                return await asyncio.wrap_future(call)
        except TimeoutError as error:
            raise UpstreamDown(f"{self._place} did not answer in time.") from error
        except httpx.TransportError as error:  # Chroma's client speaks httpx
            raise UpstreamDown(f"{self._place} does not answer: {error!r}.") from error

    def _run(self, work: Callable[[], T]) -> T:
        """The root of a call in its thread: whatever Chroma fails of, neither document nor caller is at fault.

        Its client raises a bare `Exception` for a reply that it does not know, so nothing narrower will do.
        """
        try:
            with self._opening:
                if self._closing:
                    raise UpstreamDown(f"{self._place} is being closed.")
                if self._client is None:
                    self._client = self._connect()
            return self._asked_anew(work)
        except (SignalboxError, httpx.TransportError):
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}"[:_TOLD]
            raise UpstreamDown(f"{self._place} failed: {told}", hint="Its log says why.") from error

    def _asked_anew(self, work: Callable[[], T]) -> T:
        """A collection that was deleted and made elsewhere has its name under another id: it is asked for once more."""
        from chromadb.errors import NotFoundError

        try:
            return work()
        except NotFoundError:
            self._collections.clear()
            return work()

    @property
    def _place(self) -> str:
        return f"Chroma at {self._settings.url!r}" if self._settings.url else "Chroma in this process"

    def _examine(self) -> None:
        """After an unclean end: set the folder aside when it cannot be read. The record has all that was in it."""
        if not (self._open_mark.exists() and self._folder.exists()) or healthy(self._folder):
            return
        aside = self._folder.with_name(f"{self._folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._folder.rename(aside)
        _log.error("knowledge_index_damaged", set_aside=str(aside))

    def _collection(self, name: str) -> Any:
        found = self._collections.get(name)
        if found is None:
            graph = {
                "space": "cosine",
                "ef_search": self._settings.ef_search,
                "ef_construction": self._settings.ef_construction,
                "max_neighbors": self._settings.max_neighbors,
            }
            found = self._client.get_or_create_collection(name, configuration={"hnsw": graph}, embedding_function=None)
            self._collections[name] = found
        return found

    def _connect(self) -> Any:
        import chromadb
        from chromadb.config import Settings

        if not self._settings.url:
            self._examine()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open_mark.touch()
            return chromadb.PersistentClient(str(self._folder), settings=Settings(anonymized_telemetry=False))
        return connect(self._settings)


class _Remembered:
    """Access sets that see too little for an answer without a filter; the latest so many."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, frozenset[int]], None] = OrderedDict()
        self._turn = Lock()

    def has(self, collection: str, sets: frozenset[int]) -> bool:
        with self._turn:
            return (collection, sets) in self._known

    def add(self, collection: str, sets: frozenset[int]) -> None:
        with self._turn:
            self._known[collection, sets] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


@dataclass(frozen=True)
class _Near:
    """A row as it was found without a filter."""

    pair: tuple[str, float]
    aclset: int
    document: str

    def within(self, documents: frozenset[str] | None) -> bool:
        return documents is None or self.document in documents


def _nearest(target: Any, vector: Floats, limit: int) -> list[_Near]:
    """The nearest of all, with what a filter would have looked at."""
    found = target.query(query_embeddings=[vector], n_results=limit, include=["distances", "metadatas"])
    rows = zip(found["ids"][0], found["distances"][0], found["metadatas"][0], strict=True)
    return [_Near((name, 1.0 - float(far)), int(meta["as"]), str(meta["doc"])) for name, far, meta in rows]


def _filters(sets: Sequence[int], documents: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """What Chroma is asked with: more documents than one filter can name are asked for in parts."""
    visible = {"as": {"$in": list(sets)}}
    if documents is None:
        yield visible
        return
    for start in range(0, len(documents), _MAX_IN):
        yield {"$and": [visible, {"doc": {"$in": list(documents[start : start + _MAX_IN])}}]}


def _filtered(target: Any, vector: Floats, limit: int, where: dict[str, Any]) -> list[tuple[str, float]]:
    found = target.query(query_embeddings=[vector], n_results=limit, where=where, include=["distances"])
    return [(name, 1.0 - float(far)) for name, far in zip(found["ids"][0], found["distances"][0], strict=True)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
