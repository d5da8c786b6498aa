"""A party of a call: one far end, with its signalling, its media and how far it takes part."""

import logging
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from hotline.errors import ForbiddenError, InvalidInputError
from ivr.calls.captions import GatedTap
from ivr.calls.greeting_wait import GreetingWait
from ivr.media.mixer import CALLER, Role, Supervision
from ivr.media.mixer import Party as Voice
from ivr.media.types import Codec, Leg, RecordingSink, RemoteMedia
from ivr.sdp import DEFAULT_CODECS, Offer, SessionVersion, parse_answer, unknown_remote, write_answer, write_offer
from ivr.sip import CallEnd, Dialog, TransferTarget

log = logging.getLogger(__name__)


class Room(Protocol):
    """What a party tells its call of; on the SIP thread, but for `post`."""

    def post(self, function: Callable[[], None]) -> None:
        """Runs `function` soon on the SIP thread; any thread."""
        ...

    def digit(self, party: "Party", digit: str, offset_ms: int) -> None: ...

    def playback_ended(self, party: "Party", token: int, offset_ms: int) -> None: ...

    def speech(self, party: "Party", *, started: bool, offset_ms: int) -> None: ...

    def media_lost(self, party: "Party") -> None: ...

    def media_changed(self, party: "Party") -> None:
        """The far end holds, resumes, or has sent its answer."""
        ...

    def transfer_asked(self, party: "Party", target: TransferTarget) -> None:
        """Raises `ForbiddenError`, `NotFoundError` or `UnavailableError` to refuse."""
        ...

    def party_ended(self, party: "Party", end: CallEnd) -> None: ...


class Setup(Protocol):
    """Who waits for a party that is rung."""

    def on_ringing(self, party: "Party") -> None: ...

    def on_answered(self, party: "Party") -> None: ...

    def on_failed(self, party: "Party", end: CallEnd) -> None: ...


