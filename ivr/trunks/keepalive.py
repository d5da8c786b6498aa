"""Whether a server is there: OPTIONS now and then (RFC 3261 section 11). Pure: times are seconds of any clock."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class KeepalivePolicy:
    """An OPTIONS every `interval_s`; a server is down after `max_missed` in a row without an answer in `patience_s`."""

    interval_s: float = 30.0
    patience_s: float = 4.0
    max_missed: int = 3


@dataclass(frozen=True)
class Keepalive:
    """Whether a server is there. Until the opposite is shown it is. `asking`: an OPTIONS is under way."""

    policy: KeepalivePolicy
    up: bool = True
    missed: int = 0
    asking: bool = False
    attempt: int = 0
    deadline: float = 0.0

    def on_time(self, now: float) -> tuple["Keepalive", bool]:
        """Time has passed; whether an OPTIONS (`attempt`) is to be sent."""
        if now < self.deadline:
            return self, False
        if self.asking:
            return self._missed(now), False
        return replace(self, asking=True, attempt=self.attempt + 1, deadline=now + self.policy.patience_s), True

    def on_answer(self, attempt: int, now: float, *, well: bool = True) -> "Keepalive":
        """The server answered; `well` false: that it is out of service (503)."""
        if not self.asking or attempt != self.attempt:
            return self
        if not well:
            return self._missed(now)
        return replace(self, up=True, missed=0, asking=False, deadline=now + self.policy.interval_s)

    def _missed(self, now: float) -> "Keepalive":
        missed = self.missed + 1
        again_s = min(self.policy.interval_s, self.policy.patience_s)  # sooner than usual: is it really away?
        up = self.up and missed < self.policy.max_missed
        return replace(self, up=up, missed=missed, asking=False, deadline=now + again_s)
