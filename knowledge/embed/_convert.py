"""Models that are converted once, kept on disk, and checked by hash at every start."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path


def converted(target: Path, source_sha256: str, build: Callable[[], bytes]) -> Path:
    """`target`, built when it is missing, damaged or of another source; its receipt stands beside it."""
    if not _intact(target, source_sha256):
        model = build()
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, model)
        receipt = {"source_sha256": source_sha256, "onnx_sha256": hashlib.sha256(model).hexdigest()}
        _write(_receipt(target), json.dumps(receipt).encode())
    return target


def sha256_of(path: Path) -> str:
    """Of the whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _intact(target: Path, source_sha256: str) -> bool:
    try:
        receipt = json.loads(_receipt(target).read_text())
        return receipt["source_sha256"] == source_sha256 and receipt["onnx_sha256"] == sha256_of(target)
    except (OSError, ValueError, KeyError):
        return False


def _receipt(target: Path) -> Path:
    return target.with_suffix(".json")


def _write(path: Path, data: bytes) -> None:
    # A rename is atomic: another process sees the whole file or none.
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
