"""The port through which notices leave, and its in-memory adapter. Real ones: `tickets.notices.smtp`, `.gateway`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from hotline.errors import HotlineError


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one attempt sends. `key` is the same at each attempt: the identity by which a receiver knows it again."""

    key: str
    kind: str
    recipient: str
    subject: str
    text: str
    values: Mapping[str, str]
    created_at: datetime


class NoticeChannel(Protocol):
    """A way to people. `repeats`: what it may have delivered is sent again; False: a person decides."""

    @property
    def repeats(self) -> bool: ...

    def deliver(self, message: Message) -> None:
        """Returns when the far end has taken it on; else raises `RefusedError`, `DelayedError` or `UnsureError`."""

    def check(self) -> None:
        """Raises `HotlineError` where it can be seen without sending that nothing would be delivered."""


@dataclass
class MemoryChannel:
    """The in-memory adapter. `answers`: what the next attempts meet (None: taken on); then everything is taken on."""

    repeats: bool = True
    sent: list[Message] = field(default_factory=list)
    answers: list[HotlineError | None] = field(default_factory=list)

    def deliver(self, message: Message) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.sent.append(message)

    def check(self) -> None:
        return None
