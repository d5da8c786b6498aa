"""How often a person may do something: a sliding minute, time as an argument."""

import threading
from collections import deque
from datetime import datetime, timedelta

from hotline.errors import TooManyRequestsError

WINDOW = timedelta(minutes=1)


class Throttle:
    """At most `per_minute` a person; safe to share between threads. Of each console process its own."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._times: dict[str, deque[datetime]] = {}

    def admit(self, who: str, now: datetime) -> None:
        """Counts one; raises `TooManyRequestsError` where it is too many."""
        with self._lock:
            for name in [name for name, times in self._times.items() if times[-1] <= now - WINDOW]:
                del self._times[name]
            times = self._times.setdefault(who, deque(maxlen=self._per_minute))
            if len(times) == self._per_minute and times[0] > now - WINDOW:
                raise TooManyRequestsError(f"每分钟最多 {self._per_minute} 次", hint="请稍候再试")
            times.append(now)
