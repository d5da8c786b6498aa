"""Calls of all kinds under anything that people, phones, the network and the console do, in any order."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from call_rig import SDP, Dialog, Site
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from media_rig import Media

from hotline.bus import Event
from hotline.errors import HotlineError, InvalidInputError
from ivr.access.dialplan import Route, ToExtension, ToTrunk
from ivr.acd.distributor import SeatState
from ivr.calls.call import Call
from ivr.calls.captions import CaptionFinal, CaptionPartial
from ivr.calls.party import Party
from ivr.journal import Journal
from ivr.media.mixer import Role, Supervision, mix_of
from ivr.sdp import parse_offer
from ivr.sip import CallEnd, EndReason, Invitation, Replaces, TransferTarget

SEATS = ("8001", "8002", "8003")
NUMBERS = ("13900139000", "13700137000")
NAMES = ("caller", *SEATS, *NUMBERS, "8009", "999", "")
HELD = SDP + "a=sendonly\r\n"
INDEX = st.integers(0, 1000)
COMMANDS: dict[str, Callable[[Call, str, str], None]] = {
    "answer": lambda call, _name, _target: call.answer(),
    "hang_up": lambda call, name, _target: call.hang_up(name),
    "hold": lambda call, name, _target: call.hold(name),
    "resume": lambda call, name, _target: call.resume(name),
    "mute": lambda call, name, _target: call.mute(name),
    "unmute": lambda call, name, _target: call.unmute(name),
    "transfer": lambda call, name, target: call.transfer(name, target),
    "consult": lambda call, name, target: call.consult(name, target),
    "complete_transfer": lambda call, name, _target: call.complete_transfer(name),
    "cancel_consultation": lambda call, name, _target: call.cancel_consultation(name),
    "transfer_to_queue": lambda call, name, _target: call.transfer_to_queue(name, "operator"),
    "transfer_to_enterprises": lambda call, name, _target: call.transfer_to_queue(name, "enterprise"),
    "transfer_to_nonsense": lambda call, name, _target: call.transfer_to_queue(name, "no such queue"),
    "conference": lambda call, _name, target: call.conference(target),
    "listen": lambda call, _name, target: call.supervise(target, Supervision.LISTEN),
    "whisper": lambda call, _name, target: call.supervise(target, Supervision.WHISPER),
    "barge": lambda call, _name, target: call.supervise(target, Supervision.BARGE),
    "play": lambda call, name, _target: call.play(("thanks",), to=name),
    "send_digits": lambda call, name, _target: call.send_digits("12#", to=name),
    "pause_recording": lambda call, _name, _target: call.pause_recording(),
    "resume_recording": lambda call, _name, _target: call.resume_recording(),
}


class FarEnd:
    """A phone or a trunk with one dialog: it tells what the dialog's state lets it tell."""

    def __init__(self, handler: Any, dialog: Dialog, *, established: bool) -> None:
        self.handler: Any = handler
        self.dialog = dialog
        self.established = established
        self.late_offer = False
        self.gone = False

    @property
    def live(self) -> bool:
        if self.dialog.answered_with:
            self.established = True
        return not (self.gone or self.dialog.hung_up or self.dialog.rejected is not None)

    def end(self, reason: str) -> None:
        if self.live:
            self.gone = True
            self.handler.on_ended(CallEnd(reason))

    def tell(self, sdp: str, method: Callable[[str], None]) -> None:
        """An answer; an unusable one ends the dialog."""
        try:
            method(sdp)
        except InvalidInputError:
            self.dialog.hang_up()
            self.gone = True
            self.handler.on_ended(CallEnd(EndReason.ERROR))


