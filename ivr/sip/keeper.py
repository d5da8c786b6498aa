"""The session timer of a dialog: RFC 4028's headers on sippy's messages, its deadlines on the SIP thread's clock."""

import time
from collections.abc import Callable
from typing import Any

from ivr.sip.headers import header, tokens, values
from ivr.sip.session_timer import (
    DEFAULT_MIN_SE_S,
    Negotiation,
    Refresher,
    SessionExpires,
    SessionPolicy,
    SessionTimer,
    Terms,
    TimerAction,
    TooBrief,
    agreed,
    negotiate,
)
from ivr.sip.types import Timer

CallLater = Callable[[float, Callable[[], None]], Timer]


class SessionKeeper:
    """Refreshes a session at half its interval, or ends one that the far end stopped refreshing."""

    def __init__(
        self, policy: SessionPolicy, *, call_later: CallLater, refresh: Callable[[], None], expire: Callable[[], None]
    ) -> None:
        self._policy = policy
        self._call_later = call_later
        self._refresh = refresh
        self._expire = expire
        self._timer = SessionTimer()
        self._pending: Timer | None = None
        self._interval_s = policy.interval_s
        self._min_s = policy.min_s
        self._refresher: Refresher | None = None

    def answer(self, request: Any) -> Negotiation | TooBrief:
        """Our part of the answer to an INVITE or UPDATE; it holds once `start` is told of it."""
        return ask(self._policy, request)

    def start(self, negotiation: Negotiation) -> None:
        """Our 2xx is out."""
        self._agree(negotiation.terms)

    def request_headers(self) -> tuple[Any, ...]:
        """What stands in an INVITE or UPDATE of ours."""
        expires = SessionExpires(self._interval_s, self._refresher)
        return (
            header("Supported", "timer, replaces"),
            header("Session-Expires", expires.serialize()),
            header("Min-SE", str(self._min_s)),
        )

    def on_accepted(self, response: Any) -> None:
        """A 2xx to our INVITE or UPDATE came."""
        given = next(iter(values(response, "session-expires")), "")
        self._agree(agreed(SessionExpires.parse(given)))

    def on_too_brief(self, response: Any) -> bool:
        """A 422 came; whether the request can be made anew with a longer interval."""
        needed = _seconds(next(iter(values(response, "min-se")), ""))
        if needed is None or needed <= self._min_s:
            return False
        self._min_s = needed
        self._interval_s = max(self._interval_s, needed)
        return True

    def on_refresh_failed(self, *, retry_s: float) -> None:
        """Our refresh was refused for the moment."""
        self._set(self._timer.on_refresh_failed(time.monotonic(), retry_s=retry_s))

    def stop(self) -> None:
        """The dialog is over."""
        self._set(SessionTimer())

    def _agree(self, terms: Terms | None) -> None:
        if terms is not None:  # as our next request will say it
            self._interval_s = terms.interval_s
            self._refresher = Refresher.UAC if terms.we_refresh else Refresher.UAS
        self._set(self._timer.on_agreed(terms, time.monotonic()))

    def _set(self, timer: SessionTimer) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._timer = timer
        if timer.deadline is not None:
            self._pending = self._call_later(timer.deadline - time.monotonic(), self._on_time)

    def _on_time(self) -> None:
        self._pending = None
        timer, action = self._timer.on_time(time.monotonic())
        self._set(timer)
        if action is TimerAction.REFRESH:
            self._refresh()
        elif action is TimerAction.HANG_UP:
            self._expire()


def ask(policy: SessionPolicy, request: Any) -> Negotiation | TooBrief:
    """What becomes of the session timer that an INVITE or UPDATE asks for."""
    return negotiate(
        policy,
        supported="timer" in tokens(request, "supported") | tokens(request, "require"),
        expires=SessionExpires.parse(next(iter(values(request, "session-expires")), "")),
        min_s=_seconds(next(iter(values(request, "min-se")), "")) or DEFAULT_MIN_SE_S,
    )


def _seconds(text: str) -> int | None:
    digits = text.partition(";")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 7 else None
