"""The acoustic network: seven one-dimensional convolutions, small enough for one core."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """Widths and time steps of a network; a layer is (kernel, dilation, stride), both in frames of its own input."""

    inputs: int
    outputs: int
    widths: tuple[int, ...]
    layers: tuple[tuple[int, int, int], ...]

    @property
    def step(self) -> int:
        """Input frames an output."""
        return int(np.prod([stride for _, _, stride in self.layers]))

    @property
    def context(self) -> int:
        """Input frames that an output sees on either side of its own."""
        frames, scale = 0, 1
        for kernel, dilation, stride in self.layers:
            frames += kernel // 2 * dilation * scale
            scale *= stride
        return frames


def phone_shape(outputs: int) -> Shape:
    """40 MFCC, an output every third frame; 0.23 s of context on either side."""
    layers = ((3, 1, 1), (3, 1, 3), (3, 1, 1), (3, 1, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1))
    return Shape(40, outputs, (192, 256, 256, 256, 256, 256, 256), layers)


def character_shape(outputs: int) -> Shape:
    """80 filter banks, an output every fourth frame; 0.28 s of context on either side."""
    layers = ((3, 1, 1), (3, 1, 2), (3, 1, 2), (3, 1, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1))
    return Shape(80, outputs, (128, 192, 192, 192, 192, 192, 192), layers)


@dataclass(frozen=True)
class Layer:
    """A convolution with everything folded in: weight [out, in, kernel], bias [out]."""

    weight: Matrix
    bias: Matrix
    dilation: int
    stride: int


class Network(nn.Module):
    def __init__(self, shape: Shape, dropout: float = 0.05) -> None:
        super().__init__()
        self.shape = shape
        self.blocks = nn.ModuleList()
        width = shape.inputs
        for wider, (kernel, dilation, stride) in zip(shape.widths, shape.layers, strict=True):
            convolution = nn.Conv1d(width, wider, kernel, stride=stride, dilation=dilation, bias=False)
            self.blocks.append(nn.Sequential(convolution, nn.BatchNorm1d(wider), nn.ReLU(), nn.Dropout(dropout)))
            width = wider
        self.head = nn.Conv1d(width, shape.outputs, 1)
        self.register_buffer("mean", torch.zeros(shape.inputs))
        self.register_buffer("deviation", torch.ones(shape.inputs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[batch, frames, inputs] to scores [batch, outputs, frames / step], without padding: context is cut off."""
        hidden = ((features - self.mean) / self.deviation).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(hidden)

    @torch.no_grad()
    def folded(self) -> list[Layer]:
        """The layers with batch normalisation and the normalisation of features folded into weights and biases."""
        mean, deviation = self.mean.numpy(), self.deviation.numpy()
        layers = []
        for index, (block, (_, dilation, stride)) in enumerate(zip(self.blocks, self.shape.layers, strict=True)):
            convolution, norm = block[0], block[1]
            scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).numpy()
            weight = convolution.weight.numpy() * scale[:, None, None]
            bias = norm.bias.numpy() - norm.running_mean.numpy() * scale
            if index == 0:
                weight = weight / deviation[None, :, None]
                bias = bias - (weight * mean[None, :, None]).sum((1, 2))
            layers.append(Layer(weight.astype(np.float32), bias.astype(np.float32), dilation, stride))
        layers.append(Layer(self.head.weight.numpy(), self.head.bias.numpy(), 1, 1))
        return layers


def save(network: Network, path: str, **extra: object) -> None:
    torch.save({"shape": network.shape, "state": network.state_dict(), **extra}, path)


def load(path: str) -> tuple[Network, dict[str, object]]:
    """The network, ready to be used, and what was saved with it."""
    checkpoint = torch.load(path, weights_only=False)
    network = Network(checkpoint.pop("shape"))
    network.load_state_dict(checkpoint.pop("state"))
    return network.eval(), checkpoint
