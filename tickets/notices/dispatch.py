"""Works a lane of deliveries off: claim, deliver, settle, each in a transaction of its own.

A lane is what goes through one channel or to one subscription; one worker at a time works on it. Two things may make
the far end get something twice: it had everything and did not say, or we were killed between its answer and our commit,
one statement. Then it gets the same identity again (`tickets.notices.delivery`).
"""

import logging
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from asr.masking import mask_phone
from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import HotlineError
from tickets.notices import repository
from tickets.notices.delivery import (
    OPEN,
    Backoff,
    DelayedError,
    DeliveryState,
    Hours,
    UnsureError,
    Verdict,
    after_attempt,
)
from tickets.notices.models import Notice, WebhookDelivery

log = logging.getLogger(__name__)

Row = TypeVar("Row", Notice, WebhookDelivery)
MAX_ERROR = 300
_NUMBER = re.compile(r"[0-9]{7,}")  # network addresses may be seen
_ADDRESS = re.compile(r"[^\s<>@:]+@(?=[^\s<>@:]+)")


@dataclass(frozen=True)
class Policy:
    """How a lane is worked off. `repeats`: what the far end may have is sent again."""

    backoff: Backoff
    lease: timedelta
    repeats: bool = True
    hours: Hours | None = None


class Lane(Protocol[Row]):
    """What differs between notices and webhooks."""

    name: str
    model: type[Row]
    policy: Policy

    @property
    def rows(self) -> ColumnElement[bool]:
        """Which rows are in it."""

    def held_until(self, session: Session, row: Row, now: datetime) -> datetime | None:
        """When a row that is due may go, where not now."""

    def withheld(self, session: Session, row: Row) -> str:
        """Why the row must not go at all; empty where it may."""

    def deliver(self, row: Row, now: datetime) -> None:
        """One attempt, outside any transaction; raises as `NoticeChannel.deliver`."""

    def settled(self, session: Session, row: Row, error: HotlineError | None, now: datetime) -> bool:
        """What else an attempt changes, in its transaction; False where the lane goes on no more."""


class Dispatcher:
    """Works lanes off."""

    def __init__(self, *, database: Database, clock: Clock, stop: threading.Event) -> None:
        self._database = database
        self._clock = clock
        self._stop = stop

    def work_off(self, lane: Lane[Row], *, seconds: float) -> int:
        """Attempts what is due until nothing is, the far end takes nothing now, or so much time has passed.

        Returns how many attempts there were. A stop is heeded between two of them.
        """
        end, attempts = self._clock.monotonic() + seconds, 0
        while not self._stop.is_set() and self._clock.monotonic() < end:
            with self._database.transaction() as session:
                row, more = self._claim(session, lane)
            if row is None:
                if more:
                    continue
                break
            attempts += 1
            error = self._attempt(lane, row)
            with self._database.transaction() as session:
                more = self._settle(session, lane, row, error)
            if not more or isinstance(error, UnsureError) or (isinstance(error, DelayedError) and error.whole):
                break
        return attempts

    def _claim(self, session: Session, lane: Lane[Row]) -> tuple[Row | None, bool]:
        """The next row to send; None and whether to ask again."""
        now = self._clock.now()
        row = repository.claimable(session, lane.model, lane.rows, now)
        if row is None:
            return None, False
        if row.state == DeliveryState.SENDING.value and not lane.policy.repeats:
            _settle_as(row, Verdict(DeliveryState.FAILED), now)
            row.error = "发送时进程中断，不确定对方是否收到"
            return None, True
        if row.expires_at <= now:
            _settle_as(row, Verdict(DeliveryState.EXPIRED), now)
            return None, True
        if why := lane.withheld(session, row):
            _settle_as(row, Verdict(DeliveryState.WITHHELD), now)
            row.error = why[:MAX_ERROR]
            return None, True
        if (later := lane.held_until(session, row, now)) is not None:
            row.state, row.due_at, row.leased_until = DeliveryState.QUEUED.value, later, None
            return None, True
        row.state = DeliveryState.SENDING.value
        row.attempt_id = secrets.token_hex(16)
        row.leased_until = now + lane.policy.lease
        row.attempts += 1
        return row, True

    def _attempt(self, lane: Lane[Row], row: Row) -> HotlineError | None:
        try:
            lane.deliver(row, self._clock.now())
        except HotlineError as error:
            return error
        except Exception as error:  # a fault of ours must not leave the row to be found as a killed worker's
            log.exception("%s: delivery %d failed for a reason of our own", lane.name, row.id)
            return DelayedError(f"程序出错：{type(error).__name__}")
        return None

    def _settle(self, session: Session, lane: Lane[Row], row: Row, error: HotlineError | None) -> bool:
        now = self._clock.now()
        current = repository.lock(session, lane.model, row.id)
        if current.attempt_id != row.attempt_id or current.state != DeliveryState.SENDING.value:
            log.warning("%s: delivery %d took longer than its lease, another worker has it", lane.name, row.id)
            return False
        verdict = after_attempt(
            error,
            attempts=current.attempts,
            backoff=lane.policy.backoff,
            repeat_unsure=lane.policy.repeats,
            expires_at=current.expires_at,
            now=now,
        )
        current.error = clean(error.message) if error else ""
        _settle_as(current, verdict, now)
        if error is not None:
            log.warning("%s: delivery %d, attempt %d: %s", lane.name, row.id, current.attempts, current.error)
        return lane.settled(session, current, error, now)


def clean(text: str) -> str:
    """An error's text on one line, without the numbers and mail addresses that a far end puts into its answers."""
    without = _ADDRESS.sub("***@", " ".join(text.split()))
    return _NUMBER.sub(lambda match: mask_phone(match[0]), without)[:MAX_ERROR]


def _settle_as(row: Notice | WebhookDelivery, verdict: Verdict, now: datetime) -> None:
    row.state, row.leased_until = verdict.state.value, None
    if verdict.due_at is not None:
        row.due_at = verdict.due_at
    row.settled_at = None if verdict.state in OPEN else now
