"""What the console's endpoints work with."""

from dataclasses import dataclass, field
from functools import cached_property

from fastapi import Request

from hotline.bus import Bus
from hotline.clock import Clock
from hotline.db import Database
from hotline.settings import Settings
from recordings.redaction import AudioSpan
from recordings.sound import Sounds
from recordings.store import RecordingStore


@dataclass(frozen=True, kw_only=True)
class ConsoleContext:
    """Shared by all requests; built once by the process."""

    settings: Settings
    database: Database
    bus: Bus
    store: RecordingStore
    clock: Clock
    hidden_spans: dict[tuple[str, tuple[int, ...]], tuple[AudioSpan, ...]] = field(default_factory=dict)
    """What `console.hearing` found out of calls, by call and versions of its transcript."""

    @cached_property
    def sounds(self) -> Sounds:
        """Through which all recordings are heard."""
        return Sounds(self.store, self.settings)


def context_of(request: Request) -> ConsoleContext:
    """The context of the application that serves `request`."""
    context: ConsoleContext = request.app.state.context
    return context


def client_address(request: Request) -> str:
    """The far end's address for the log."""
    return request.client.host[:64] if request.client else ""
