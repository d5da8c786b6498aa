"""How much a recognizer bears, and which of several takes the next stream. Pure: time is an argument.

A recognizer process measures its real-time factor and announces it on the bus. Live streams take a place where the
smallest share of the places is taken; jobs go where they disturb least. A place is a connection to the recognizer, so
nobody who dies keeps one. What was announced last holds while the broker is away.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asr.protocol import Health
from hotline.errors import ProtocolError

STATE = "recognizer"
"""Kind of the announcements on the bus; their keys are addresses."""
ANNOUNCE_S = 1.0
ANNOUNCED_FOR_S = 5
BUSY_SHARE = 0.75
"""Of the decoding threads' time: what is left is for a moment when more people speak."""
SPEAKING_SHARE = 0.5
"""Speech decides, not how quiet the calls of the last minute were: in a conversation people speak half of the time."""
MEMORY_S = 60.0
AVOID_S, LONGEST_AVOID_S = 1.0, 10.0
UNKNOWN_CAPACITY = 16


class SpeedMeter:
    """The real-time factor of a recognizer: seconds of decoding per second of audio, the last minute of audio first."""

    def __init__(self) -> None:
        self._speech: float | None = None
        self._audio_s = self._decode_s = 0.0

    def warmed_up(self, *, audio_s: float, decode_s: float) -> None:
        """What speech without a pause took at start."""
        self._speech = decode_s / audio_s

    def add(self, *, audio_s: float, decode_s: float) -> None:
        """A piece was decoded."""
        kept = 0.5 ** (audio_s / MEMORY_S)
        self._audio_s = self._audio_s * kept + audio_s
        self._decode_s = self._decode_s * kept + decode_s

    @property
    def rtf(self) -> float | None:
        """None where nothing is known yet."""
        least = None if self._speech is None else self._speech * SPEAKING_SHARE
        if self._audio_s < 1.0:
            return self._speech
        lately = self._decode_s / self._audio_s
        return lately if least is None else max(least, lately)


def capacity(rtf: float | None, *, threads: int, most: int) -> int:
    """Streams in real time that `threads` bear, between 1 and `most`."""
    if not rtf:
        return most
    return max(1, min(most, int(threads * BUSY_SHARE / rtf)))


class RecognizerPool:
    """The recognizers of a site, as one process sees them."""

    def __init__(self, urls: Sequence[str], *, fallback: bool = False) -> None:
        """`urls`: those of the settings; with `fallback` they count only while none has announced itself."""
        self._urls = tuple(urls)
        self._fallback = fallback
        self._known: dict[str, Health | None] = dict.fromkeys(self._urls)
        self._places: Counter[str] = Counter()
        self._avoided: dict[str, tuple[float, float]] = {}  # url -> (until, for how long)

    def tell(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """What the bus holds of kind `STATE`; what makes no sense is left out."""
        announced: dict[str, Health | None] = dict(announcements(states))
        alone = self._fallback and bool(announced)
        self._known = announced if alone else dict.fromkeys(self._urls) | announced

    def take(self, now: float, *, moving: bool = False) -> str | None:
        """A place for a stream; None where all are taken. A stream that had one and is `moving` always finds one."""
        usable = [url for url in self._known if self._avoided.get(url, (now, 0.0))[0] <= now]
        if not usable:
            usable = sorted(self._known, key=lambda url: self._avoided[url][0])[:1]
        free = [url for url in usable if moving or self._has_room(url)]
        if not free:
            return None
        url = min(free, key=self.load)
        self._places[url] += 1
        return url

    def give_back(self, url: str) -> None:
        """The stream is over, or leaves."""
        self._places[url] -= 1

    def failed(self, url: str, now: float) -> None:
        """It did not answer: others are tried first for a while."""
        _, last_s = self._avoided.get(url, (now, 0.0))
        avoid_s = min(LONGEST_AVOID_S, last_s * 2 or AVOID_S)
        self._avoided[url] = (now + avoid_s, avoid_s)

    def answered(self, url: str) -> None:
        """It works."""
        self._avoided.pop(url, None)

    def by_load(self) -> list[str]:
        """All, the idlest first."""
        return sorted(self._known, key=self.load)

    def __len__(self) -> int:
        return len(self._known)

    def load(self, url: str) -> float:
        """The share of its places that is taken."""
        health = self._known.get(url)
        places = health.capacity if health and health.capacity else UNKNOWN_CAPACITY
        return self._taken(url) / places

    def _has_room(self, url: str) -> bool:
        health = self._known[url]
        return health is None or health.capacity is None or self._taken(url) < health.capacity

    def _taken(self, url: str) -> int:
        """By others too, as far as announced."""
        health = self._known.get(url)
        return max(self._places[url], health.connections if health else 0)


def announcements(states: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, Health]]:
    """Address and state of each recognizer that announces itself, in the order of their addresses."""
    for url, state in sorted(states.items()):
        try:
            yield url, Health.of(state)
        except ProtocolError:
            continue
