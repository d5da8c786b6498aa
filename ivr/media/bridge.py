"""The mixes of all calls applied to audio at once: edges from a source slot to a hearer slot, each with a gain.

Edges are sorted into layers in which every hearer occurs once, so that a layer is one NumPy addition whatever the
number of calls. A changed gain is reached over one frame, so that nothing clicks. Where no call has two parties there
are no edges and no work.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ivr.media.ring import Slots
from ivr.media.types import FRAME_SAMPLES, Samples
from ivr.media.wideband import WIDTH

Edge = tuple[int, int]
"""(hearer slot, source slot)"""

_RAMP = np.arange(1, FRAME_SAMPLES + 1, dtype=np.float32) / np.float32(FRAME_SAMPLES)
_SECOND_RAMP = np.arange(1, WIDTH * FRAME_SAMPLES + 1, dtype=np.float32) / np.float32(WIDTH * FRAME_SAMPLES)
_NONE = np.zeros(0, np.intp)


class Bridge:
    """Edges of all calls, arranged when they are asked for: many calls may change at once."""

    def __init__(self) -> None:
        self._sources: Slots = _NONE
        self._hearers: Slots = _NONE
        self._arranged = True
        self._gains: dict[Edge, list[float]] = {}  # [present, wanted]
        self._present: NDArray[np.float32] = np.zeros((0, 1), np.float32)
        self._wanted = self._present
        self._layers: list[tuple[Slots, Slots, Slots]] = []  # edges, rows of hearers, rows of sources
        self._changing = False

    @property
    def sources(self) -> Slots:
        """The slots of the rows that `mix` takes."""
        self._arrange()
        return self._sources

    @property
    def hearers(self) -> Slots:
        """The slots of the rows that it gives."""
        self._arrange()
        return self._hearers

    def set(self, slots: Slots, gains: Mapping[Edge, float]) -> None:
        """What the edges among one call's `slots` shall be; those not named fade out."""
        members = set(slots.tolist())
        for edge, pair in self._gains.items():
            if edge[0] in members:
                pair[1] = gains.get(edge, 0.0)
        for edge, gain in gains.items():
            if gain > 0:
                self._gains.setdefault(edge, [0.0, gain])
        self._arranged = False

    def remove(self, slot: int) -> None:
        """A leg left: it is heard no more and hears nothing, at once."""
        remaining = {edge: pair for edge, pair in self._gains.items() if slot not in edge}
        if len(remaining) != len(self._gains):
            self._gains = remaining
            self._arranged = False

    def mix(self, frames: Samples) -> NDArray[np.float32]:
        """One frame of each of `sources`, (sources, 160), as each of `hearers` hears them: (hearers, 160), not clipped.

        Whole numbers up to 2^24 are exact in single precision: at full gain hundreds of sources add without rounding.
        """
        heard = np.zeros((len(self.hearers), FRAME_SAMPLES), np.float32)
        voices = frames.astype(np.float32)
        gain = self._present + (self._wanted - self._present) * _RAMP if self._changing else self._present
        for edges, hearers, sources in self._layers:
            heard[hearers] += voices[sources] * gain[edges]
        if self._changing:
            self._settle()
        return heard

    def mix_second(self, hearer: int, planes: Mapping[int, Samples]) -> NDArray[np.float32]:
        """A hearer's second plane, (320,), made of those of others by slot; before `mix`, which lets gains arrive."""
        heard = np.zeros(WIDTH * FRAME_SAMPLES, np.float32)
        for source, plane in planes.items():
            if (pair := self._gains.get((hearer, source))) is not None:
                heard += plane * (pair[0] + (pair[1] - pair[0]) * _SECOND_RAMP)
        return heard

    def _settle(self) -> None:
        """The frame brought every gain where it shall be."""
        silent = []
        for edge, pair in self._gains.items():
            pair[0] = pair[1]
            if pair[1] == 0:
                silent.append(edge)
        for edge in silent:
            del self._gains[edge]
        self._arranged = False

    def _arrange(self) -> None:
        if self._arranged:
            return
        self._arranged = True
        edges = sorted(self._gains)
        self._present = np.array([[self._gains[edge][0]] for edge in edges], np.float32).reshape(-1, 1)
        self._wanted = np.array([[self._gains[edge][1]] for edge in edges], np.float32).reshape(-1, 1)
        self._changing = bool((self._present != self._wanted).any())
        pairs = np.array(edges, np.intp).reshape(-1, 2)
        self._hearers, first, hearers = np.unique(pairs[:, 0], return_index=True, return_inverse=True)
        self._sources, sources = np.unique(pairs[:, 1], return_inverse=True)
        rank = np.arange(len(edges)) - first[hearers]
        self._layers = [
            (layer, hearers[layer], sources[layer])
            for layer in (np.flatnonzero(rank == depth) for depth in range(int(rank.max(initial=-1)) + 1))
        ]
