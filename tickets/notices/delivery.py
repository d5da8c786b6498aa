"""How something that must reach somebody outside stands, and what becomes of it after an attempt. Pure.

- It is queued until it is due; a worker claims it (sending) for the time of a lease, in a transaction of its own,
  before the first byte leaves us.
- Delivered: sent. Refused for good: failed. Not now: queued again, later each time, until the attempts are spent
  (failed) or it is too old to be of use (expired).
- Unsure, because the far end fell silent after it had everything or our own process was killed: queued again under the
  same identity, so that a receiver who knows it drops the second copy; or failed, for a person to decide, where the
  channel says that its receivers can't tell.
- Withheld: the receiver wants none.
- A person may have what is failed, expired or withheld sent again.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from hotline.errors import ConflictError, HotlineError

ONE_DAY = timedelta(days=1)


class DeliveryState(StrEnum):
    """The value is what the database holds."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    WITHHELD = "withheld"

    @property
    def label(self) -> str:
        """What people see."""
        return STATE_LABELS[self]


STATE_LABELS = {
    DeliveryState.QUEUED: "待发送",
    DeliveryState.SENDING: "发送中",
    DeliveryState.SENT: "已发送",
    DeliveryState.FAILED: "失败",
    DeliveryState.EXPIRED: "过期未发",
    DeliveryState.WITHHELD: "已退订",
}
OPEN = frozenset({DeliveryState.QUEUED, DeliveryState.SENDING})
RETRYABLE = frozenset({DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.WITHHELD})


class RefusedError(HotlineError):
    """The far end will never take this."""


class DelayedError(HotlineError):
    """The far end certainly has not taken this, and may later.

    `whole`: it would take nothing else now either. `retry_after_s`: it says when to come again.
    """

    def __init__(self, message: str, *, whole: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.whole = whole
        self.retry_after_s = retry_after_s


class UnsureError(HotlineError):
    """The far end may have taken this: it had everything and did not say."""


class GoneError(RefusedError):
    """The far end wants nothing ever again."""


@dataclass(frozen=True)
class Backoff:
    """Waits between attempts: `first`, then `factor` times the one before, at most `longest`; so many `attempts`."""

    first: timedelta
    factor: float
    longest: timedelta
    attempts: int

    def delay(self, attempts: int) -> timedelta | None:
        """How long after the attempt of that number (from 1) the next one follows; None after the last.

        >>> [Backoff(timedelta(seconds=5), 6, timedelta(hours=1), 5).delay(n) for n in (1, 2, 5)]
        [datetime.timedelta(seconds=5), datetime.timedelta(seconds=30), None]
        """
        if attempts >= self.attempts:
            return None
        try:
            seconds = self.first.total_seconds() * self.factor ** (attempts - 1)
        except OverflowError:
            return self.longest
        return min(self.longest, timedelta(seconds=min(seconds, self.longest.total_seconds())))


@dataclass(frozen=True)
class Hours:
    """The part of each day in which callers may be disturbed."""

    begin: time
    end: time
    zone: ZoneInfo

    def allowed_from(self, moment: datetime) -> datetime:
        """`moment`, or the next begin of the hours where it is outside them."""
        local = moment.astimezone(self.zone)
        if self.begin <= local.time() < self.end:
            return moment
        day = local.date() if local.time() < self.begin else local.date() + ONE_DAY
        return datetime.combine(day, self.begin, self.zone).astimezone(moment.tzinfo)


def parse_hours(text: str, zone: ZoneInfo) -> Hours:
    """`08:00-21:00`; raises `ValueError`."""
    begin, _, end = text.partition("-")
    hours = Hours(time.fromisoformat(begin), time.fromisoformat(end), zone)
    if hours.begin >= hours.end:
        raise ValueError("the hours end before they begin")
    return hours


@dataclass(frozen=True)
class Verdict:
    """What becomes of something after an attempt. `due_at`: when the next follows, None where none does."""

    state: DeliveryState
    due_at: datetime | None = None


def after_attempt(
    error: HotlineError | None,
    *,
    attempts: int,
    backoff: Backoff,
    repeat_unsure: bool,
    expires_at: datetime,
    now: datetime,
) -> Verdict:
    """The verdict on an attempt that ended with `error`, or well. `attempts`: how many there were, with this one."""
    if error is None:
        return Verdict(DeliveryState.SENT)
    if isinstance(error, RefusedError) or (isinstance(error, UnsureError) and not repeat_unsure):
        return Verdict(DeliveryState.FAILED)
    delay = backoff.delay(attempts)
    if delay is None:
        return Verdict(DeliveryState.FAILED)
    asked = timedelta(seconds=error.retry_after_s) if isinstance(error, DelayedError) else timedelta()
    due_at = now + max(delay, min(asked, backoff.longest))
    if due_at >= expires_at:
        return Verdict(DeliveryState.EXPIRED)
    return Verdict(DeliveryState.QUEUED, due_at)


def check_retryable(state: DeliveryState) -> None:
    """Raises `ConflictError` where a person may not have it sent again."""
    if state not in RETRYABLE:
        raise ConflictError(f"这条消息{state.label}，不能重发", hint="只有失败、过期或退订的可以重发")
