"""Cuts audio of any lengths into equal blocks, so that what an engine says does not depend on how audio arrives."""

BLOCK_MS = 100
BYTES_PER_SAMPLE = 2


def bytes_of(milliseconds: int, sample_rate: int) -> int:
    """Length of s16le mono audio in bytes, whole samples."""
    return milliseconds * sample_rate // 1000 * BYTES_PER_SAMPLE


class Blocks:
    """Collects s16le mono audio at `sample_rate` into blocks of `block_ms`."""

    def __init__(self, sample_rate: int, *, block_ms: int = BLOCK_MS) -> None:
        self._size = bytes_of(block_ms, sample_rate)
        self._held = bytearray()

    def push(self, pcm: bytes) -> list[bytes]:
        """Takes audio, also half a sample; returns the blocks that became whole."""
        self._held += pcm
        whole = len(self._held) // self._size * self._size
        blocks = [bytes(self._held[at : at + self._size]) for at in range(0, whole, self._size)]
        del self._held[:whole]
        return blocks

    def rest(self) -> bytes:
        """What did not fill a block, whole samples only; the collection is empty after."""
        rest = bytes(self._held[: len(self._held) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE])
        self._held.clear()
        return rest
