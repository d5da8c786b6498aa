"""A call in progress: signalling, media, menu, journal and captions joined. Everything here runs on the SIP thread.

`Exchange` answers invitations; each becomes a `Call`. The engine's and the recognizer's threads cross over with `post`.
Nothing here waits: a broker, a recognizer or a worker that is away costs the caller nothing but the spoken number.
"""

import contextlib
import logging
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hotline.bus import BackgroundPublisher, Event
from hotline.clock import Clock
from hotline.errors import ForbiddenError, InvalidInputError
from ivr.dialplan import ToExtension, ToTrunk
from ivr.journal import AUDIO_SUFFIX, JOURNAL_SUFFIX, CallJournal
from ivr.media.engine import MediaEngine
from ivr.media.types import AudioTap, Codec, MediaCall, RecordingSink, RemoteMedia, RtpAddress
from ivr.menu import (
    Answered,
    DemandRecorded,
    Digit,
    Hangup,
    MenuEvent,
    MenuMachine,
    MenuState,
    NumberAssigned,
    Play,
    PlaybackEnded,
    RequestNumber,
    SpeechEnded,
    SpeechStarted,
    StopPlaying,
    TimePassed,
)
from ivr.prompts import PromptLibrary
from ivr.sdp import Offer, SessionVersion, parse_answer, write_answer, write_offer
from ivr.sip import CallEnd, CallHandler, Dialog, Invitation, Timer, TransferTarget

log = logging.getLogger(__name__)

STATE_TTL_S = 60
STATE_REFRESH_S = 20.0
KEPT_CAPTIONS = 200
CAPTIONS_TIMEOUT_S = 15.0
Q850_CAUSES = {"media_timeout": 102, "internal_error": 41}  # what our BYE says (RFC 3326); else normal clearing
OUR_SIDE = "hotline"
CALLER = "caller"


@dataclass(frozen=True)
class CaptionPartial:
    """What the speaker seems to be saying; may still change."""

    text: str


@dataclass(frozen=True)
class CaptionFinal:
    """A finished utterance; `words`: (text, start_ms, end_ms, confidence)."""

    text: str
    words: tuple[tuple[str, int, int, float], ...]


@dataclass(frozen=True)
class CaptionsEnded:
    """Nothing follows. `complete`: every word of the call was heard. `model`: which one listened, for the journal."""

    complete: bool
    model: Mapping[str, Any] = field(default_factory=dict)


CaptionEvent = CaptionPartial | CaptionFinal | CaptionsEnded


class CaptionTap(AudioTap, Protocol):
    """An `AudioTap` that turns what it is fed into caption events."""

    def finish(self) -> None:
        """No more audio; `CaptionsEnded` follows."""
        ...


class SipLoop(Protocol):
    """What a call needs of the SIP thread."""

    def post(self, function: Callable[[], None]) -> None: ...

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer: ...


@dataclass(frozen=True)
class CallServices:
    """What calls share. `open_sink` reports when the file is complete; `open_captions` may report from any thread."""

    node: str
    spool: Path
    clock: Clock
    engine: MediaEngine
    prompts: PromptLibrary
    machine: MenuMachine
    publisher: BackgroundPublisher
    enqueue: Callable[[str, dict[str, Any]], None]
    open_journal: Callable[[Path], CallJournal]
    open_sink: Callable[[Path, Callable[[], None]], RecordingSink]
    open_captions: Callable[[str, Callable[[CaptionEvent], None]], CaptionTap]
    max_call_s: float


class Exchange:
    """Answers invitations and knows the calls in progress."""

    def __init__(self, services: CallServices, loop: SipLoop) -> None:
        self._services = services
        self._loop = loop
        self._calls: dict[str, Call] = {}

    def answer(self, invitation: Invitation, dialog: Dialog) -> tuple[CallHandler, str | None]:
        """Takes the call at once; raises `UnavailableError` where no media is to be had."""
        if invitation.replaces is not None:
            raise ForbiddenError("a caller takes over nobody's call")
        if isinstance(invitation.route, (ToExtension, ToTrunk)):
            raise ForbiddenError("the menu puts no call through to an extension or a number outside")
        call_id = uuid.uuid4().hex
        call = Call(call_id, self._services, self._loop, invitation, dialog, lambda: self._calls.pop(call_id, None))
        self._calls[call_id] = call
        if invitation.offer is None:
            return call, call.sdp_offer()  # the flow begins when the far end has said where it listens
        self._loop.post(call.start)
        return call, call.sdp_answer(invitation.offer)

    def number_assigned(self, event: Event) -> None:
        """A `number.assigned` event; on the SIP thread."""
        call = self._calls.get(str(event.data.get("call_id")))
        if call is not None:
            call.number_assigned(NumberAssigned(str(event.data["number"]), str(event.data["lookup_code"])))

    def end_all(self, reason: str) -> None:
        """Hangs up every call; on the SIP thread. One that cannot be ended does not keep the others."""
        for call in list(self._calls.values()):
            try:
                call.end(reason)
            except Exception:
                log.exception("call %s was not ended properly", call.call_id)

    def give_up_captions(self) -> None:
        """Ended calls wait for the last words no longer; on the SIP thread."""
        for call in list(self._calls.values()):
            call.give_up_captions()

    @property
    def unfinished(self) -> int:
        """Calls whose journal is not yet closed."""
        return len(self._calls)


