"""The people in a call: who is rung, who talks, who is held, muted or listened to; `transfers` hands them over.

| what is asked | who hears whom, until it is over |
|---|---|
| hold | the held party hears music, the others do not hear it |
| mute | the muted party hears, and is not heard |
| transfer | the party leaves, the others hear ringing, then the target |
| consult | the others hear music, the party talks to the target |
| conference | the target joins |
| supervise | the supervisor listens, whispers to seats or is heard by all |

Who hears whom is `mixer.mix_of` of the parties; who is alone hears music, or ringing while somebody is rung.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hotline.errors import ConflictError, HotlineError, InvalidInputError, NotFoundError
from ivr.calls.captions import GatedTap
from ivr.calls.party import Party, Room
from ivr.calls.referral import Referral
from ivr.calls.ringing import Ringing, Signalling
from ivr.calls.services import CallServices, Destination
from ivr.media.mixer import CALLER, Role, Supervision, mix_of
from ivr.media.tones import ringback
from ivr.media.types import MediaCall, RecordingSink, Samples
from ivr.sip import SipTarget

MUSIC: Final = "hold_music"
RINGBACK: Final = "ringback"
WAITING_TOKEN = 0
"""What plays while somebody waits; nobody asks when it ends."""
ANNOUNCEMENT_TOKEN = -1

Answered = Callable[[Party], None]
Failed = Callable[[str], None]


class Conversation(Room, ABC):
    """The parties of a call and what can be done with them; each method may be repeated without harm.

    All methods raise `NotFoundError` for a party that is not there. Only on the SIP thread.
    """

    caller: Party
    media: MediaCall
    sample_rate: int
    """Of the recording, the captions and the tracks."""

    def __init__(self, call_id: str, services: CallServices, signalling: Signalling) -> None:
        self.call_id = call_id
        self.services = services
        self.signalling = signalling
        self.parties: dict[str, Party] = {}
        self.ended = False
        self._ringings: dict[str, Ringing | Referral] = {}
        self._legs = 0
        self._recording_paused = False
        self._modes: dict[str, Supervision] = {}

    # --- what the call does about it ---

    @abstractmethod
    def note(self, kind: str, **data: Any) -> None:
        """Into the journal."""

    @abstractmethod
    def publish(self, name: str, **data: Any) -> None:
        """An event of this call."""

    @abstractmethod
    def left_alone(self) -> None:
        """Nobody is left to talk with, nor rung for one who talks: the flow goes on, or the call is over."""

    @abstractmethod
    def party_left(self, party: Party) -> None:
        """A party that took part is gone."""

    @abstractmethod
    def shown_to(self, destination: Destination) -> tuple[str, str]:
        """Number and name that a rung party sees."""

    @abstractmethod
    def begin_captions(self, party: Party) -> None:
        """A party begins to take part."""

    def party(self, name: str) -> Party:
        """Raises `NotFoundError`."""
        found = self.parties.get(name)
        if found is None:
            raise NotFoundError(f"{name[:64]} takes no part in the call")
        return found

    # --- who is there ---

    def ring(self, destination: Destination, *, role: Role, answered: Answered, failed: Failed) -> None:
        """Rings somebody; raises `ConflictError` where he is in the call already."""
        name = destination.name
        if name in self.parties or name in self._ringings:
            raise ConflictError(f"{name} is in the call already")
        self._start_ringing(
            destination, role, lambda target: self._open_party(destination, target, role), answered, failed
        )

    def ring_caller(self, destination: Destination, *, answered: Answered, failed: Failed) -> None:
        """Rings the one whom the call is for (a call of ours): he has one leg, so one phone after another."""

        def open_party(target: SipTarget) -> Party:
            self.caller.local_host = self.signalling.host_towards(target)
            self.caller.trunk = target.trunk
            return self.caller

        self._start_ringing(replace(destination, at_once=False), Role.CALLER, open_party, answered, failed)

    def cancel_ringing(self, name: str) -> None:
        """Stops ringing somebody, or drops one who answered and does not yet take part."""
        ringing = self._ringings.pop(name, None)
        if ringing is not None:
            ringing.cancel()
            self.remix()
        elif name in self.parties and not self.parties[name].connected:
            self.remove(self.parties[name])

    def _start_ringing(
        self,
        destination: Destination,
        role: Role,
        open_party: Callable[[SipTarget], Party],
        answered: Answered,
        failed: Failed,
    ) -> None:
        name = destination.name

        def on_answered(party: Party) -> None:
            del self._ringings[name]
            self.parties[party.name] = party
            answered(party)
            self.remix()
            self.settle()  # others may have left while it rang

        def on_failed(reason: str) -> None:
            del self._ringings[name]
            self.publish("call.party_failed", party=name, reason=reason)
            failed(reason)
            self.remix()
            self.settle()

        number, display_name = self.shown_to(destination)
        ringing = self._ringings[name] = Ringing(
            destination.targets,
            at_once=destination.at_once,
            role=role,
            signalling=self.signalling,
            caller=number,
            display_name=display_name,
            timeout_s=self.services.ring_s,
            open_party=open_party,
            close_party=_close_leg,
            ringing=lambda: self.publish("call.party_ringing", party=name),
            answered=on_answered,
            failed=on_failed,
        )
        ringing.start()
        self.show()
        self.remix()

    def _open_party(self, destination: Destination, target: SipTarget, role: Role) -> Party:
        self._legs += 1
        party = Party(
            destination.name,
            role=role,
            room=self,
            local_host=self.signalling.host_towards(target),
            extension=destination.extension,
            leg_name=f"{destination.name}/{self._legs}",
            codecs=self.services.codecs,
            trunk=target.trunk,
        )
        self.open_leg(party)
        return party

    def open_leg(self, party: Party) -> None:
        """Media for a party that is rung, or has come in."""
        party.tap = GatedTap(self.media.offset_ms(), sample_rate=self.sample_rate)
        party.track = self.open_track(party)
        party.track_begin_ms = self.media.offset_ms()
        try:
            party.leg = self.media.add_leg(
                party.leg_name, listener=party, remote=party.remote, tap=party.tap, track=party.track
            )
        except HotlineError:
            if party.track is not None:
                party.track.discard()
            raise

    @abstractmethod
    def show(self) -> None:
        """Pages and commands find the call as it is now."""

    @abstractmethod
    def open_track(self, party: Party) -> RecordingSink | None:
        """A file of the party's own, where the site wants that."""

    def connect(self, party: Party) -> None:
        """The party takes part from now on; with a seat the caller does too."""
        if party.connected or self.ended:
            return
        party.connected = True
        if party.role is Role.SEAT and self.caller.established:
            self.caller.connected = True
        self.begin_captions(party)
        role = party.role.name.lower()
        self.note("joined", party=party.name, role=role, offset_ms=self.media.offset_ms())
        self.publish("call.party_joined", party=party.name, role=role)
        if party.track is not None:
            self.note("track", party=party.name, name=party.track_name, start_ms=party.track_begin_ms)
        self.remix()

    def remove(self, party: Party) -> None:
        """The party leaves, its phone is hung up; the caller's leg stays silent where others go on without him."""
        if not self.ended and self.parties.get(party.name) is party:
            self._drop(party)
            self.remix()
            self.settle()

    def _drop(self, party: Party) -> None:
        party.hang_up()
        was_connected, party.connected, party.established, party.held = party.connected, False, False, False
        if not party.is_caller:
            del self.parties[party.name]
            (party.leg.close if was_connected else party.drop_media)()
        if was_connected:
            self._tell_left(party)
        self.party_left(party)

    def _tell_left(self, party: Party) -> None:
        self.note("left", party=party.name, offset_ms=self.media.offset_ms())
        self.publish("call.party_left", party=party.name)

    def settle(self) -> None:
        """Looks whether there is still a conversation: two who talk, or one for whom somebody is rung."""
        talkers = [p for p in self.parties.values() if p.established and p.connected and p.role is not Role.SUPERVISOR]
        if self.ended or len(talkers) > 1 or (talkers and self._rung):
            return
        for name, ringing in list(self._ringings.items()):
            if ringing.role is Role.SUPERVISOR:
                self.cancel_ringing(name)
        for party in list(self.parties.values()):
            if party.role is Role.SUPERVISOR:
                self._drop(party)
        self.left_alone()

    @property
    def _rung(self) -> bool:
        """Whether somebody is rung to talk."""
        return any(ringing.role is not Role.SUPERVISOR for ringing in self._ringings.values())

    def remix(self) -> None:
        """Who hears whom, and what those hear who wait."""
        if self.ended:
            return
        self.media.set_mix(mix_of({party.leg_name: party.voice for party in self.parties.values()}))
        for party in self.parties.values():
            wanted = self._waits_with(party)
            if wanted == party.plays:
                continue
            if party.plays:
                party.leg.stop_playing()
            if wanted:
                party.leg.play(self._waiting_sound(wanted), token=WAITING_TOKEN, loop=True)
            party.plays = wanted

    def _waits_with(self, party: Party) -> str:
        if not party.established or party.far_held:
            return ""
        if party.held:
            return MUSIC
        partners = [
            p for p in self.parties.values() if p is not party and p.connected and p.role is not Role.SUPERVISOR
        ]
        if not party.connected or party.role is Role.SUPERVISOR or any(partner.talking for partner in partners):
            return ""
        if self._rung:
            return RINGBACK
        return "" if any(partner.held for partner in partners) else MUSIC  # who holds somebody hears nothing

    def _waiting_sound(self, name: str) -> Samples:
        return ringback() if name == RINGBACK else self.services.languages.own.samples(name)

    # --- what can be asked ---

    def hold(self, name: str) -> None:
        """The party hears music and is not heard."""
        self._set_held(self.party(name), held=True)

    def resume(self, name: str) -> None:
        """It takes part again."""
        self._set_held(self.party(name), held=False)

    def _set_held(self, party: Party, *, held: bool) -> None:
        if party.held == held:
            return
        if not party.connected:
            raise ConflictError(f"{party.name} does not talk with anybody")
        party.held = held
        self.note("held" if held else "resumed", party=party.name, offset_ms=self.media.offset_ms())
        self.publish("call.held" if held else "call.resumed", party=party.name)
        self.remix()

    def _resume_all(self, *, but: Party) -> None:
        for party in self.parties.values():
            if party is not but and party.connected:
                self._set_held(party, held=False)

    def mute(self, name: str) -> None:
        """The party is not heard."""
        self._set_muted(self.party(name), muted=True)

    def unmute(self, name: str) -> None:
        """It is heard again."""
        self._set_muted(self.party(name), muted=False)

    def _set_muted(self, party: Party, *, muted: bool) -> None:
        if party.muted != muted:
            party.muted = muted
            self.publish("call.muted" if muted else "call.unmuted", party=party.name)
            self.remix()

    def conference(self, target: str) -> None:
        """Rings somebody who then joins."""
        if not self._is_here(target, supervises=False):
            self._needs_conversation()
            self.ring(self.services.destination(target), role=Role.SEAT, answered=self.connect, failed=nothing)

    def supervise(self, extension: str, mode: Supervision) -> None:
        """Rings a supervisor, who then takes part as `mode` says; changes the mode of one who is there."""

        def set_mode(party: Party) -> None:
            party.supervision = self._modes[extension]  # as was asked last
            self.publish("call.supervised", party=extension, mode=party.supervision.name.lower())
            self.connect(party)
            self.remix()

        here = self._is_here(extension, supervises=True)
        self._modes[extension] = mode
        if extension in self.parties:
            set_mode(self.party(extension))
        elif not here:
            self._needs_conversation()
            destination = self.services.inside(extension)
            self.ring(destination, role=Role.SUPERVISOR, answered=set_mode, failed=nothing)

    def _is_here(self, name: str, *, supervises: bool) -> bool:
        """Whether somebody takes part or is rung; raises `ConflictError` where that is in the other role."""
        there = self.parties.get(name) or self._ringings.get(name)
        if there is None:
            return False
        if (there.role is Role.SUPERVISOR) is not supervises:
            does = "talks in this call and cannot supervise it" if supervises else "supervises this call"
            raise ConflictError(f"{name} {does}")
        return True

    def _needs_conversation(self) -> None:
        if not any(party.connected and party.role is Role.SEAT for party in self.parties.values()):
            raise ConflictError("nobody talks in this call")

    def play(self, items: tuple[str, ...], to: str = CALLER) -> None:
        """Plays prompts to one party alone; raises `InvalidInputError` for a prompt that is not there."""
        party = self.party(to)
        try:
            samples, text = self.services.languages.own.render(items)
        except ValueError as error:
            raise InvalidInputError(f"nothing to play: {error}") from error
        if party.plays or party.loops:  # music would never end; afterwards it goes on
            party.leg.stop_playing()
            party.plays, party.loops = "", False
        party.leg.play(samples, token=ANNOUNCEMENT_TOKEN)
        start_ms = self.media.offset_ms()
        if party.is_caller and text:
            self.announced(text, start_ms, start_ms + len(samples) // 8)
        self.publish("call.played", party=to, items=list(items))

    @abstractmethod
    def announced(self, text: str, start_ms: int, end_ms: int) -> None:
        """What our side says to the caller."""

    def send_digits(self, digits: str, to: str = CALLER) -> None:
        """Presses keys towards a party; raises `InvalidInputError` where one is none."""
        self.party(to).leg.send_digits(digits)
        self.publish("call.digits_sent", party=to)

    def pause_recording(self) -> None:
        """What is said from now on is not recorded (a password, a card number)."""
        self._set_recording(paused=True)

    def resume_recording(self) -> None:
        """It is recorded again."""
        self._set_recording(paused=False)

    def _set_recording(self, *, paused: bool) -> None:
        if self._recording_paused != paused:
            self._recording_paused = paused
            (self.media.pause_recording if paused else self.media.resume_recording)()
            self.note("recording", paused=paused, offset_ms=self.media.offset_ms())
            self.publish("call.recording_paused" if paused else "call.recording_resumed")


def _close_leg(party: Party) -> None:
    if party.is_caller:
        party.forget_far_end()
    else:
        party.drop_media()


def nothing(_reason: str) -> None:
    """A party that was not reached changes nothing."""
