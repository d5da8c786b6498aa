"""What an ONNX file says of itself, read without loading it.

A file is a protobuf message whose fields must fill it to its end, so a cut download is found here and not by a crash.
Source: github.com/onnx/onnx, onnx/onnx.proto, `ModelProto`.
"""

import os
from pathlib import Path
from typing import BinaryIO

from hotline.errors import ConfigurationError

GRAPH, METADATA = 7, 14
KEY, VALUE = 1, 2
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_ENTRY_BYTES = 1 << 20


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX model; raises `ConfigurationError` for a file that is none or not whole."""
    try:
        with path.open("rb") as file:
            return _model(file, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} is no whole ONNX model: {error}", hint="install the model again") from error


def _model(file: BinaryIO, size: int) -> dict[str, str]:
    metadata: dict[str, str] = {}
    has_graph = False
    while file.tell() < size:
        number, wire = divmod(_varint(file), 8)
        if wire == VARINT:
            _varint(file)
        elif wire in (FIXED32, FIXED64):
            file.seek(4 if wire == FIXED32 else 8, os.SEEK_CUR)
        elif wire == LENGTH:
            length = _varint(file)
            if file.tell() + length > size:
                raise ValueError("it is cut short")
            has_graph |= number == GRAPH
            if number == METADATA and length <= MAX_ENTRY_BYTES:
                key, value = _entry(file.read(length))
                metadata[key] = value
            else:
                file.seek(length, os.SEEK_CUR)
        else:
            raise ValueError("it holds something else")
    if not has_graph or file.tell() != size:
        raise ValueError("it holds no network")
    return metadata


def _entry(data: bytes) -> tuple[str, str]:
    """A pair of texts; what else such a message may hold in later versions ends it."""
    texts = {KEY: "", VALUE: ""}
    at = 0
    while at < len(data):
        number, wire = divmod(data[at], 8)
        length, at = _varint_at(data, at + 1)
        if wire != LENGTH or number not in texts:
            break
        texts[number] = data[at : at + length].decode("utf-8", "replace")
        at += length
    return texts[KEY], texts[VALUE]


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it is cut short")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("it holds something else")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it is cut short")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("it holds something else")
