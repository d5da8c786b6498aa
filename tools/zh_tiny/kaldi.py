"""Kaldi's binary model file, written by hand: a TransitionModel and an nnet3 acoustic model.

Format: Kaldi's `transition-model.cc`, `nnet-component-itf.cc`, `nnet-simple-component.cc`, `compressed-matrix.cc`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
BINARY = b"\0B"
COMPRESSED_FROM = 20_000
"""Matrices with more elements are written with 16 bits an element."""
POSITIONS = ("begin", "end", "internal", "singleton")
"""A phone model for each place in a word, in this order; without them word times are wrong."""
SILENCE_PHONE = 1
"""Kaldi counts phones from 1; the acoustic model's output 0 is silence."""


def phone_number(output: int, position: str) -> int:
    """Kaldi's number of a phone at a position: silence is 1, then four numbers a phone."""
    return SILENCE_PHONE if output == 0 else 2 + 4 * (output - 1) + POSITIONS.index(position)


def phone_outputs(outputs: int) -> list[int]:
    """The acoustic output (pdf) of each phone number, from 1."""
    return [0] + [output for output in range(1, outputs) for _ in POSITIONS]


def word_boundaries(outputs: int) -> str:
    """`word_boundary.int`."""
    lines = [f"{SILENCE_PHONE} nonword"]
    lines += [f"{phone_number(output, place)} {place}" for output in range(1, outputs) for place in POSITIONS]
    return "\n".join(lines) + "\n"


def enter_transition(phone: int) -> int:
    """Every phone has one state: its self-loop is transition 2 p - 1 and the arc that leaves it 2 p.

    In the reordered graphs that Vosk decodes, the leaving arc's id comes first, when the phone is entered.
    """
    return 2 * phone


def loop_transition(phone: int) -> int:
    return 2 * phone - 1


@dataclass(frozen=True)
class Affine:
    """One layer: weight [out, offsets * in] in blocks by offset, bias [out], offsets in input frames."""

    weight: Matrix
    bias: Matrix
    offsets: tuple[int, ...]


class Writer:
    """Kaldi's basic types in binary."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def raw(self, data: bytes) -> None:
        self._file.write(data)

    def token(self, *names: str) -> None:
        self.raw("".join(f"{name} " for name in names).encode())

    def integers(self, *values: int) -> None:
        for value in values:
            self.raw(b"\x04" + struct.pack("<i", value))

    def floats(self, *values: float) -> None:
        for value in values:
            self.raw(b"\x04" + struct.pack("<f", value))

    def double(self, value: float) -> None:
        self.raw(b"\x08" + struct.pack("<d", value))

    def integer_vector(self, values: Sequence[int]) -> None:
        self.raw(b"\x04" + struct.pack("<i", len(values)) + np.asarray(values, "<i4").tobytes())

    def vector(self, values: Sequence[float] | Matrix) -> None:
        self.token("FV")
        self.integers(len(values))
        self.raw(np.asarray(values, "<f4").tobytes())

    def matrix(self, values: Matrix) -> None:
        rows, columns = values.shape
        if values.size <= COMPRESSED_FROM:
            self.token("FM")
            self.integers(rows, columns)
            self.raw(np.ascontiguousarray(values, "<f4").tobytes())
            return
        low = float(values.min())
        extent = float(values.max()) - low or 1e-5
        self.token("CM2")
        self.raw(struct.pack("<ffii", low, extent, rows, columns))
        self.raw(np.clip(np.rint((values - low) / extent * 65535), 0, 65535).astype("<u2").tobytes())


def write_transition_model(writer: Writer, outputs: Sequence[int]) -> None:
    """One topology for all phones: a state that loops or leaves, each with probability one half."""
    phones = range(1, len(outputs) + 1)
    writer.token("<TransitionModel>", "<Topology>")
    writer.integer_vector(list(phones))
    writer.integer_vector([-1] + [0] * len(outputs))
    writer.integers(1, 2, 0, 2)  # one entry of two states; state 0 has pdf class 0 and two transitions
    writer.integers(0)
    writer.floats(0.5)
    writer.integers(1)
    writer.floats(0.5)
    writer.integers(-1, 0)  # state 1 is final
    writer.token("</Topology>", "<Triples>")
    writer.integers(len(outputs))
    for phone, output in zip(phones, outputs, strict=True):
        writer.integers(phone, 0, output)
    writer.token("</Triples>", "<LogProbs>")
    writer.vector([0.0] + [float(np.log(0.5))] * (2 * len(outputs)))
    writer.token("</LogProbs>", "</TransitionModel>")


def network_config(layers: Sequence[Affine], inputs: int) -> str:
    """The nnet3 configuration: affine and ReLU by turns, a log-softmax at the end."""
    lines = [f"input-node name=input dim={inputs}"]
    before = "input"

    def node(name: str, descriptor: str) -> str:
        lines.append(f"component-node name={name} component={name} input={descriptor}")
        return name

    for index, layer in enumerate(layers, 1):
        terms = [before if offset == 0 else f"Offset({before}, {offset})" for offset in layer.offsets]
        before = node(f"layer{index}.affine", terms[0] if len(terms) == 1 else f"Append({', '.join(terms)})")
        if index < len(layers):
            before = node(f"layer{index}.relu", before)
    before = node("output.log-softmax", before)
    lines.append(f"output-node name=output input={before} objective=linear")
    return "\n".join(lines)


def write_network(writer: Writer, layers: Sequence[Affine], inputs: int) -> None:
    writer.token("<Nnet3>")
    writer.raw(f"\n{network_config(layers, inputs)}\n\n".encode())
    writer.token("<NumComponents>")
    writer.integers(2 * len(layers))
    for index, layer in enumerate(layers, 1):
        last = index == len(layers)
        writer.token("<ComponentName>", f"layer{index}.affine", "<FixedAffineComponent>", "<LinearParams>")
        writer.matrix(layer.weight)
        writer.token("<BiasParams>")
        writer.vector(layer.bias)
        writer.token("</FixedAffineComponent>")
        kind = "LogSoftmaxComponent" if last else "RectifiedLinearComponent"
        writer.token("<ComponentName>", "output.log-softmax" if last else f"layer{index}.relu", f"<{kind}>", "<Dim>")
        writer.integers(len(layer.bias))
        writer.token("<ValueAvg>")
        writer.vector([])
        writer.token("<DerivAvg>")
        writer.vector([])
        writer.token("<Count>")
        writer.double(0.0)
        writer.token(f"</{kind}>")
    writer.token("</Nnet3>")


def write_model(
    path: Path, layers: Sequence[Affine], *, inputs: int, context: int, priors: Sequence[float] | Matrix
) -> None:
    """`final.mdl`. `priors` [outputs]: Vosk subtracts their logarithms from the outputs."""
    outputs = len(layers[-1].bias)
    if len(priors) != outputs:
        raise ValueError(f"{len(priors)} priors for {outputs} outputs")
    with path.open("wb") as file:
        writer = Writer(file)
        writer.raw(BINARY)
        write_transition_model(writer, phone_outputs(outputs))
        write_network(writer, layers, inputs)
        writer.token("<LeftContext>")
        writer.integers(context)
        writer.token("<RightContext>")
        writer.integers(context)
        writer.token("<Priors>")
        writer.vector(priors)