class CallMachine(RuleBasedStateMachine):
    """Everything that can happen; the invariants hold whenever all that was posted has been done."""

    @initialize(
        flow_name=st.sampled_from(["queue", "queue", "menu", "intake"]), tracks=st.booleans(), phones=st.integers(1, 2)
    )
    def begin(self, flow_name: str, tracks: bool, phones: int) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.site = Site(Path(self.directory.name), flow_name=flow_name, tracks=tracks)
        self.site.phones.extensions["8001"] = phones
        self.site.phones.trunks = 2
        self.came_in: list[FarEnd] = []
        self.rung: list[FarEnd] = []
        self.calls: dict[str, Call] = {}

    # --- what there is ---

    def far_ends(self) -> list[FarEnd]:
        for placed in self.site.loop.placed[len(self.rung) :]:
            self.rung.append(FarEnd(placed.handler, placed.dialog, established=False))
        return self.came_in + self.rung

    def live(self, index: int, *, established: bool | None = None) -> Iterator[FarEnd]:
        """One far end that is in a dialog, if there is any."""
        found = [f for f in self.far_ends() if f.live and established in (None, f.established)]
        if found:
            yield found[index % len(found)]

    def legs(self) -> list[Media]:
        return [leg for media in self.site.engine.calls for leg in (media, *media.legs.values())]

    def settle(self, now: bool) -> None:
        if now:
            self.site.loop.run()

    # --- calls ---

    def come_in(
        self, route: Route | None, extension: str | None, replaces: Replaces | None = None, late: bool = False
    ) -> None:
        dialog = Dialog(f"in{len(self.came_in)}")
        offer = None if late else parse_offer(SDP)
        invitation = Invitation(
            *(dialog.sip_call_id, extension or "13800138000", "12345", "127.0.0.2", "127.0.0.1", offer),
            extension=extension,
            route=route,
            replaces=replaces,
        )
        try:
            handler, answer = self.site.exchange.answer(invitation, dialog)
        except HotlineError:
            assert not dialog.answered_with
            return
        far_end = FarEnd(handler, dialog, established=answer is not None)
        far_end.late_offer = late
        self.came_in.append(far_end)

    @rule(extension=st.sampled_from([None, None, *SEATS]), late=st.booleans(), now=st.booleans())
    def call_the_hotline(self, extension: str | None, late: bool, now: bool) -> None:
        self.come_in(None, extension, late=late)
        self.settle(now)

    @rule(extension=st.sampled_from(SEATS), aim=st.sampled_from((*SEATS, "8009")), now=st.booleans())
    def call_an_extension(self, extension: str, aim: str, now: bool) -> None:
        self.come_in(ToExtension(aim), extension)
        self.settle(now)

    @rule(extension=st.sampled_from(SEATS), number=st.sampled_from(NUMBERS), now=st.booleans())
    def call_outside(self, extension: str, number: str, now: bool) -> None:
        self.come_in(ToTrunk(number), extension)
        self.settle(now)

    @rule(index=INDEX, extension=st.sampled_from(SEATS), now=st.booleans())
    def take_a_call_over(self, index: int, extension: str, now: bool) -> None:
        for far_end in self.live(index):
            own = far_end.handler.extension or extension
            self.come_in(None, own, Replaces(far_end.dialog.sip_call_id, "a", "b"))
        self.settle(now)

    @rule(
        call_id=st.sampled_from(["c1", "c2", "../c"]), extension=st.sampled_from(SEATS), number=st.sampled_from(NAMES)
    )
    def click_to_dial(self, call_id: str, extension: str, number: str) -> None:
        with contextlib.suppress(HotlineError):
            self.site.exchange.dial_out(call_id=call_id, extension=extension, number=number)
        self.site.loop.run()

    @rule(call_id=st.sampled_from(["s1", "s2"]), flow=st.sampled_from(["survey", "none"]), now=st.booleans())
    def start_a_flow(self, call_id: str, flow: str, now: bool) -> None:
        with contextlib.suppress(HotlineError):
            self.site.exchange.start_flow(call_id=call_id, flow=flow, number=NUMBERS[0], variables={})
        self.settle(now)

    # --- far ends ---

    @rule(index=INDEX, early=st.booleans(), now=st.booleans())
    def a_phone_rings(self, index: int, early: bool, now: bool) -> None:
        for far_end in self.live(index, established=False):
            if far_end in self.rung:
                far_end.handler.on_ringing(SDP if early else None)
        self.settle(now)

    @rule(index=INDEX, sdp=st.sampled_from([SDP, SDP, SDP, HELD, "v=0\r\n"]), now=st.booleans())
    def a_phone_answers(self, index: int, sdp: str, now: bool) -> None:
        ringing = [f for f in self.far_ends() if f in self.rung and f.live and not f.established]
        if ringing:
            far_end = ringing[index % len(ringing)]
            far_end.established = True
            far_end.tell(sdp, far_end.handler.on_answered)
        self.settle(now)

    @rule(index=INDEX, held=st.booleans(), now=st.booleans())
    def a_far_end_answers_an_offer_in_the_call(self, index: int, held: bool, now: bool) -> None:
        for far_end in self.live(index, established=True):
            far_end.tell(HELD if held else SDP, far_end.handler.on_answer)
        self.settle(now)

    @rule(index=INDEX, offer=st.sampled_from([SDP, HELD, None]), now=st.booleans())
    def a_far_end_holds_or_resumes(self, index: int, offer: str | None, now: bool) -> None:
        for far_end in self.live(index, established=True):
            far_end.handler.on_update(None if offer is None else parse_offer(offer))
        self.settle(now)

    @rule(
        index=INDEX,
        reason=st.sampled_from(
            [EndReason.BUSY, EndReason.NO_ANSWER, EndReason.REJECTED, EndReason.UNREACHABLE, EndReason.CALLER_HANGUP]
        ),
        now=st.booleans(),
    )
    def a_far_end_ends(self, index: int, reason: str, now: bool) -> None:
        for far_end in self.live(index):
            far_end.end(reason)
        self.settle(now)

    @rule(index=INDEX, aim=st.sampled_from(NAMES), now=st.booleans())
    def a_far_end_transfers_blindly(self, index: int, aim: str, now: bool) -> None:
        for far_end in self.live(index, established=True):
            with contextlib.suppress(HotlineError):
                far_end.handler.on_transfer(TransferTarget("sip:x@127.0.0.1", aim, "127.0.0.1"))
        self.settle(now)

    @rule(index=INDEX, other=INDEX, now=st.booleans())
    def a_far_end_transfers_attended(self, index: int, other: int, now: bool) -> None:
        for far_end in self.live(index, established=True):
            for named in self.live(other):
                replaces = Replaces(named.dialog.sip_call_id, "a", "b")
                with contextlib.suppress(HotlineError):
                    far_end.handler.on_transfer(TransferTarget("sip:x@127.0.0.1", "x", "127.0.0.1", replaces))
        self.settle(now)

    @rule(index=INDEX, key=st.sampled_from("0123456789*#"), info=st.booleans(), now=st.booleans())
    def a_key_is_pressed(self, index: int, key: str, info: bool, now: bool) -> None:
        if info:
            for far_end in self.live(index, established=True):
                far_end.handler.on_digit(key)
        elif legs := self.legs():
            leg = legs[index % len(legs)]
            leg.listener.on_digit(key, leg.offset_ms())
        self.settle(now)

    # --- media and recognition ---

    @rule(
        index=INDEX, what=st.sampled_from(["lost", "speaks", "silent", "played", "played", "played"]), now=st.booleans()
    )
    def the_engine_tells(self, index: int, what: str, now: bool) -> None:
        if legs := self.legs():
            leg = legs[index % len(legs)]
            if what == "played":
                if leg.plays and not leg.looped:
                    leg.finish_playing()
            elif what == "lost":
                leg.listener.on_media_timeout()
            elif what == "speaks":
                leg.listener.on_speech_started(leg.offset_ms())
            else:
                leg.listener.on_speech_ended(leg.offset_ms())
        self.settle(now)

    @rule(index=INDEX, what=st.sampled_from(["partial", "final", "danger", "ended"]), now=st.booleans())
    def the_recognizer_tells(self, index: int, what: str, now: bool) -> None:
        if self.site.taps:
            tap = self.site.taps[index % len(self.site.taps)]
            text = "着火了" if what == "danger" else "路灯坏了"
            if what == "ended":
                tap.end()
            else:
                tap.on_event(CaptionPartial(text) if what == "partial" else CaptionFinal(text, ((text, 0, 500, 0.9),)))
        self.settle(now)

    # --- staff ---

    @rule(
        seat=st.sampled_from(SEATS), what=st.sampled_from(["in", "in", "in", "out", "ready", "away"]), now=st.booleans()
    )
    def a_seat_changes(self, seat: str, what: str, now: bool) -> None:
        seats = self.site.exchange.seats
        match what:
            case "in":
                seats.sign_in(seat, ("operator",) if "operator" in self.site.queues else tuple(self.site.queues)[:1])
            case "out":
                seats.sign_out(seat)
            case "ready":
                seats.ready(seat)
            case "away":
                seats.away(seat)
        self.settle(now)

    @rule(
        index=INDEX,
        command=st.sampled_from(sorted(COMMANDS)),
        name=st.sampled_from(NAMES),
        aim=st.sampled_from(NAMES),
        twice=st.booleans(),
        now=st.booleans(),
    )
    def a_command_comes(self, index: int, command: str, name: str, aim: str, twice: bool, now: bool) -> None:
        calls = [call for call in self.site.exchange.calls if not call.ended]
        if calls:
            call = calls[index % len(calls)]
            for _ in range(1 + twice):
                with contextlib.suppress(HotlineError):
                    COMMANDS[command](self.site.exchange.call(call.call_id), name, aim)
        self.settle(now)

    # --- the rest of the world ---

    @rule(index=INDEX, found=st.booleans(), now=st.booleans())
    def the_worker_answers(self, index: int, found: bool, now: bool) -> None:
        if calls := self.site.exchange.calls:
            call_id, at = calls[index % len(calls)].call_id, self.site.clock.now()
            number = {"call_id": call_id, "number": "YQ20260105000018", "lookup_code": "123456"}
            self.site.exchange.number_assigned(Event(name="number.assigned", at=at, data=number))
            values = {"call_id": call_id, "values": {"status": "closed"} if found else None}
            self.site.exchange.looked_up(Event(name="lookup.done", at=at, data=values))
        self.settle(now)

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 20.0, 100.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.site.loop.run(seconds)

    @rule(
        full=st.booleans(),
        no_leg=st.booleans(),
        silent=st.booleans(),
        trunks=st.integers(0, 2),
        seat=st.sampled_from(SEATS),
    )
    def things_break(self, full: bool, no_leg: bool, silent: bool, trunks: int, seat: str) -> None:
        self.site.engine.full = full
        for media in self.site.engine.calls:
            media.full = no_leg
        self.site.loop.silent = silent
        self.site.phones.trunks = trunks
        self.site.phones.extensions[seat] = 0 if silent else 2

    @rule()
    def things_work_again(self) -> None:
        self.site.engine.full = self.site.loop.silent = False
        for media in self.site.engine.calls:
            media.full = False
        self.site.phones.trunks = 2
        self.site.phones.extensions = dict.fromkeys(SEATS, 1)

    # --- what holds at any time ---

    @invariant()
    def all_is_in_order(self) -> None:
        if not hasattr(self, "site"):
            return
        for call in self.site.exchange.calls:
            self.calls[call.call_id] = call
        if self.site.loop.posted:
            return
        self.check_far_ends()
        self.check_legs()
        for call in self.calls.values():
            if not call.ended:
                check_parties(call)
                check_somebody_cares(call)
        self.check_queue()

    def check_far_ends(self) -> None:
        for far_end in self.far_ends():
            if far_end.live:
                assert cared_for(far_end.handler), f"{far_end.handler.name}: nobody knows this dialog any more"

    def check_legs(self) -> None:
        for leg in self.legs():
            party: Any = leg.listener
            if not leg.closed:
                caller = party.is_caller and not party.room.ended
                assert caller or (cared_for(party) and party.leg is leg), f"{leg.name} was not closed"

    def check_queue(self) -> None:
        distributor: Any = self.site.exchange.acd._distributor  # type: ignore[attr-defined]
        waiting = {call_id: call for call_id, call in self.calls.items() if not call.ended and call.place.queue}
        assert set(distributor._callers) == set(waiting)
        talking = {
            (p.queued, p.extension) for call in self.calls.values() if not call.ended for p in call.parties.values()
        }
        for seat in distributor.seats:
            if seat.state is SeatState.TALKING:
                assert (seat.call, seat.name) in talking, f"{seat.name} talks to nobody"
            elif seat.state is SeatState.RINGING:
                assert seat.name in waiting[seat.call]._ringings, f"{seat.name} does not ring"

    def teardown(self) -> None:
        if not hasattr(self, "site"):
            return
        site = self.site
        site.loop.run()
        site.exchange.end_all("shutdown")
        site.loop.run(20)
        for seat in SEATS:
            site.exchange.seats.sign_out(seat)
        site.publisher.close()
        assert site.exchange.unfinished == 0
        assert [timer for timer in site.loop.timers if not timer.cancelled] == []
        assert all(leg.closed for leg in self.legs())
        assert all(sink.closed for sink in site.sinks)
        assert site.bus.states("call") == {}
        for path in site.spool.glob("*.jsonl"):
            check_journal(Journal.read(path))
        self.directory.cleanup()