class Party:
    """A `CallHandler`, an `OutgoingHandler` and a `MediaListener` in one.

    `name`: `caller`, an extension or a number. `extension`: whose phone it is; only phones may ask for transfers.
    `trunk`: the carrier by which it is reached. `on_referred`: who waits for the outcome of a REFER of ours.
    `leg_name`: what the engine calls it; an extension with several phones rings on several legs.
    """

    def __init__(
        self,
        name: str,
        *,
        role: Role,
        room: Room,
        local_host: str = "",
        extension: str | None = None,
        leg_name: str = "",
        codecs: Sequence[Codec] = DEFAULT_CODECS,
        trunk: str = "",
    ) -> None:
        self.name = name
        self.role = role
        self.room = room
        self.extension = extension
        self.trunk = trunk
        self.leg_name = leg_name or name
        self.dialog: Dialog | None = None
        self.setup: Setup | None = None
        self.on_referred: Callable[[int], None] | None = None
        self.greeting: GreetingWait | None = None
        self.tap: GatedTap | None = None
        self.track: RecordingSink | None = None
        self.track_begin_ms = 0
        self.remote: RemoteMedia | None = None
        self.established = False
        self.connected = False  # it takes part in the conversation, unless it is held
        self.held = False  # by us
        self.was_held = False  # by the far end, as was noted last
        self.muted = False
        self.supervision: Supervision | None = None
        self.queued = ""  # of a seat that the distributor chose: for which call
        self.plays = ""  # what it hears while it waits: `music`, `ringback`, or nothing
        self.loops = False  # its flow plays music to it
        self._leg: Leg | None = None
        self.local_host = local_host  # of one that is rung: known when it is
        self.codecs = codecs
        self._session_id = secrets.randbelow(2**31)
        self._version = SessionVersion()

    @property
    def is_caller(self) -> bool:
        return self.leg_name == CALLER

    @property
    def leg(self) -> Leg:
        if self._leg is None:
            raise InvalidInputError(f"{self.name} has no media yet")
        return self._leg

    @leg.setter
    def leg(self, leg: Leg) -> None:
        self._leg = leg

    @property
    def far_held(self) -> bool:
        """The far end holds us."""
        return self.remote is not None and not self.remote.send

    @property
    def talking(self) -> bool:
        """Whether it can hear and be heard."""
        return self.established and self.connected and not self.held and not self.far_held

    @property
    def voice(self) -> Voice:
        """The party as the mix sees it."""
        return Voice(role=self.role, muted=self.muted, held=not self.talking, supervision=self.supervision)

    @property
    def track_name(self) -> str:
        """The part of its track's file name that is its own."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", self.leg_name)

    def drop_media(self) -> None:
        """Frees the leg of a party that never took part; nothing of it is kept."""
        if self.track is not None:
            self.track.discard()
        self.leg.close()

    def forget_far_end(self) -> None:
        """The way that was tried came to nothing: what it said of its media (early media) binds no other."""
        if self.remote is not None:
            self.leg.update(unknown_remote(self.remote.address.host, self.codecs[0]))
            self.remote = None

    def hang_up(self, *, q850: int | None = None) -> None:
        """Ends its signalling, in whatever state; a fault there keeps nobody else in the call."""
        self.setup = None
        self._stop_waiting()
        if self.dialog is not None:
            try:
                self.dialog.hang_up(q850=q850)
            except Exception:
                log.exception("%s was not hung up properly", self.name)

    # --- SDP ---

    def sdp_offer(self) -> str:
        """Our offer; once a codec is agreed it stays, as a recording has one format."""
        codecs = self.codecs if self.remote is None else (self.remote.codec,)
        return self._version.describe(
            lambda version: write_offer(
                host=self.local_host,
                port=self.leg.local_port,
                session_id=self._session_id,
                version=version,
                codecs=codecs,
            )
        )

    def sdp_answer(self, offer: Offer) -> str:
        """Our answer to `offer`."""
        return self._version.describe(
            lambda version: write_answer(
                offer, host=self.local_host, port=self.leg.local_port, session_id=self._session_id, version=version
            )
        )

    def _take(self, remote: RemoteMedia) -> None:
        self.leg.update(remote)
        self.remote = remote
        self.room.media_changed(self)

    # --- signalling ---

    def on_update(self, offer: Offer | None) -> str:
        if offer is None:
            return self.sdp_offer()
        if self.remote is not None and offer.remote.codec is not self.remote.codec:
            raise InvalidInputError("a call keeps its codec")
        self._take(offer.remote)
        return self.sdp_answer(offer)

    def on_answer(self, sdp: str) -> None:
        codecs = self.codecs if self.remote is None else (self.remote.codec,)
        self._take(parse_answer(sdp, offered=codecs))

    def on_ringing(self, sdp: str | None) -> None:
        if sdp is not None:
            self.on_answer(sdp)
        if self.setup is not None:
            self.setup.on_ringing(self)

    def on_answered(self, sdp: str) -> None:
        self.on_answer(sdp)
        self.established = True
        setup, self.setup = self.setup, None
        if setup is not None:
            setup.on_answered(self)

    def on_transfer(self, target: TransferTarget) -> None:
        if self.extension is None:
            raise ForbiddenError("a caller transfers nobody")
        self.room.transfer_asked(self, target)

    def on_transfer_result(self, code: int) -> None:
        if self.on_referred is not None:
            self.on_referred(code)

    def _stop_waiting(self) -> None:
        if self.greeting is not None:
            self.greeting.cancel()
            self.greeting = None

    def on_ended(self, end: CallEnd) -> None:
        self._stop_waiting()
        setup, self.setup = self.setup, None
        if setup is not None:
            setup.on_failed(self, end)
        else:
            self.room.party_ended(self, end)

    # --- the engine; on its thread ---

    def on_digit(self, digit: str, offset_ms: int | None = None) -> None:
        """Of the engine, which also hears of those of signalling (SIP INFO, without an offset): it knows each press."""
        if offset_ms is None:
            self.leg.info_digit(digit)
        else:
            self.room.post(lambda: self.room.digit(self, digit, offset_ms))

    def on_playback_ended(self, token: int, completed: bool, offset_ms: int) -> None:
        self.room.post(lambda: self.room.playback_ended(self, token, offset_ms))

    def on_speech_started(self, offset_ms: int) -> None:
        self.room.post(lambda: self.room.speech(self, started=True, offset_ms=offset_ms))

    def on_speech_ended(self, offset_ms: int) -> None:
        self.room.post(lambda: self.room.speech(self, started=False, offset_ms=offset_ms))

    def on_media_timeout(self) -> None:
        self.room.post(lambda: self.room.media_lost(self))
