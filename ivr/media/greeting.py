"""Who answered a call of ours, and when we may speak: once the far end has stopped its greeting. Pure.

A person says a word or two and waits; an answering machine talks on, and what is played into its greeting is lost. So
nothing is played before the far end has paused, or has said nothing for a while.

| state | speech starts | speech ends | time passes |
|---|---|---|---|
| silent | greeting | | `silence_ms` after the answer: nobody spoke |
| greeting | | pausing | `limit_ms` after the answer: a machine that talks on |
| pausing | greeting | | `pause_ms`: a person if all of it lasted up to `person_ms`, else a machine |

A machine's beep belongs to its greeting. The lengths are near those of Asterisk's AMD, but silence alone does not make
a machine: we wait no longer, and speak.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Answerer(Enum):
    """What the far end seems to be."""

    PERSON = auto()
    MACHINE = auto()
    SILENCE = auto()


@dataclass(frozen=True, kw_only=True)
class GreetingRule:
    """Lengths in milliseconds; all positive, `limit_ms` the longest. Raises ValueError else."""

    silence_ms: int = 2500
    pause_ms: int = 800
    person_ms: int = 1800
    limit_ms: int = 30_000

    def __post_init__(self) -> None:
        if min(self.silence_ms, self.pause_ms, self.person_ms) <= 0:
            raise ValueError("a greeting is judged by positive lengths")
        if self.limit_ms < max(self.silence_ms, self.pause_ms, self.person_ms):
            raise ValueError("limit_ms is the longest")


class Greeting:
    """One call's. Times are milliseconds on one clock; an end of speech may be told later than it was."""

    def __init__(self, *, answered_ms: int, rule: GreetingRule | None = None) -> None:
        self._rule = rule or GreetingRule()
        self._answered_ms = answered_ms
        self._began_ms: int | None = None
        self._ended_ms: int | None = None  # of what was said last, while nothing is said
        self._answerer: Answerer | None = None

    @property
    def answerer(self) -> Answerer | None:
        """Who it is, once that is known: we may speak."""
        return self._answerer

    @property
    def due_ms(self) -> int | None:
        """When `pass_time` is to be called, unless speech starts or ends before; None once all is known."""
        if self._answerer is not None:
            return None
        limit = self._answered_ms + self._rule.limit_ms
        if self._began_ms is None:
            return min(limit, self._answered_ms + self._rule.silence_ms)
        return limit if self._ended_ms is None else min(limit, self._ended_ms + self._rule.pause_ms)

    def speech_started(self, at_ms: int) -> None:
        """The far end speaks."""
        self.pass_time(at_ms)
        if self._began_ms is None:
            self._began_ms = at_ms
        self._ended_ms = None

    def speech_ended(self, at_ms: int) -> None:
        """The far end has paused since `at_ms`."""
        if self._began_ms is not None:
            self._ended_ms = at_ms

    def pass_time(self, now_ms: int) -> None:
        """Nothing else happened until now."""
        due = self.due_ms
        if due is None or now_ms < due:
            return
        if self._began_ms is None:
            self._answerer = Answerer.SILENCE
        elif self._ended_ms is not None and self._ended_ms - self._began_ms <= self._rule.person_ms:
            self._answerer = Answerer.PERSON
        else:
            self._answerer = Answerer.MACHINE
