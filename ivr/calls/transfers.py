"""Transfers: blind, after a consultation, at a phone's own wish, by the caller's carrier, and between phones."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from hotline.errors import ConflictError
from ivr.calls.conversation import Answered, Conversation, Failed, nothing
from ivr.calls.party import Party
from ivr.calls.referral import Referral
from ivr.calls.ringing import REFUSALS, Signalling
from ivr.calls.services import CallServices, Destination
from ivr.media.mixer import Role
from ivr.media.types import RemoteMedia
from ivr.sip import Dialog, EndReason


class Transfers(Conversation, ABC):
    """A conversation whose parties can be handed over. Only on the SIP thread."""

    def __init__(self, call_id: str, services: CallServices, signalling: Signalling) -> None:
        super().__init__(call_id, services, signalling)
        self._consultations: dict[str, str] = {}  # who consults whom

    def _drop(self, party: Party) -> None:
        super()._drop(party)
        self._end_consultation(party)

    def transfer(self, name: str, target: str) -> None:
        """Blind: the party leaves and the target is rung for the others."""
        if name not in self.parties and target in {*self.parties, *self._ringings}:
            return  # done already
        party = self._transferor(name)
        destination = self.services.destination(target)
        self._put_through(destination, without=party, answered=self.connect, failed=nothing)
        self._transferred(party, target)
        self.remove(party)

    def transfer_for(self, party: Party, destination: Destination) -> None:
        """Blind, as the party's phone asked (REFER): it is told how it goes, and is back where it fails."""
        dialog = self._transferor(party.name).dialog

        def answered(joined: Party) -> None:
            if dialog is not None:
                dialog.transfer_progress(200)
            self.connect(joined)
            self._transferred(party, destination.name)
            self.remove(party)

        def failed(reason: str) -> None:
            if dialog is not None:
                dialog.transfer_progress(REFUSALS.get(reason, 500))
            party.held = False

        def handed_over() -> None:
            if dialog is not None:
                dialog.transfer_progress(200)
            self._transferred(party, destination.name)

        self._put_through(destination, without=party, answered=answered, failed=failed, handed_over=handed_over)
        party.held = True
        self.remix()

    def _put_through(
        self,
        destination: Destination,
        *,
        without: Party,
        answered: Answered,
        failed: Failed,
        handed_over: Callable[[], None] = lambda: None,
    ) -> None:
        """Rings the target for those who stay; a caller who alone stays is put through by his carrier where that does
        such things itself, and by us where it then refuses."""
        name, uri = destination.name, self._referral_to(destination)

        def ring() -> None:
            self.ring(destination, role=Role.SEAT, answered=answered, failed=failed)

        def accepted() -> None:
            del self._ringings[name]
            handed_over()
            self.handed_over()

        def refused() -> None:
            del self._ringings[name]
            ring()

        def given_up() -> None:
            del self._ringings[name]
            self.publish("call.party_failed", party=name, reason=EndReason.CANCELLED)
            failed(EndReason.CANCELLED)
            self.remix()
            self.settle()

        stay = [party for party in self.parties.values() if party.connected and party is not without]
        if not uri or stay != [self.caller] or name in self.parties or name in self._ringings:
            ring()
            return
        referral = Referral(
            self.caller,
            call_later=self.signalling.call_later,
            timeout_s=self.services.ring_s,
            accepted=accepted,
            refused=refused,
            given_up=given_up,
        )
        self._ringings[name] = referral
        referral.start(uri)
        self.remix()

    def _referral_to(self, destination: Destination) -> str:
        """What the caller's carrier is asked to call, empty where it is not to be asked."""
        if destination.extension is not None or not self.caller.trunk:
            return ""
        return self.services.directory.referral(self.caller.trunk, destination.name)

    @abstractmethod
    def handed_over(self) -> None:
        """The caller's carrier has put him through: he is no longer with us."""

    def consult(self, name: str, target: str) -> None:
        """The party talks to the target while the others wait; one consultation at a time."""
        if self._consultations.get(name) == target:
            return
        if self._consultations:
            raise ConflictError(f"{next(iter(self._consultations))} consults somebody already")
        party = self._transferor(name)
        destination = self.services.destination(target)
        waiting = [p for p in self.parties.values() if p is not party and p.connected and not p.held]
        self.ring(
            destination, role=Role.SEAT, answered=self.connect, failed=lambda _reason: self.cancel_consultation(name)
        )
        self._consultations[name] = target
        for other in waiting:
            self._set_held(other, held=True)

    def complete_transfer(self, name: str) -> None:
        """Those who waited talk to the one who was consulted; the party leaves."""
        target = self._consultations.get(name)
        if target is None:
            if name in self.parties:
                raise ConflictError(f"{name} consults nobody")
            return
        if target not in self.parties:
            raise ConflictError(f"{target} has not answered yet")
        self._transferred(self.party(name), target)
        self.remove(self.party(name))
        self._release_to_carrier(target)

    def _release_to_carrier(self, target: str) -> None:
        """Has the carrier join the caller and the target where both are its own (REFER with Replaces, RFC 3891); where
        it refuses they go on talking here."""
        other, dialog = self.parties.get(target), self.caller.dialog
        talking = [party for party in self.parties.values() if party.connected]
        if other is None or other.dialog is None or dialog is None or talking != [self.caller, other]:
            return
        uri = self._referral_to(Destination(target, (), at_once=False, extension=other.extension))
        if uri and other.trunk == self.caller.trunk:
            self.caller.on_referred = lambda code: self.handed_over() if code < 300 else None
            dialog.refer(uri, replaces=other.dialog)

    def cancel_consultation(self, name: str) -> None:
        """The one who was consulted leaves, and those who waited are back."""
        target = self._consultations.get(name)
        if target is not None:
            self._end_consultation(self.party(name))
            self.cancel_ringing(target)
            if target in self.parties:
                self.remove(self.parties[target])

    def _end_consultation(self, party: Party) -> None:
        """Whoever of the two leaves: the others are held no more; nor where nobody is left who could resume them."""
        over = [consulting for consulting, target in self._consultations.items() if party.name in (consulting, target)]
        for consulting in over:
            del self._consultations[consulting]
        if over or all(p.held for p in self.parties.values() if p.connected and p.role is not Role.SUPERVISOR):
            self._resume_all(but=party)

    def _transferor(self, name: str) -> Party:
        party = self.party(name)
        if not party.connected:
            raise ConflictError(f"{name} does not talk with anybody")
        return party

    def _transferred(self, party: Party, target: str) -> None:
        """The party hands over, to somebody who does not know whom it held."""
        self._resume_all(but=party)
        self.note("transferred", party=party.name, target=target, offset_ms=self.media.offset_ms())
        self.publish("call.transferred", party=party.name, target=target)

    # --- parties of other calls, other phones of a party ---

    def adopt(self, party: Party, *, name: str) -> None:
        """A party of another call takes part in this one from now on, as `name` or one like it."""
        self._legs += 1
        party.name = name if name not in self.parties else f"{name}/{self._legs}"
        party.leg_name = f"{name}/{self._legs}"
        if party.plays:
            party.leg.stop_playing()
        self.media.adopt(party.leg, party.leg_name)
        party.room, party.role = self, Role.SEAT
        party.held, party.connected, party.plays = False, False, ""
        party.track = None  # it is a file of the other call's
        if party.tap is not None:
            party.tap.rebase(self.media.offset_ms())
        self.parties[party.name] = party
        self.connect(party)

    def take_over(self, replaced: Party, *, dialog: Dialog, local_host: str, remote: RemoteMedia) -> Party:
        """Another phone in the place of `replaced`, which is hung up."""
        self._legs += 1
        party = Party(
            replaced.name,
            role=replaced.role,
            room=self,
            local_host=local_host,
            extension=replaced.extension,
            leg_name=f"{replaced.name}/{self._legs}",
        )
        party.dialog, party.remote, party.established = dialog, remote, True
        self.open_leg(party)
        party.supervision, party.held, party.muted = replaced.supervision, replaced.held, replaced.muted
        party.queued, replaced.queued = replaced.queued, ""
        replaced.hang_up()
        replaced.leg.close()
        self._tell_left(replaced)
        self.party_left(replaced)
        self.parties[party.name] = party
        self.connect(party)
        return party