def cared_for(party: Party) -> bool:
    """Whether its call knows of the party: it takes part, or is rung."""
    room: Any = party.room
    if room.ended:
        return False
    ringing = any(party in ringing._parties for ringing in room._ringings.values())
    return ringing or any(party is each for each in room.parties.values())


def check_parties(call: Call) -> None:
    parties = call.parties
    assert all(party.name == name and party.room is call for name, party in parties.items())
    legs: Any = {party.leg_name: party for party in parties.values()}
    assert len(legs) == len(parties)
    assert not any(party.leg.closed for party in legs.values() if not party.is_caller)
    mix: Any = call.media
    if mix.mix:
        assert mix.mix == mix_of({name: party.voice for name, party in legs.items()}), "the mix is not up to date"
    for _, source in mix.mix:
        party = legs[source]
        assert party.connected
        assert (party.held, party.muted, party.far_held) == (False, False, False)
        assert party.supervision is not Supervision.LISTEN
    for party in legs.values():
        if party.plays:
            assert party.leg.looped
            assert party.plays == call._waits_with(party)
        elif party.leg.plays and party.leg.plays[-1][0] == 0:
            assert not party.leg.looped, "music over a conversation"


def check_somebody_cares(call: Call) -> None:
    """Somebody talks, or is rung for one who waits, or the flow goes on."""
    talkers = [p for p in call.parties.values() if p.established and p.connected and p.role is not Role.SUPERVISOR]
    rung = [name for name, ringing in call._ringings.items() if ringing.role is not Role.SUPERVISOR]
    flow = call.flow is not None and call.caller.established and not call.caller.connected and not call.flow.over
    waits = call.place.by_staff and bool(call.place.queue) and call.caller.established
    begins = bool(rung) and not call.record.kept
    assert len(talkers) > 1 or (talkers and rung) or flow or waits or begins, "a call that leads nowhere"
    assert not call._consultations or all(name in call.parties for name in call._consultations)
    for party in call.parties.values():
        assert not party.held or party.connected


def check_journal(journal: Journal) -> None:
    kinds = [entry.kind for entry in journal.entries]
    assert kinds[0] == "opened"
    assert kinds[-2:] == ["captions", "closed"]
    assert (kinds.count("opened"), kinds.count("answered"), kinds.count("ended"), kinds.count("closed")) == (1, 1, 1, 1)
    assert set(kinds[kinds.index("ended") + 1 :]) <= {"segment", "quality", "captions", "closed"}
    present: set[str] = set()
    queue = ""
    for entry in journal.entries:
        match entry.kind:
            case "joined":
                assert entry.data["party"] not in present
                present.add(entry.data["party"])
            case "left" if entry.data["party"] != "caller":
                present.remove(entry.data["party"])
            case "queued":
                assert not queue
                queue = entry.data["queue"]
            case "unqueued":
                assert queue
                queue = ""
    assert not present
    assert not queue


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_whatever_happens_every_call_goes_on_or_ends() -> None:
    run_state_machine_as_test(
        CallMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
