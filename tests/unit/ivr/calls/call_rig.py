"""A call with in-memory signalling, media and recognition: the site around it that tests of calls share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from media_rig import Engine, Media, Sink

from hotline.bus import BackgroundPublisher, Event, MemoryBus
from hotline.clock import ManualClock
from hotline.errors import UnavailableError
from ivr.access.dialplan import DialPlan, Route
from ivr.acd.distributor import Distributor
from ivr.acd.local import LocalAcd
from ivr.announcements.prompts import PromptLibrary
from ivr.calls.call import Call
from ivr.calls.captions import CaptionEvent, CaptionsEnded
from ivr.calls.exchange import Exchange
from ivr.calls.flow_run import Languages
from ivr.calls.services import CallServices
from ivr.journal import Journal, JournalWriter
from ivr.media.types import Codec
from ivr.menu.flow import Flow
from ivr.menu.machine import MenuMachine, load_flow
from ivr.sdp import DEFAULT_CODECS, parse_offer
from ivr.sip import CallEnd, CallHandler, EndReason, Invitation, OutgoingHandler, Replaces, SipTarget

ROOT = Path(__file__).resolve().parents[4]
PROMPTS = PromptLibrary.load(ROOT / "ivr/prompts/zh")
SDP = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"


@cache
def shipped(flow_name: str) -> Flow:
    """A flow of the product."""
    return load_flow(ROOT / f"ivr/flows/{flow_name}.yaml", prompts=frozenset(PROMPTS.names))


class Loop:
    """The SIP thread by hand."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.posted: list[Callable[[], None]] = []
        self.timers: list[LoopTimer] = []

    def post(self, function: Callable[[], None]) -> None:
        self.posted.append(function)

    def call_later(self, seconds: float, function: Callable[[], None]) -> "LoopTimer":
        timer = LoopTimer(self.clock.monotonic() + seconds, function)
        self.timers.append(timer)
        return timer

    def run(self, seconds: float = 0.0) -> None:
        """Runs what is posted and every timer due within `seconds`, in order."""
        end = self.clock.monotonic() + seconds
        while True:
            while self.posted:
                self.posted.pop(0)()
            due = [timer for timer in self.timers if not timer.cancelled and timer.at <= end]
            if not due:
                break
            timer = min(due, key=lambda item: item.at)
            timer.cancelled = True
            self.clock.advance(max(0.0, timer.at - self.clock.monotonic()))
            timer.function()
        self.clock.advance(end - self.clock.monotonic())


@dataclass
class LoopTimer:
    at: float
    function: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class DirectJournal:
    """Writes at once and in this thread."""

    def __init__(self, path: Path) -> None:
        self.writer = JournalWriter(path)

    def append(self, kind: str, at: datetime, **data: Any) -> None:
        self.writer.append(kind, at, **data)

    def close(self, on_closed: Callable[[], None]) -> None:
        self.writer.close()
        on_closed()


@dataclass
class Tap:
    sample_rate: int
    on_event: Callable[[CaptionEvent], None]
    finished: bool = False

    def feed(self, pcm: bytes) -> None:
        raise AssertionError("no audio flows in these tests")

    def finish(self) -> None:
        self.finished = True

    def end(self) -> None:
        """The last words have come."""
        self.on_event(CaptionsEnded(complete=True))


class Dialog:
    """Signalling of one far end: what we told it."""

    def __init__(self, sip_call_id: str = "x@y") -> None:
        self.sip_call_id = sip_call_id
        self.hung_up = False
        self.q850: int | None = None
        self.answered_with = ""
        self.rang = False
        self.rejected: int | None = None
        self.progress: list[int] = []
        self.referred: list[tuple[str, object]] = []

    def is_named(self, replaces: Replaces) -> bool:
        return replaces.sip_call_id == self.sip_call_id

    def hang_up(self, *, code: int = 200, q850: int | None = None) -> None:
        self.hung_up, self.q850 = True, q850

    def answer(self, sdp: str) -> None:
        self.answered_with = sdp

    def ring(self, sdp: str | None = None) -> None:
        self.rang = True

    def reject(self, code: int, *, retry_after_s: int | None = None) -> None:
        self.rejected = code

    def update(self, sdp: str) -> None:
        raise AssertionError("nobody is held by signalling")

    def refer(self, target: str, *, replaces: object = None) -> None:
        self.referred.append((target, replaces))

    def transfer_progress(self, code: int) -> None:
        self.progress.append(code)


