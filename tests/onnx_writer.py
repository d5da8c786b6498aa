"""Writes small ONNX models without the `onnx` package: as much of its protobuf as the tests' networks need.

Source: github.com/onnx/onnx, onnx/onnx.proto; field numbers are beside what they number.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLOAT, INT32, INT64 = 1, 6, 7
TYPES = {"float32": FLOAT, "int32": INT32, "int64": INT64}
IR_VERSION, OPSET = 8, 13

Shape = Sequence[int | str]
Attribute = int | float | Sequence[int]


@dataclass
class Network:
    """A graph under construction; values are named by text."""

    inputs: list[tuple[str, int, Shape]] = field(default_factory=list)
    outputs: list[tuple[str, int, Shape]] = field(default_factory=list)
    weights: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    nodes: list[tuple[str, Sequence[str], Sequence[str], Mapping[str, Attribute]]] = field(default_factory=list)

    def input(self, name: str, shape: Shape, kind: int = FLOAT) -> str:
        self.inputs.append((name, kind, shape))
        return name

    def output(self, name: str, shape: Shape, kind: int = FLOAT) -> None:
        self.outputs.append((name, kind, shape))

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights[name] = value
        return name

    def add(self, kind: str, inputs: Sequence[str], outputs: str | Sequence[str], **attributes: Attribute) -> str:
        """Adds a node; returns its first output."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self.nodes.append((kind, inputs, names, attributes))
        return names[0]

    def save(self, path: Path, metadata: Mapping[str, object]) -> None:
        graph = b"".join(
            [
                *(_bytes(1, _node(*node)) for node in self.nodes),
                _bytes(2, b"net"),
                *(_bytes(5, _tensor(name, value)) for name, value in self.weights.items()),
                *(_bytes(11, _value(*each)) for each in self.inputs),
                *(_bytes(12, _value(*each)) for each in self.outputs),
            ]
        )
        model = [_varint(1, IR_VERSION), _bytes(7, graph), _bytes(8, _varint(2, OPSET))]
        model += (
            _bytes(14, _bytes(1, key.encode()) + _bytes(2, str(value).encode())) for key, value in metadata.items()
        )
        path.write_bytes(b"".join(model))


def _node(kind: str, inputs: Iterable[str], outputs: Iterable[str], attributes: Mapping[str, Attribute]) -> bytes:
    return b"".join(
        [
            *(_bytes(1, name.encode()) for name in inputs),
            *(_bytes(2, name.encode()) for name in outputs),
            _bytes(4, kind.encode()),
            *(_bytes(5, _attribute(name, value)) for name, value in attributes.items()),
        ]
    )


def _attribute(name: str, value: Attribute) -> bytes:
    named = _bytes(1, name.encode())
    if isinstance(value, float):
        return named + _key(2, 5) + struct.pack("<f", value) + _varint(20, 1)
    if isinstance(value, int):
        return named + _varint(3, value) + _varint(20, 2)
    return named + b"".join(_varint(8, item) for item in value) + _varint(20, 7)


def _tensor(name: str, value: NDArray[np.generic]) -> bytes:
    dims = b"".join(_varint(1, size) for size in value.shape)
    return dims + _varint(2, TYPES[value.dtype.name]) + _bytes(8, name.encode()) + _bytes(9, value.tobytes())


def _value(name: str, kind: int, shape: Shape) -> bytes:
    dims = (_varint(1, size) if isinstance(size, int) else _bytes(2, size.encode()) for size in shape)
    tensor = _varint(1, kind) + _bytes(2, b"".join(_bytes(1, dim) for dim in dims))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _key(number: int, wire: int) -> bytes:
    return _raw(number << 3 | wire)


def _varint(number: int, value: int) -> bytes:
    return _key(number, 0) + _raw(value & (1 << 64) - 1)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, 2) + _raw(len(value)) + value


def _raw(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