class Call:
    """One call; a `CallHandler` to signalling and a `MediaListener` to the engine."""

    def __init__(
        self,
        call_id: str,
        services: CallServices,
        loop: SipLoop,
        invitation: Invitation,
        dialog: Dialog,
        on_closed: Callable[[], Any],
    ) -> None:
        started = services.clock.monotonic()
        self.call_id = call_id
        self._services = services
        self._loop = loop
        self._invitation = invitation
        self._dialog = dialog
        self._on_closed = on_closed
        self._sdp_session = secrets.randbelow(2**31)
        self._sdp_version = SessionVersion()
        self._menu = MenuState()
        self._menu_timer: Timer | None = None
        self._token = 0
        self._playing: tuple[int, str] | None = None  # start offset and text of what our side says
        self._held = False
        self._started = False
        self._ended = False
        self._closed = False
        self._sink_closed = False
        self._captions_ended: CaptionsEnded | None = None
        self._partial_since: int | None = None
        self._answered_at = services.clock.now()
        self._captions: list[dict[str, Any]] = []
        self._timers: list[Timer] = []
        self._path = services.spool / f"{call_id}{JOURNAL_SUFFIX}"
        with contextlib.ExitStack() as undo:
            sink = services.open_sink(self._path.with_suffix(AUDIO_SUFFIX), lambda: loop.post(self._on_sink_closed))
            undo.callback(sink.discard)
            self._tap = services.open_captions(call_id, lambda event: loop.post(lambda: self._on_caption(event)))
            undo.callback(self._tap.finish)
            self._remote = invitation.offer.remote if invitation.offer else _unknown_remote(invitation.peer)
            self._media: MediaCall = services.engine.open(listener=self, remote=self._remote, sink=sink, tap=self._tap)
            undo.pop_all()
        self._journal = services.open_journal(self._path)
        self._note(
            "opened",
            call_id=call_id,
            node=services.node,
            sip_call_id=invitation.sip_call_id,
            caller=invitation.caller,
            called=invitation.called,
            peer=invitation.peer,
            codec=self._remote.codec.name,
            sample_rate=8000,
        )
        self._note("answered", answer_ms=round((services.clock.monotonic() - started) * 1000, 3))

    def start(self) -> None:
        """The 200 OK is out: the flow begins."""
        if self._ended:
            return
        self._started = True
        self._publish("call.answered", **self._identity())
        self._refresh_state()
        self._timers.append(self._loop.call_later(self._services.max_call_s, lambda: self.end("time_limit")))
        self._step(Answered())

    def sdp_offer(self) -> str:
        """Our offer where the far end wants one: the codec of the call, as its recording has one format."""
        return self._sdp_version.describe(
            lambda version: write_offer(
                host=self._invitation.local_host,
                port=self._media.local_port,
                session_id=self._sdp_session,
                version=version,
                codecs=(self._remote.codec,),
            )
        )

    def sdp_answer(self, offer: Offer) -> str:
        """Our answer to `offer`."""
        return self._sdp_version.describe(
            lambda version: write_answer(
                offer,
                host=self._invitation.local_host,
                port=self._media.local_port,
                session_id=self._sdp_session,
                version=version,
            )
        )

    # --- signalling ---

    def on_update(self, offer: Offer | None) -> str:
        if offer is None:
            return self.sdp_offer()
        if offer.remote.codec is not self._remote.codec:
            raise InvalidInputError("a call keeps its codec")
        self._set_remote(offer.remote)
        return self.sdp_answer(offer)

    def on_answer(self, sdp: str) -> None:
        self._set_remote(parse_answer(sdp, offered=(self._remote.codec,)))
        if not self._started:
            self.start()

    def _set_remote(self, remote: RemoteMedia) -> None:
        self._media.update(remote)
        self._remote = remote
        held = not remote.send
        if held != self._held:
            self._held = held
            self._note("held" if held else "resumed", offset_ms=self._media.offset_ms())

    def on_transfer(self, target: TransferTarget) -> None:
        raise ForbiddenError("a caller transfers nobody")

    def on_transfer_result(self, code: int) -> None:
        """A call of the flow is not transferred."""

    def on_ended(self, end: CallEnd) -> None:
        self._finish(end.reason)

    def end(self, reason: str) -> None:
        """Our side ends the call."""
        if not self._ended:
            try:
                self._dialog.hang_up(q850=Q850_CAUSES.get(reason))
            finally:  # whatever becomes of the BYE, the call is over
                self._finish(reason)

    # --- the engine; on its thread ---

    def on_digit(self, digit: str, offset_ms: int | None = None) -> None:
        """Of the engine, or of signalling (SIP INFO, without an offset)."""
        at_ms = self._media.offset_ms() if offset_ms is None else offset_ms
        self._loop.post(lambda: self._digit(digit, at_ms))

    def on_playback_ended(self, token: int, completed: bool, offset_ms: int) -> None:
        self._loop.post(lambda: self._playback_ended(token, offset_ms))

    def on_speech_started(self, offset_ms: int) -> None:
        self._loop.post(lambda: self._step(SpeechStarted(offset_ms)))

    def on_speech_ended(self, offset_ms: int) -> None:
        self._loop.post(lambda: self._step(SpeechEnded(offset_ms)))

    def on_media_timeout(self) -> None:
        self._loop.post(lambda: self.end("media_timeout"))

    # --- the flow ---

    def number_assigned(self, number: NumberAssigned) -> None:
        """The worker answered our request."""
        if not self._ended:
            self._note("number", number=number.number, lookup_code=number.lookup_code)
            self._step(number)

    def _digit(self, digit: str, offset_ms: int) -> None:
        if not self._ended:
            self._note("digit", offset_ms=offset_ms, digit=digit)
            self._step(Digit(digit, offset_ms))

    def _playback_ended(self, token: int, offset_ms: int) -> None:
        if token != self._token:
            return
        self._said(offset_ms)
        self._step(PlaybackEnded())

    def _step(self, event: MenuEvent) -> None:
        """The flow goes on; an error of ours ends the call rather than leave the caller in silence."""
        if self._ended:
            return
        try:
            self._follow(event)
        except Exception:
            log.exception("call %s: the flow failed at %r", self.call_id, self._menu.name)
            self.end("internal_error")

    def _follow(self, event: MenuEvent) -> None:
        now = self._services.clock.monotonic()
        begun = self._menu.demand_start_ms
        self._menu, commands = self._services.machine.step(self._menu, event, now)
        if begun is None and self._menu.demand_start_ms is not None:  # so that a crash leaves a demand behind
            self._note("demand_begun", start_ms=self._menu.demand_start_ms)
        for command in commands:
            match command:
                case Play(items):
                    self._play(items)
                case StopPlaying():
                    self._token += 1  # the end of what is stopped means nothing any more
                    self._media.stop_playing()
                    self._said(self._media.offset_ms())
                case DemandRecorded(start_ms, end_ms):
                    self._note("demand", start_ms=start_ms, end_ms=end_ms)
                case RequestNumber():
                    self._services.enqueue("assign_number", {"call_id": self.call_id})
                case Hangup():
                    self.end("completed")
                    return
        self._arm_menu_timer(now)

    def _arm_menu_timer(self, now: float) -> None:
        if self._menu_timer is not None:
            self._menu_timer.cancel()
            self._menu_timer = None
        deadline = self._menu.deadline
        if deadline is not None and not self._ended:
            self._menu_timer = self._loop.call_later(
                deadline - now, lambda: self._step(TimePassed(self._media.offset_ms()))
            )

    def _play(self, items: tuple[str, ...]) -> None:
        prompts = self._services.prompts
        names = [name for item in items for name in _names(prompts, item)]
        text = "".join(item.removeprefix("say:") if item.startswith("say:") else prompts.text(item) for item in items)
        self._token += 1
        self._playing = (self._media.offset_ms(), text)
        self._media.play(np.concatenate([prompts.samples(name) for name in names]), token=self._token)

    def _said(self, end_ms: int) -> None:
        """What our side said is over: into the journal and onto the pages."""
        if self._playing is None:
            return
        (start_ms, text), self._playing = self._playing, None
        self._note("prompt", start_ms=start_ms, end_ms=end_ms, text=text)
        self._caption(OUR_SIDE, text, start_ms, end_ms)

    # --- captions ---

    def _on_caption(self, event: CaptionEvent) -> None:
        match event:
            case CaptionPartial(text):
                if self._partial_since is None:
                    self._partial_since = self._media.offset_ms()
                self._publish(
                    "caption.partial", call_id=self.call_id, speaker=CALLER, text=text, start_ms=self._partial_since
                )
            case CaptionFinal(text, words) if not self._closed:
                self._partial_since = None
                start_ms, end_ms = words[0][1], words[-1][2]
                self._note("segment", speaker=CALLER, start_ms=start_ms, end_ms=end_ms, words=[list(w) for w in words])
                self._caption(CALLER, text, start_ms, end_ms)
            case CaptionsEnded() if self._captions_ended is None:
                self._captions_ended = event
                self._close_when_complete()

    def _caption(self, speaker: str, text: str, start_ms: int, end_ms: int) -> None:
        caption = {"speaker": speaker, "text": text, "start_ms": start_ms, "end_ms": end_ms}
        self._captions = [*self._captions[-KEPT_CAPTIONS + 1 :], caption]
        self._publish("caption.final", call_id=self.call_id, **caption)
        if not self._ended:
            self._put_state()

    def _identity(self) -> dict[str, Any]:
        return {
            "call_id": self.call_id,
            "caller": self._invitation.caller,
            "called": self._invitation.called,
            "node": self._services.node,
            "answered_at": self._answered_at.isoformat(),
        }

    def _put_state(self) -> None:
        state = {**self._identity(), "captions": self._captions}
        self._services.publisher.put_state("call", self.call_id, state, ttl_s=STATE_TTL_S)

    def _refresh_state(self) -> None:
        if not self._ended:
            self._put_state()
            self._timers.append(self._loop.call_later(STATE_REFRESH_S, self._refresh_state))

    def _publish(self, name: str, **data: Any) -> None:
        self._services.publisher.publish(Event(name=name, at=self._now(), data=data))

    # --- the end ---

    def _finish(self, reason: str) -> None:
        if self._ended:
            return
        duration_ms = self._media.offset_ms()
        self._said(duration_ms)
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        if self._menu_timer is not None:
            self._menu_timer.cancel()
        if self._menu.demand_start_ms is not None:  # hung up while telling the demand
            self._note("demand", start_ms=self._menu.demand_start_ms, end_ms=duration_ms)
        self._note("ended", reason=reason, duration_ms=duration_ms)
        self._menu = replace(self._menu, over=True)
        self._media.close()
        self._tap.finish()
        self._publish("call.ended", call_id=self.call_id, reason=reason, duration_ms=duration_ms)
        self._services.publisher.drop_state("call", self.call_id)
        self._timers = [self._loop.call_later(CAPTIONS_TIMEOUT_S, self.give_up_captions)]

    def _on_sink_closed(self) -> None:
        self._sink_closed = True
        self._close_when_complete()

    def give_up_captions(self) -> None:
        """The last words did not come in time: the recording will be transcribed."""
        if self._ended and self._captions_ended is None:
            self._captions_ended = CaptionsEnded(complete=False)
            self._close_when_complete()

    def _close_when_complete(self) -> None:
        """The journal's last lines, once the recording is whole; when they are on the disk the call is the worker's."""
        if not self._ended or not self._sink_closed or self._captions_ended is None or self._closed:
            return
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        self._note("captions", complete=self._captions_ended.complete, **self._captions_ended.model)
        self._note("closed")
        self._journal.close(lambda: self._loop.post(self._hand_over))

    def _hand_over(self) -> None:
        self._services.enqueue("ingest_call", {"journal_path": f"{self._services.node}/{self._path.name}"})
        self._on_closed()

    def _note(self, kind: str, **data: Any) -> None:
        self._journal.append(kind, self._now(), **data)

    def _now(self) -> datetime:
        return self._services.clock.now()


def _names(prompts: PromptLibrary, item: str) -> list[str]:
    return prompts.spell(item.removeprefix("say:")) if item.startswith("say:") else [item]


def _unknown_remote(peer: str) -> RemoteMedia:
    """A far end that has not yet said where it listens (late offer): nothing is sent to it."""
    return RemoteMedia(address=RtpAddress(peer.strip("[]"), 9), codec=Codec.PCMA, telephone_event=None, send=False)
