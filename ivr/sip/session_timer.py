"""Session timers (RFC 4028): a session that nobody refreshes ends, so no call outlives a lost BYE. Pure.

`negotiate` and `agreed` speak the headers, `SessionTimer` is the state machine; time is an argument (seconds).
"""

import re
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto

DEFAULT_MIN_SE_S = 90  # section 5: what is meant where there is no Min-SE
MAX_INTERVAL_S = 86400


class Refresher(StrEnum):
    """Who refreshes, seen from the transaction that says so."""

    UAC = "uac"
    UAS = "uas"


@dataclass(frozen=True)
class SessionExpires:
    """The header field Session-Expires (section 4)."""

    interval_s: int
    refresher: Refresher | None = None

    @classmethod
    def parse(cls, value: str) -> "SessionExpires | None":
        """None where it cannot be read: then there is no session timer."""
        found = re.fullmatch(r"\s*(\d{1,9})\s*((?:;[^;]*)*)", value)
        if found is None or int(found[1]) == 0:
            return None
        refresher = re.search(r";\s*refresher\s*=\s*(uac|uas)\b", found[2], re.IGNORECASE)
        return cls(min(int(found[1]), MAX_INTERVAL_S), Refresher(refresher[1].lower()) if refresher else None)

    def serialize(self) -> str:
        return str(self.interval_s) + (f";refresher={self.refresher.value}" if self.refresher else "")


@dataclass(frozen=True)
class SessionPolicy:
    """What we ask for and the least we bear, in seconds."""

    interval_s: int = 1800
    min_s: int = DEFAULT_MIN_SE_S


DEFAULT_SESSION = SessionPolicy()


@dataclass(frozen=True)
class TooBrief:
    """Answer 422 with this Min-SE."""

    min_s: int


@dataclass(frozen=True)
class Terms:
    """What both ends agreed: the interval and whether we refresh."""

    interval_s: int
    we_refresh: bool


@dataclass(frozen=True)
class Negotiation:
    """Our part of a 2xx: `expires` for its Session-Expires, `require` where Require: timer must stand (section 9)."""

    terms: Terms
    expires: SessionExpires
    require: bool


def negotiate(
    policy: SessionPolicy, *, supported: bool, expires: SessionExpires | None, min_s: int = DEFAULT_MIN_SE_S
) -> Negotiation | TooBrief:
    """How we answer an INVITE or UPDATE (section 9, table 2).

    `supported`: the request lists the option tag timer; `expires` and `min_s`: its Session-Expires and Min-SE. One
    that doesn't know timers can't be told 422: its interval stands or is raised to what we bear.
    """
    if expires is not None and expires.interval_s < policy.min_s and supported:
        return TooBrief(policy.min_s)
    if expires is None:
        interval = max(policy.interval_s, min_s)
    else:
        interval = max(expires.interval_s, policy.min_s if not supported else 0)
    # where the choice is ours the far end refreshes if it can: then the refreshes prove that it is alive
    asked = (expires.refresher if expires else None) or Refresher.UAC
    refresher = asked if supported else Refresher.UAS
    return Negotiation(
        Terms(interval, we_refresh=refresher is Refresher.UAS),
        SessionExpires(interval, refresher),
        require=refresher is Refresher.UAC,
    )


def agreed(expires: SessionExpires | None) -> Terms | None:
    """What a 2xx to our own request means (section 7.2): without Session-Expires there is no timer."""
    if expires is None:
        return None
    return Terms(expires.interval_s, we_refresh=expires.refresher is not Refresher.UAS)


class TimerState(Enum):
    """Refresher: ours to refresh; Refreshing: our refresh is under way; Watcher: the far end's to refresh."""

    OFF = auto()
    REFRESHER = auto()
    REFRESHING = auto()
    WATCHER = auto()
    EXPIRED = auto()


class TimerAction(Enum):
    """What is to be done."""

    REFRESH = auto()
    HANG_UP = auto()


@dataclass(frozen=True)
class SessionTimer:
    """The timer of one dialog.

    | state | agreed | time passed | refresh failed |
    |---|---|---|---|
    | off | refresher or watcher | - | - |
    | refresher | refresher, watcher or off | at half the interval: refreshing, REFRESH | - |
    | refreshing | refresher, watcher or off | at the end: expired, HANG_UP | refresher, again after `retry_s` |
    | watcher | refresher, watcher or off | shortly before the end: expired, HANG_UP | - |
    | expired | - | - | - |
    """

    state: TimerState = TimerState.OFF
    refresh_at: float | None = None
    expires_at: float | None = None

    def on_agreed(self, terms: Terms | None, now: float) -> "SessionTimer":
        """A 2xx was sent or received. The watcher hangs up min(32 s, a third) before the end (section 10)."""
        if self.state is TimerState.EXPIRED:
            return self
        if terms is None:
            return SessionTimer()
        end = now + terms.interval_s
        if terms.we_refresh:
            return SessionTimer(TimerState.REFRESHER, now + terms.interval_s / 2, end)
        return SessionTimer(TimerState.WATCHER, None, end - min(32.0, terms.interval_s / 3))

    def on_refresh_failed(self, now: float, *, retry_s: float) -> "SessionTimer":
        """The refresh was refused for now (491, 500): it is tried again while the session lasts."""
        if self.state is not TimerState.REFRESHING:
            return self
        return replace(self, state=TimerState.REFRESHER, refresh_at=now + retry_s)

    def on_time(self, now: float) -> tuple["SessionTimer", TimerAction | None]:
        """Tells that it is `now`."""
        if self.state in (TimerState.OFF, TimerState.EXPIRED) or self.deadline is None or now < self.deadline:
            return self, None
        if self.state is TimerState.REFRESHER and self.expires_at is not None and now < self.expires_at:
            return replace(self, state=TimerState.REFRESHING), TimerAction.REFRESH
        return SessionTimer(TimerState.EXPIRED), TimerAction.HANG_UP

    @property
    def deadline(self) -> float | None:
        """When `on_time` wants to be called; None while there is nothing to wait for."""
        if self.state is TimerState.REFRESHER and self.refresh_at is not None and self.expires_at is not None:
            return min(self.refresh_at, self.expires_at)
        return self.expires_at
