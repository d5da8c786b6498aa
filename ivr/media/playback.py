"""What a leg still has to play: pieces in order, cut into 20 ms frames."""

from collections import deque

import numpy as np

from ivr.media.types import FRAME_SAMPLES, Samples


class Playback:
    """A queue of pieces. Each starts on a frame of its own: the last frame of a piece is filled up with silence."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, Samples, bool]] = deque()
        self._position = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, samples: Samples, *, token: int, loop: bool = False) -> None:
        """Queues a piece. A looped one is repeated without a gap and ends only when the queue is cleared."""
        self._pieces.append((token, samples, loop and len(samples) > 0))

    def fill(self, frame: Samples) -> list[int]:
        """Writes the next frame into `frame` (zeroed by the caller); returns the tokens of the pieces it ends."""
        ended = []
        while self._pieces:
            token, samples, loop = self._pieces[0]
            if loop:
                frame[:] = samples.take(np.arange(self._position, self._position + FRAME_SAMPLES), mode="wrap")
                self._position = (self._position + FRAME_SAMPLES) % len(samples)
                break
            part = samples[self._position : self._position + FRAME_SAMPLES]
            frame[: len(part)] = part
            self._position += FRAME_SAMPLES
            if self._position >= len(samples):
                ended.append(token)
                self._pieces.popleft()
                self._position = 0
            if len(part):
                break
        return ended

    def clear(self) -> list[int]:
        """Drops everything; returns the tokens of the pieces that did not end."""
        tokens = [token for token, _, _ in self._pieces]
        self._pieces.clear()
        self._position = 0
        return tokens
