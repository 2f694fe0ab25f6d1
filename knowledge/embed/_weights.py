"""Reading safetensors and quantising weights to int8, with numpy alone."""

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Int8s = NDArray[np.int8]

_DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}


def read_safetensors(path: Path) -> dict[str, Floats]:
    """Every tensor of a safetensors file, mapped from disk."""
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    size = struct.unpack("<Q", raw[:8].tobytes())[0]
    header = json.loads(raw[8 : 8 + size].tobytes())
    tensors: dict[str, Floats] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = raw[start:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def quantise(weights: Floats, axis: int) -> tuple[Int8s, Floats]:
    """Symmetric int8 values and the scale of each slice along `axis`; the scale keeps that axis with size 1."""
    peak = np.abs(weights).max(axis=axis, keepdims=True)
    scale = (np.maximum(peak, 1e-12) / 127.0).astype(np.float32)
    values = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    return values, scale