@dataclass
class Placed:
    """A call of ours."""

    target: SipTarget
    caller: str
    sdp: str
    handler: OutgoingHandler
    dialog: Dialog

    def answer(self) -> None:
        self.handler.on_answered(SDP)

    def fail(self, reason: str = EndReason.BUSY) -> None:
        self.handler.on_ended(CallEnd(reason))


class Signalling(Loop):
    """The SIP thread by hand, and the calls that we place."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.placed: list[Placed] = []

    def host_towards(self, target: SipTarget) -> str:
        return "127.0.0.1"

    silent: bool = False  # nothing can be sent

    def dial(
        self,
        target: SipTarget,
        *,
        caller: str,
        display_name: str = "",
        sdp: str,
        handler: OutgoingHandler,
        timeout_s: float,
    ) -> Dialog:
        if self.silent:
            raise UnavailableError("no transport")
        assert "m=audio" in sdp
        self.placed.append(Placed(target, caller, sdp, handler, Dialog(f"out{len(self.placed)}")))
        return self.placed[-1].dialog

    def to(self, user: str) -> Placed:
        """The latest call to a user or number."""
        return [placed for placed in self.placed if placed.target.uri.startswith(f"sip:{user}@")][-1]


class Phones:
    """A `Directory`: extensions with as many phones, and one trunk or more."""

    def __init__(self) -> None:
        self.extensions = {"8001": 1, "8002": 1, "8003": 1}
        self.trunks = 1

    def extension(self, name: str) -> tuple[SipTarget, ...]:
        return tuple(SipTarget(f"sip:{name}@127.0.0.{n + 10}:5060") for n in range(self.extensions.get(name, 0)))

    def outside(self, number: str) -> tuple[SipTarget, ...]:
        return tuple(SipTarget(f"sip:{number}@127.0.1.{n + 1}:5060", trunk="city") for n in range(self.trunks))

    def caller_id(self, number: str) -> str:
        return "01012345"

    refers = False  # whether the trunk puts callers through

    def referral(self, trunk: str, number: str) -> str:
        return f"sip:{number}@{trunk}.example" if self.refers else ""


class Site:
    """One exchange with everything it needs, in memory."""

    def __init__(
        self,
        spool: Path,
        *,
        flow_name: str = "intake",
        tracks: bool = False,
        codecs: tuple[Codec, ...] = DEFAULT_CODECS,
    ) -> None:
        self.clock = ManualClock()
        self.loop = Signalling(self.clock)
        self.phones = Phones()
        self.engine = Engine(self.clock)
        self.bus = MemoryBus()
        self.jobs: list[tuple[str, dict[str, Any]]] = []
        self.taps: list[Tap] = []
        self.sinks: list[Sink] = []
        self.sinks_work = True
        self.publisher = BackgroundPublisher(self.bus)
        flow, survey = shipped(flow_name), shipped("survey")
        services = CallServices(
            node="n1",
            spool=spool,
            clock=self.clock,
            engine=self.engine,  # type: ignore[arg-type] # the in-memory engine
            languages=Languages(PROMPTS, {}),
            flow=MenuMachine(flow),
            outbound_flows={"survey": MenuMachine(survey)},
            publisher=self.publisher,
            enqueue=lambda name, arguments: self.jobs.append((name, arguments)),
            open_journal=DirectJournal,
            open_sink=self._open_sink,
            open_track=self._open_sink if tracks else None,
            open_captions=self._open_tap,
            directory=self.phones,
            plan=DialPlan(
                from_extension=("12345",),
                outgoing=("13XXXXXXXXX",),
                between_extensions=True,
                is_extension=lambda name: name.startswith("80"),
            ),
            codecs=codecs,
            max_call_s=600,
            ring_s=30,
        )
        self.exchange = Exchange(
            services,
            self.loop,
            make_acd=lambda handle: LocalAcd(
                Distributor(flow.queues.values()), loop=self.loop, clock=self.clock, handle=handle
            ),
        )
        self.queues = flow.queues
        self.dialog = Dialog()
        self.dialogs: list[Dialog] = []
        self.spool = spool

    def _open_sink(self, path: Path, sample_rate: int, on_closed: Callable[[], None]) -> Sink:
        self.sinks.append(Sink(path, sample_rate, on_closed, self.sinks_work))
        return self.sinks[-1]

    def _open_tap(
        self, _call_id: str, _speaker: str, sample_rate: int, on_event: Callable[[CaptionEvent], None]
    ) -> Tap:
        self.taps.append(Tap(sample_rate, on_event))
        return self.taps[-1]

    def answer(self) -> CallHandler:
        invitation = Invitation("x@y", "13800138000", "12345", "127.0.0.2", "127.0.0.1", parse_offer(SDP))
        handler, answer = self.exchange.answer(invitation, self.dialog)
        assert answer is not None
        assert "m=audio 20000 RTP/AVP 8 101" in answer
        self.loop.run()
        return handler

    def answer_without_offer(self) -> CallHandler:
        invitation = Invitation("x@y", "13800138000", "12345", "127.0.0.2", "127.0.0.1", None)
        handler, offer = self.exchange.answer(invitation, self.dialog)
        assert offer is not None
        assert "m=audio 20000 RTP/AVP 8 101" in offer
        self.loop.run()
        return handler

    @property
    def media(self) -> Media:
        return self.engine.calls[-1]

    def finish_playing(self) -> None:
        self.media.finish_playing()
        self.loop.run()

    def speak(self, seconds: float) -> None:
        self.media.listener.on_speech_started(self.media.offset_ms())
        self.loop.run(seconds)
        self.media.listener.on_speech_ended(self.media.offset_ms())
        self.loop.run()

    def press(self, digit: str) -> None:
        self.media.listener.on_digit(digit, self.media.offset_ms())
        self.loop.run()

    def captions_end(self, *, complete: bool) -> None:
        self.taps[0].on_event(CaptionsEnded(complete))
        self.loop.run()

    def journal(self) -> Journal:
        (path,) = self.spool.glob("*.jsonl")
        return Journal.read(path)

    def place(self, route: Route | None, *, extension: str | None = None, called: str = "12345") -> "Leg":
        """A call that comes in: of an extension, or of a trunk."""
        dialog = Dialog(f"in{len(self.dialogs)}")
        self.dialogs.append(dialog)
        invitation = Invitation(
            dialog.sip_call_id,
            extension or "13800138000",
            called,
            "127.0.0.2",
            "127.0.0.1",
            parse_offer(SDP),
            extension=extension,
            trunk=None if extension else "city",
            route=route,
        )
        handler, answer = self.exchange.answer(invitation, dialog)
        self.loop.run()
        return Leg(handler, dialog, answer)

    def only_call(self) -> Call:
        """The call in progress."""
        (call,) = [call for call in self.exchange.calls if not call.ended]
        return call

    def events(self, topic: str = "call") -> list[str]:
        """Names of the events so far."""
        return [event.name for event in self.published() if event.topic == topic]

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.journal().entries]

    def published(self) -> list[Event]:
        self.publisher.close()
        return self.bus.published


@dataclass
class Leg:
    """A far end that called us."""

    handler: CallHandler
    dialog: Dialog
    answer: str | None
