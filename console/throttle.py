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

    def admit(self, who: str, now: datetime, *, per_minute: int | None = None) -> None:
        """Counts one; raises `TooManyRequestsError` where it is too many. `per_minute`: of this person, if another."""
        most = self._per_minute if per_minute is None else per_minute
        with self._lock:
            for name in [name for name, times in self._times.items() if times[-1] <= now - WINDOW]:
                del self._times[name]
            times = self._times.get(who, deque())
            while times and times[0] <= now - WINDOW:
                times.popleft()
            if len(times) >= most:
                wait_s = (times[0] + WINDOW - now).total_seconds()
                raise TooManyRequestsError(f"每分钟最多 {most} 次", hint="请稍候再试", retry_after_s=wait_s)
            times.append(now)
            self._times[who] = times
