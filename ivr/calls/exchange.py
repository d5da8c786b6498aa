"""The exchange: answers invitations, places calls, brings callers and seats together, and knows who talks to whom."""

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hotline.bus import Event
from hotline.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from ivr.access.dialplan import ToExtension, ToTrunk
from ivr.acd.events import (
    Announce,
    CancelRinging,
    Connect,
    Overflow,
    QueueCommand,
    RingSeats,
)
from ivr.acd.local import Acd, Seats
from ivr.calls.call import Call
from ivr.calls.greeting_wait import GreetingWait
from ivr.calls.origin import CallOrigin
from ivr.calls.party import Party
from ivr.calls.ringing import REFUSALS, Signalling
from ivr.calls.services import CallServices
from ivr.media.greeting import Answerer
from ivr.media.mixer import CALLER, Role
from ivr.menu.machine import MenuMachine, NumberAssigned
from ivr.sdp import Offer
from ivr.sip import CallHandler, Dialog, EndReason, Invitation, TransferTarget

log = logging.getLogger(__name__)

CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
REMEMBERED_CALLS = 10_000
"""Ids of calls of ours that are not placed again."""
CITIZENS = ("flow", "outgoing", "internal")
"""Which of two calls that are joined goes on: the one that has a citizen in it, before all one that came to us."""


