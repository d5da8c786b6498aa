"""What the calls of a media process share: its engine, its journal and recorders, its bus, prompts and flows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotline.bus import BackgroundPublisher, Event
from hotline.clock import Clock
from hotline.errors import ForbiddenError, NotFoundError
from ivr.access.dialplan import MAX_NUMBER, DialPlan, Extension, ToExtension, ToTrunk
from ivr.calls.captions import OpenCaptions
from ivr.calls.flow_run import Languages
from ivr.journal import CallJournal
from ivr.media.engine import MediaEngine
from ivr.media.types import Codec, RecordingSink
from ivr.menu.machine import MenuMachine
from ivr.sdp import DEFAULT_CODECS
from ivr.sip import SipTarget
from ivr.trunks.directory import Directory

OpenSink = Callable[[Path, int, Callable[[], None]], RecordingSink]
"""(file, sample rate, whom to tell that it is complete) -> a sink."""


@dataclass(frozen=True)
class Destination:
    """Whom to ring: all `targets` at once, or one after another."""

    name: str
    targets: tuple[SipTarget, ...]
    at_once: bool
    extension: str | None = None


@dataclass(frozen=True, kw_only=True)
class CallServices:
    """`open_sink` reports when the file is complete; `open_captions` may report from any thread.

    `flow` answers calls to our numbers; `outbound_flows` are those that calls of ours enter, by name. `open_track`:
    a file of its own for each party, where the site wants that. `codecs`: what we offer, the one we like best first.
    """

    node: str
    spool: Path
    clock: Clock
    engine: MediaEngine
    languages: Languages
    flow: MenuMachine
    outbound_flows: Mapping[str, MenuMachine]
    publisher: BackgroundPublisher
    enqueue: Callable[[str, dict[str, Any]], None]
    open_journal: Callable[[Path], CallJournal]
    open_sink: OpenSink
    open_captions: OpenCaptions
    directory: Directory
    plan: DialPlan
    max_call_s: float
    ring_s: float
    open_track: OpenSink | None = None
    codecs: tuple[Codec, ...] = DEFAULT_CODECS

    def publish(self, name: str, **data: Any) -> None:
        """An event, now."""
        self.publisher.publish(Event(name=name, at=self.clock.now(), data=data))

    def destination(self, target: str, *, asked_by: str | None = None) -> Destination:
        """Whom a name rings. A phone (`asked_by` its extension) may only what its dial plan lets it; staff may ring any
        extension, and outside what the plan lets extensions ring.

        Raises `ForbiddenError`, or `NotFoundError` where no phone is registered or no trunk leads there.
        """
        if asked_by is None and self.plan.is_extension(target):
            return self.inside(target)
        match self.plan.decide(Extension(asked_by or ""), target):
            case ToExtension(name):
                return self.inside(name)
            case ToTrunk(number):
                return self.outside(number)
        raise ForbiddenError(f"the dial plan does not let a call go to {target[:MAX_NUMBER]}")

    def inside(self, extension: str) -> Destination:
        """All phones of an extension; raises `NotFoundError` where none is registered."""
        targets = self.directory.extension(extension)
        if not targets:
            raise NotFoundError(f"no phone of extension {extension} is registered")
        return Destination(extension, targets, at_once=True, extension=extension)

    def outside(self, number: str) -> Destination:
        """A number outside, whoever asks; raises `NotFoundError` where no trunk leads there."""
        targets = self.directory.outside(number)
        if not targets:
            raise NotFoundError(f"no trunk leads to {number}")
        return Destination(number, targets, at_once=False)
