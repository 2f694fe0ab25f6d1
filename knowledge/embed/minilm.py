"""MiniLM on onnxruntime: sentences to vectors on the processor, without torch and without any model hub."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from knowledge.embed._weights import Floats
from knowledge.embed.model import DIMENSIONS, MODEL_NAME, ensure_model
from knowledge.embed.passages import PassageText, PassageVectors, pack
from signalbox.errors import BudgetSpent

_INTERACTIVE_TEXTS = 4
T = TypeVar("T")
Made = TypeVar("Made")


class MiniLMEmbedder:
    """English sentence vectors. A few texts (a query) never wait behind a bulk load: they have their own thread."""

    def __init__(
        self, folder: Path, *, threads: int = 2, batch_texts: int = 16, max_tokens: int = 256, queue_texts: int = 20_000
    ) -> None:
        self._folder = folder
        self._threads = threads
        self._batch = batch_texts
        self._max_tokens = max_tokens
        self._room = queue_texts
        self._waiting = 0
        self._bulk = ThreadPoolExecutor(threads, thread_name_prefix="embed-bulk")
        self._quick = ThreadPoolExecutor(1, thread_name_prefix="embed-query")
        self._runtime: _Runtime | None = None
        self._loading = Lock()

    @property
    def name(self) -> str:
        """Model, precision, builder version and truncation."""
        return f"{MODEL_NAME}-{self._max_tokens}"

    @property
    def dimensions(self) -> int:
        """384."""
        return DIMENSIONS

    @property
    def languages(self) -> frozenset[str]:
        """Languages whose texts this model places well; others are better served by lexical search alone."""
        return frozenset({"en"})

    async def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, one row a text. Raises `BudgetSpent` when more texts wait than the queue holds."""
        if not texts:
            return np.empty((0, DIMENSIONS), np.float32)
        if self._waiting + len(texts) > self._room and self._waiting:
            raise BudgetSpent(f"The embedder's queue is full ({self._waiting} texts wait).", retry_after_s=5)
        self._waiting += len(texts)
        try:
            return await self._embed(list(texts))
        finally:
            self._waiting -= len(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Vectors of passages and their sentences from one pass: a sentence is the mean of its tokens, in context."""
        order = sorted(range(len(passages)), key=lambda index: -len(passages[index].whole))
        self._waiting += len(passages)
        try:
            longest_first = [passages[index] for index in order]
            batches = await self._side_by_side(self._encode_passages, longest_first, self._batch)
        finally:
            self._waiting -= len(passages)
        made = dict(zip(order, (each for batch in batches for each in batch), strict=True))
        return [made[index] for index in range(len(passages))]

    async def known(self, words: Sequence[str]) -> set[str]:
        """Words that are a token of their own: the 20,000 or so most frequent ones of English."""
        return await asyncio.get_running_loop().run_in_executor(self._quick, self._known, list(words))

    async def close(self) -> None:
        """Stop the worker threads; a batch that runs is finished first."""
        for pool in (self._bulk, self._quick):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def _embed(self, texts: list[str]) -> Floats:
        if len(texts) <= _INTERACTIVE_TEXTS:
            return await asyncio.get_running_loop().run_in_executor(self._quick, self._encode, texts)
        return np.concatenate(await self._side_by_side(self._encode, texts, _INTERACTIVE_TEXTS))

    async def _side_by_side(self, work: Callable[[list[T]], Made], items: list[T], size: int) -> list[Made]:
        """A few items a call, a call a thread: a cancelled caller stops soon, and others come in between."""
        loop = asyncio.get_running_loop()
        parts = iter([(start, items[start : start + size]) for start in range(0, len(items), size)])
        made: dict[int, Made] = {}

        async def lane() -> None:
            for start, part in parts:
                made[start] = await loop.run_in_executor(self._bulk, work, part)

        await asyncio.gather(*(lane() for _ in range(self._threads)))
        return [made[start] for start in sorted(made)]

    def _encode(self, texts: list[str]) -> Floats:
        return self._loaded().encode(texts)

    def _encode_passages(self, passages: list[PassageText]) -> list[PassageVectors]:
        return self._loaded().encode_passages(passages)

    def _known(self, words: list[str]) -> set[str]:
        return self._loaded().known(words)

    def _loaded(self) -> "_Runtime":
        with self._loading:
            if self._runtime is None:
                self._runtime = _Runtime(self._folder, self._max_tokens)
            return self._runtime


class _Runtime:
    """Tokeniser and session; both may be used from several threads."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        model = ensure_model(folder)
        self._tokenizer: Any = Tokenizer.from_file(str(model.tokenizer))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # calls go side by side; one that is split waits for its halves
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn a core
        self._session: Any = onnxruntime.InferenceSession(str(model.onnx), options, providers=["CPUExecutionProvider"])

    def encode(self, texts: list[str]) -> Floats:
        """Unit vectors. One by one: a batch shares a scale of int8, so a vector would depend on its neighbours."""
        encodings = [self._tokenizer.encode(text) for text in texts]
        return np.concatenate([self._session.run(["embedding"], _inputs([encoding]))[0] for encoding in encodings])

    def known(self, words: list[str]) -> set[str]:
        """Those that the tokeniser does not cut."""
        return {word for word in words if self._tokenizer.token_to_id(word) is not None}

    def encode_passages(self, passages: list[PassageText]) -> list[PassageVectors]:
        """Unit vectors of the whole, and packed ones of the sentences."""
        encodings = [self._tokenizer.encode(passage.whole) for passage in passages]
        wholes, tokens = self._session.run(["embedding", "tokens"], _inputs(encodings))
        rows = zip(passages, encodings, wholes, tokens, strict=True)
        return [
            PassageVectors(whole, pack(_sentences(passage, encoding.offsets, rows_of)))
            for passage, encoding, whole, rows_of in rows
        ]


def _sentences(passage: PassageText, offsets: list[tuple[int, int]], tokens: Floats) -> Floats:
    """Unit vectors of the sentences. One beyond the model's reach counts as the passage's mean."""
    ahead = len(passage.whole) - len(passage.body)
    starts, ends = np.array(offsets, np.int64).T
    vectors = np.empty((len(passage.spans), tokens.shape[1]), np.float32)
    for row, (start, end) in enumerate(passage.spans):
        inside = np.flatnonzero((ends > starts) & (starts < end + ahead) & (ends > start + ahead))
        vectors[row] = tokens[inside if len(inside) else slice(0, len(offsets))].mean(axis=0)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _inputs(encodings: list[Any]) -> dict[str, NDArray[np.int64]]:
    width = max(len(encoding.ids) for encoding in encodings)
    ids = np.zeros((len(encodings), width), np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask}
