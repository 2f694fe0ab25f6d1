"""The judge on onnxruntime: a question and a passage in one text, read together."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from knowledge.embed._convert import converted, sha256_of
from knowledge.embed._weights import read_safetensors
from knowledge.embed.model import SOURCE_SHA256, package_folder, trusted
from knowledge.embed.passages import PassageText
from signalbox.errors import BudgetSpent

MODEL_NAME = "minilm-l6-judge-int8-2"  # the last part is the builder's version
_ADAPTER = Path(__file__).with_name("adapter.safetensors")
QUESTION_TOKENS, HEADING_TOKENS, MAX_TOKENS = 48, 40, 256
"""What it reads at most, as it was trained: of the question, of title and heading, and in all."""


class PassageJudge(Protocol):
    """Reads passages for a question."""

    @property
    def languages(self) -> frozenset[str]:
        """Those that it can read."""
        ...

    async def judge(self, question: str, passages: Sequence[PassageText]) -> list[float]:
        """For each passage the log-odds that it answers the question; never blocks the loop."""
        ...

    async def close(self) -> None:
        """Give back threads."""
        ...


class CrossEncoder:
    """Judges English passages, about 10 ms of processor time each, in threads of its own; remembers the last ones."""

    def __init__(self, folder: Path, *, threads: int = 2, remembered: int = 2_000, queue_texts: int = 500) -> None:
        self._folder = folder
        self._remembered = remembered
        self._room = queue_texts
        self._known: OrderedDict[str, float] = OrderedDict()
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="judge")
        self._waiting = 0
        self._runtime: _Runtime | None = None
        self._loading = Lock()

    @property
    def languages(self) -> frozenset[str]:
        """English: what it was trained on."""
        return frozenset({"en"})

    async def judge(self, question: str, passages: Sequence[PassageText]) -> list[float]:
        """For each passage the log-odds that it answers. Raises `BudgetSpent` when too many wait."""
        keys = [_key(question, passage) for passage in passages]
        known = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: passage for key, passage in zip(keys, passages, strict=True) if key not in known}
        known |= await self._read(question, missing)
        for key in dict.fromkeys(keys):
            self._known[key] = known[key]
            self._known.move_to_end(key)
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return [known[key] for key in keys]

    async def close(self) -> None:
        """Stop the workers; what they read is finished first."""
        await asyncio.to_thread(self._workers.shutdown, cancel_futures=True)

    async def _read(self, question: str, missing: dict[str, PassageText]) -> dict[str, float]:
        if self._waiting and self._waiting + len(missing) > self._room:
            raise BudgetSpent(f"The judge's queue is full ({self._waiting} passages wait).", retry_after_s=5)
        loop = asyncio.get_running_loop()
        self._waiting += len(missing)
        try:
            # One a call, so that what a cancelled caller no longer needs is not begun.
            work = (
                loop.run_in_executor(self._workers, partial(self._judge, question, passage))
                for passage in missing.values()
            )
            judged = dict(zip(missing, await asyncio.gather(*work), strict=True))
        finally:
            self._waiting -= len(missing)
        return judged

    def _judge(self, question: str, passage: PassageText) -> float:
        with self._loading:
            if self._runtime is None:
                self._runtime = _Runtime(self._folder)
        return self._runtime.judge(question, passage)


class _Runtime:
    """Tokeniser and session."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        source = package_folder()
        self._tokenizer: Any = Tokenizer.from_file(str(source / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._start, self._stop = (self._tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # passages are read side by side
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn a core
        model = _ensure_judge(folder, source)
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def judge(self, question: str, passage: PassageText) -> float:
        """The log-odds; one passage at a time, for a batch shares the scale of int8 and results would depend on it."""
        ids = np.array([self._pair(self._ids(question)[:QUESTION_TOKENS], passage)], np.int64)
        return float(self._session.run(["answers"], {"input_ids": ids})[0][0])

    def _pair(self, asked: list[int], passage: PassageText) -> list[int]:
        """[CLS] question [SEP] title. heading. body [SEP], the body cut where the model's reach ends."""
        named = "".join(f"{part}. " for part in (passage.title, passage.heading) if part)
        ahead = [self._start, *asked, self._stop, *self._ids(named)[:HEADING_TOKENS]]
        return [*ahead, *self._ids(passage.body)[: MAX_TOKENS - len(ahead) - 1], self._stop]

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def _ensure_judge(folder: Path, source: Path) -> Path:
    """The converted model in `folder`, built there when it is missing, damaged or of other weights."""

    def build() -> bytes:
        from knowledge.embed._graph import build_cross_encoder
        from knowledge.judge._adapter import merged

        weights = merged(read_safetensors(trusted(source) / "model.safetensors"), read_safetensors(_ADAPTER))
        return build_cross_encoder(source, weights)

    return converted(folder / f"{MODEL_NAME}.onnx", f"{SOURCE_SHA256}+{sha256_of(_ADAPTER)}", build)


def _key(question: str, passage: PassageText) -> str:
    return sha256("\x1f".join((question, passage.title, passage.heading, passage.body)).encode()).hexdigest()
