"""Waits for the far end of a call of ours to stop its greeting: what we play into it would be lost."""

from collections.abc import Callable

from ivr.media.greeting import Answerer, Greeting
from ivr.sip import Timer


class GreetingWait:
    """The pure `Greeting` with a clock: `heard` is called once, when it is known who answered. On the SIP thread."""

    def __init__(
        self,
        *,
        offset_ms: Callable[[], int],
        call_later: Callable[[float, Callable[[], None]], Timer],
        heard: Callable[[Answerer], None],
    ) -> None:
        self._offset_ms = offset_ms
        self._call_later = call_later
        self._heard: Callable[[Answerer], None] | None = heard
        self._greeting = Greeting(answered_ms=offset_ms())
        self._timer: Timer | None = None
        self._look()

    def speech(self, *, started: bool, offset_ms: int) -> None:
        """The far end began to speak, or has paused since `offset_ms`."""
        (self._greeting.speech_started if started else self._greeting.speech_ended)(offset_ms)
        self._look()

    def cancel(self) -> None:
        """The call is over."""
        self._heard = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now_ms = self._offset_ms()
        self._greeting.pass_time(now_ms)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        answerer, heard = self._greeting.answerer, self._heard
        if answerer is not None and heard is not None:
            self._heard = None
            heard(answerer)
        elif heard is not None and (due_ms := self._greeting.due_ms) is not None:
            self._timer = self._call_later(max(due_ms - now_ms, 1) / 1000, self._look)