class Exchange:
    """All calls of a media process. Only on the SIP thread.

    `make_acd` makes the call distributor, given what carries out its commands.
    """

    def __init__(
        self,
        services: CallServices,
        signalling: Signalling,
        *,
        make_acd: Callable[[Callable[[QueueCommand], None]], Acd],
    ) -> None:
        self._services = services
        self._signalling = signalling
        self._calls: dict[str, Call] = {}
        self._placed: dict[str, None] = {}  # ordered: the oldest is forgotten first
        self.session_open = False
        self.acd = make_acd(self._distribute)
        self.seats = Seats(self.acd)

    # --- calls that come in ---

    def answer(self, invitation: Invitation, dialog: Dialog) -> tuple[CallHandler, str | None]:
        """Takes or rings; raises `UnavailableError` where no media is to be had, `ForbiddenError` or `NotFoundError`
        where the call leads nowhere."""
        if invitation.replaces is not None:
            return self._take_over(invitation, dialog)
        match invitation.route:
            case ToExtension(name):
                return self._put_through(invitation, dialog, self._services.inside(name).name)
            case ToTrunk(number):
                return self._dial_from_desk(invitation, dialog, number)
        call = self._open(
            CallOrigin(
                direction="in",
                purpose="flow",
                caller=invitation.caller,
                called=invitation.called,
                peer=invitation.peer,
                sip_call_id=invitation.sip_call_id,
                display_name=invitation.display_name,
                private=invitation.privacy,
                flow=self._services.flow.flow.name,
            ),
            machine=self._services.flow,
            caller=lambda call: _incoming(CALLER, Role.CALLER, call, invitation, dialog),
        )
        call.caller.established = True
        call.answered()
        if invitation.offer is None:
            return call.caller, call.caller.sdp_offer()  # the flow begins when the far end has said where it listens
        self._signalling.post(call.start)
        return call.caller, call.caller.sdp_answer(invitation.offer)

    def _put_through(self, invitation: Invitation, dialog: Dialog, extension: str) -> tuple[CallHandler, None]:
        """One extension calls another."""
        offer = _offer_of(invitation)
        call = self._open(
            _desk_origin(invitation, purpose="internal", called=extension),
            machine=None,
            caller=lambda call: _incoming(CALLER, Role.CALLER, call, invitation, dialog),
        )
        caller = call.caller

        def answered(party: Party) -> None:
            call.answer()
            call.connect(party)

        with _undone(call):
            call.answer_later(caller.sdp_answer(offer))
            dialog.ring()
            call.ring(self._services.inside(extension), role=Role.SEAT, answered=answered, failed=_refuse(call, dialog))
        return caller, None

    def _dial_from_desk(self, invitation: Invitation, dialog: Dialog, number: str) -> tuple[CallHandler, None]:
        """An extension calls a number outside. The recording has that one on its left, as it has every citizen."""
        offer = _offer_of(invitation)
        destination = self._services.outside(number)
        extension = invitation.extension or ""
        call = self._open(
            _desk_origin(invitation, purpose="outgoing", called=number),
            machine=None,
            caller=self._citizen,
        )
        phone = _incoming(extension, Role.SEAT, call, invitation, dialog)

        def answered(party: Party) -> None:
            phone.established = True
            dialog.answer(phone.sdp_answer(offer))
            call.answered()
            call.connect(phone)
            call.start()

        with _undone(call):
            call.open_leg(phone)
            call.parties[phone.name] = phone
            dialog.ring()
            call.ring_caller(destination, answered=answered, failed=_refuse(call, dialog))
        return phone, None

    def _take_over(self, invitation: Invitation, dialog: Dialog) -> tuple[CallHandler, str | None]:
        """INVITE with Replaces (RFC 3891): another phone of the same extension takes its call over."""
        assert invitation.replaces is not None
        found = self._find(invitation.replaces)
        if found is None:
            raise NotFoundError("the call to be replaced is over")
        call, replaced = found
        if invitation.extension is None or invitation.extension != replaced.extension:
            raise ForbiddenError("only a phone of the same extension takes a call over")
        if replaced.is_caller or not replaced.connected:
            raise ForbiddenError("this call cannot be taken over")
        offer = _offer_of(invitation)
        party = call.take_over(replaced, dialog=dialog, local_host=invitation.local_host, remote=offer.remote)
        return party, party.sdp_answer(offer)

    # --- calls that we place ---

    def dial_out(self, *, call_id: str, extension: str, number: str) -> None:
        """Rings the extension, then the number. Raises `InvalidInputError`, `ForbiddenError`, `NotFoundError` or
        `UnavailableError`."""
        if self._is_placed(call_id):
            return
        staff, destination = self._services.inside(extension), self._services.destination(number)
        call = self._open(
            CallOrigin(direction="out", purpose="outgoing", caller=extension, called=number),
            machine=None,
            caller=self._citizen,
            call_id=call_id,
        )
        self._remember(call_id)

        def caller_answered(_party: Party) -> None:
            call.caller.connected = True
            call.remix()

        def staff_answered(party: Party) -> None:
            call.answered()
            call.connect(party)
            call.ring_caller(destination, answered=caller_answered, failed=call.end)
            call.start()

        call.ring(staff, role=Role.SEAT, answered=staff_answered, failed=call.end)

    def start_flow(self, *, call_id: str, flow: str, number: str, variables: Mapping[str, str]) -> None:
        """Rings the number, who then enters the flow; a call that comes to nothing becomes a job `outgoing_failed`.

        Raises `InvalidInputError` or `NotFoundError`.
        """
        if self._is_placed(call_id):
            return
        machine = self._services.outbound_flows.get(flow)
        if machine is None:
            raise NotFoundError(f"no flow for calls of ours named {flow[:64]}")
        self._remember(call_id)
        try:
            destination = self._services.outside(number)
            call = self._open(
                CallOrigin(
                    direction="out",
                    purpose="flow",
                    caller=self._services.directory.caller_id(number),
                    called=number,
                    flow=flow,
                    variables=variables,
                ),
                machine=machine,
                caller=self._citizen,
                call_id=call_id,
            )
        except (NotFoundError, UnavailableError) as error:
            log.warning("call %s cannot be placed: %s", call_id, error)
            at = self._services.clock.now().isoformat()
            given = {"flow": flow, "number": number, "variables": dict(variables)}
            self._services.enqueue("outgoing_failed", {"call_id": call_id, **given, "reason": "unreachable", "at": at})
            return

        def greeted(answerer: Answerer) -> None:
            call.note("answerer", answerer=answerer.name.lower(), offset_ms=call.offset_ms())
            call.start()

        def answered(party: Party) -> None:
            if call.ended:
                return
            call.answered()
            party.greeting = GreetingWait(offset_ms=call.offset_ms, call_later=call.call_later, heard=greeted)

        call.ring_caller(destination, answered=answered, failed=call.end)

    def _is_placed(self, call_id: str) -> bool:
        if not CALL_ID.fullmatch(call_id):
            raise InvalidInputError(f"not a call id: {call_id[:64]!r}")
        return call_id in self._placed or call_id in self._calls

    def _remember(self, call_id: str) -> None:
        self._placed[call_id] = None
        if len(self._placed) > REMEMBERED_CALLS:
            del self._placed[next(iter(self._placed))]

    def _citizen(self, call: Call) -> Party:
        """The one whom a call of ours is for; from which address he is rung is known when he is."""
        return Party(CALLER, role=Role.CALLER, room=call, codecs=self._services.codecs)

    def _open(
        self,
        origin: CallOrigin,
        *,
        machine: MenuMachine | None,
        caller: Callable[[Call], Party],
        call_id: str = "",
    ) -> Call:
        call_id = call_id or uuid.uuid4().hex
        call = Call(
            call_id,
            self._services,
            self._signalling,
            self,
            origin,
            machine=machine,
            caller=caller,
            on_closed=lambda: self._calls.pop(call_id, None),
        )
        self._calls[call_id] = call
        return call

    def _distribute(self, command: QueueCommand) -> None:
        call = self._calls.get(command.call)
        if call is None or call.ended:
            return
        match command:
            case RingSeats(_, seats):
                call.place.ring(seats)
            case CancelRinging(_, seats):
                call.place.cancel(seats)
            case Connect(_, seat):
                call.place.connect(seat)
            case Announce(_, position, wait_s):
                call.place.announce(position, wait_s)
            case Overflow(_, reason):
                call.place.overflow(reason)

    # --- transfers between calls ---

    def transfer_attended(self, call: Call, party: Party, target: TransferTarget) -> None:
        """REFER with Replaces: the others of this call and of the phone's other call talk to each other.

        A citizen stays in his call, whichever of the two the phone named.
        """
        found = None if target.replaces is None else self._find(target.replaces)
        if found is None:
            raise NotFoundError("the call to be replaced is not here")
        other, held = found
        if other is call or held.extension is None or held.extension != party.extension:
            raise ForbiddenError("a phone joins calls of its own")
        if not any(p.connected for p in other.parties.values() if p is not held):
            raise UnavailableError("the other call is not answered yet")
        if not party.connected:
            raise UnavailableError("the phone does not talk with anybody in this call")
        if party.dialog is not None:
            party.dialog.transfer_progress(200)
        if CITIZENS.index(other.origin.purpose) < CITIZENS.index(call.origin.purpose):
            other.absorb(call, instead_of=held, without=party)
        else:
            call.absorb(other, instead_of=party, without=held)

    def _find(self, replaces: Any) -> tuple[Call, Party] | None:
        for call in self._calls.values():
            for party in call.parties.values():
                if not call.ended and party.dialog is not None and party.dialog.is_named(replaces):
                    return call, party
        return None

    # --- what others tell ---

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls in progress, and those whose journal is not yet closed."""
        return tuple(self._calls.values())

    def call(self, call_id: str) -> Call:
        """A call in progress; raises `NotFoundError`."""
        call = self._calls.get(call_id)
        if call is None or call.ended:
            raise NotFoundError(f"no call {call_id[:64]} is in progress here")
        return call

    def number_assigned(self, event: Event) -> None:
        """`number.assigned`."""
        call = self._calls.get(str(event.data.get("call_id")))
        if call is not None:
            call.number_assigned(NumberAssigned(str(event.data["number"]), str(event.data["lookup_code"])))

    def looked_up(self, event: Event) -> None:
        """`lookup.done`."""
        call = self._calls.get(str(event.data.get("call_id")))
        if call is not None:
            values = event.data.get("values")
            call.looked_up({str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else None)

    def session_changed(self, event: Event) -> None:
        """`session.opened` and `session.closed`: whether the menu offers the live session."""
        self.session_open = event.name == "session.opened"
        for call in list(self._calls.values()):
            call.session_changed(is_open=self.session_open)

    # --- the end ---

    def end_all(self, reason: str) -> None:
        """Hangs up every call. One that cannot be ended does not keep the others."""
        for call in list(self._calls.values()):
            try:
                call.end(reason)
            except Exception:
                log.exception("call %s was not ended properly", call.call_id)

    def give_up_captions(self) -> None:
        """Ended calls wait for the last words no longer."""
        for call in list(self._calls.values()):
            call.record.give_up_captions()

    @property
    def unfinished(self) -> int:
        """Calls whose journal is not yet closed."""
        return len(self._calls)


def _incoming(name: str, role: Role, call: Call, invitation: Invitation, dialog: Dialog) -> Party:
    """A far end that has called us. Where it wants our offer it gets one codec: the recording has begun."""
    party = Party(
        name,
        role=role,
        room=call,
        local_host=invitation.local_host,
        extension=invitation.extension,
        codecs=call.services.codecs if invitation.offer else call.services.codecs[:1],
        trunk=invitation.trunk or "",
    )
    party.dialog = dialog
    party.remote = None if invitation.offer is None else invitation.offer.remote
    return party


@contextlib.contextmanager
def _undone(call: Call) -> Iterator[None]:
    """A call that cannot be put through leaves nothing behind."""
    try:
        yield
    except Exception:
        call.end(EndReason.ERROR)
        raise


def _desk_origin(invitation: Invitation, *, purpose: Any, called: str) -> CallOrigin:
    return CallOrigin(
        direction="in" if purpose == "internal" else "out",
        purpose=purpose,
        caller=invitation.extension or invitation.caller,
        called=called,
        peer=invitation.peer,
        sip_call_id=invitation.sip_call_id,
        display_name=invitation.display_name,
    )


def _offer_of(invitation: Invitation) -> Offer:
    if invitation.offer is None:
        raise InvalidInputError("a phone's call begins with an offer")
    return invitation.offer


def _refuse(call: Call, dialog: Dialog) -> Callable[[str], None]:
    """The one whom a phone called was not reached."""

    def failed(reason: str) -> None:
        dialog.reject(REFUSALS.get(reason, 500))
        call.end(reason)

    return failed
