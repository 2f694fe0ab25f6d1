"""Just enough of the protobuf wire format, and of ONNX's messages, to write a model file.

Field numbers are those of `onnx.proto3` (IR version 8). Writing them by hand spares a 20 MB dependency.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Attribute = int | float | Sequence[int]

FLOAT, INT8, INT32, INT64 = 1, 3, 6, 7
_TENSOR_TYPES = {"float32": FLOAT, "int8": INT8, "int32": INT32, "int64": INT64}


def varint(field: int, value: int) -> bytes:
    """A field of wire type 0."""
    return _encode_varint(field << 3) + _encode_varint(value)


def message(field: int, payload: bytes | str) -> bytes:
    """A length-delimited field: a string, bytes or a nested message."""
    data = payload.encode() if isinstance(payload, str) else payload
    return _encode_varint(field << 3 | 2) + _encode_varint(len(data)) + data


def tensor(name: str, array: NDArray[np.generic]) -> bytes:
    """An ONNX `TensorProto` with raw data."""
    contiguous = array if array.flags.c_contiguous else np.ascontiguousarray(array)
    dims = b"".join(varint(1, size) for size in contiguous.shape)
    kind = varint(2, _TENSOR_TYPES[str(contiguous.dtype)])
    return dims + kind + message(8, name) + message(9, contiguous.tobytes())


def node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str, attributes: dict[str, Attribute]
) -> bytes:
    """An ONNX `NodeProto`."""
    parts = [message(1, name) for name in inputs] + [message(2, name) for name in outputs]
    parts.append(message(4, kind))
    parts.extend(message(5, _attribute(name, value)) for name, value in attributes.items())
    if domain:
        parts.append(message(7, domain))
    return b"".join(parts)


def value_info(name: str, kind: int, dims: Sequence[str | int]) -> bytes:
    """An ONNX `ValueInfoProto`; a string names a dimension that is free."""
    shape = b"".join(message(1, message(2, dim) if isinstance(dim, str) else varint(1, dim)) for dim in dims)
    return message(1, name) + message(2, message(1, varint(1, kind) + message(2, shape)))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return message(1, name) + _encode_varint(2 << 3 | 5) + struct.pack("<f", value) + varint(20, 1)
    if isinstance(value, int):
        return message(1, name) + varint(3, value) + varint(20, 2)
    return message(1, name) + b"".join(varint(8, item) for item in value) + varint(20, 7)


def _encode_varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
