"""One digit for one press, whichever of three ways tell it: RFC 4733 events, SIP INFO, tones in the audio.

| a way tells a digit | then |
|---|---|
| a better way has told any digit in this call | ignored: the better one tells them all, this one hears its echo |
| another way told the same digit within `WINDOW_MS`, and this one has not told that press yet | the same press |
| else | a press |

Each way tells a press once and in order; it may be late, and it may miss some. `DigitSource` orders the ways from worst
to best: tones can be speech, INFO can be late by a retransmission, an event is exact.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

WINDOW_MS = 1000
"""More than a retransmitted INFO (500 ms, RFC 3261 T1) and a jitter buffer together are late."""
REMEMBERED = 32
"""Nobody presses more keys within the window."""


class DigitSource(IntEnum):
    """How a digit was told; greater is better."""

    INBAND = 0
    INFO = 1
    EVENT = 2


@dataclass
class _Press:
    digit: str
    offset_ms: int
    told_by: set[DigitSource] = field(default_factory=set)


class DigitMerger:
    """The digits of one leg. Offsets are milliseconds on one clock and need not be in order."""

    def __init__(self) -> None:
        self._best = DigitSource.INBAND
        self._presses: deque[_Press] = deque(maxlen=REMEMBERED)

    def wants(self, source: DigitSource) -> bool:
        """Whether digits told by `source` still count: tones need not be looked for where they do not."""
        return source >= self._best

    def accept(self, digit: str, *, source: DigitSource, offset_ms: int) -> bool:
        """Whether this is a press that was not told before."""
        if not self.wants(source):
            return False
        self._best = source
        for press in self._presses:
            near = abs(offset_ms - press.offset_ms) <= WINDOW_MS
            if near and press.digit == digit and source not in press.told_by:
                press.told_by.add(source)
                return False
        self._presses.append(_Press(digit=digit, offset_ms=offset_ms, told_by={source}))
        return True
