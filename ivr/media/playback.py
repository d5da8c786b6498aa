"""What a call still has to play: pieces in order, cut into 20 ms frames."""

from collections import deque

from ivr.media.types import FRAME_SAMPLES, Samples


class Playback:
    """A queue of pieces. Each starts on a frame of its own: the last frame of a piece is filled up with silence."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, Samples]] = deque()
        self._position = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, samples: Samples, *, token: int) -> None:
        """Queues a piece."""
        self._pieces.append((token, samples))

    def fill(self, frame: Samples) -> list[int]:
        """Writes the next frame into `frame` (zeroed by the caller); returns the tokens of the pieces it ends."""
        ended = []
        while self._pieces:
            token, samples = self._pieces[0]
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
        tokens = [token for token, _ in self._pieces]
        self._pieces.clear()
        self._position = 0
        return tokens
