"""The only source of the time of day. Pure code takes `now` as an argument; edges ask a `Clock`."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time as an aware UTC datetime, and monotonic seconds for measuring."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class ManualClock:
    """A clock that moves when told to: the in-memory adapter for tests and replays."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 5, 1, 30, tzinfo=UTC))
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        """Moves wall and monotonic time forward by `seconds`."""
        self.at += timedelta(seconds=seconds)
        self.elapsed += seconds
