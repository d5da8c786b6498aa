"""People in calls of a real media process: real phones, commands over a real Valkey, judged by who hears whom."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from control_rig import Desk, wait_for
from people_rig import BUSY, CALLED, CITIZEN, EXTENSIONS, SURVEYED, TRUNK, Person, expect, media_process, secret, sounds

from demo.media_process import MediaProcess, RecordedCall
from hotline.commands import Outcome
from hotline.jobs import QUEUE

CARRIERS = {CALLED: "127.0.0.3", SURVEYED: "127.0.0.4", BUSY: "127.0.0.5"}


class Site:
    """The media process and everybody at its phones; `desk` sends the commands."""

    def __init__(self, media: MediaProcess, desk: Desk, people: dict[str, Person]) -> None:
        self.media = media
        self.desk = desk
        self.people = people
        self.call_id = ""

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def ask(self, name: str, **arguments: object) -> None:
        """A command about the present call, which must be done."""
        assert self.desk.ask(name, self.call_id, **arguments) == Outcome(), name

    def recorded(self, call_id: str) -> RecordedCall:
        """What was kept of a call, once it is closed."""
        wait_for(lambda: self.lines(call_id, "closed"))
        return self._kept(call_id)[0]

    def lines(self, call_id: str, kind: str) -> list[dict[str, Any]]:
        """The lines of a kind in a call's journal so far."""
        return [line for call in self._kept(call_id) for line in call.journal if line["kind"] == kind]

    def _kept(self, call_id: str) -> list[RecordedCall]:
        return [call for call in self.media.calls() if call.first("opened").get("call_id") == call_id]


@pytest.fixture(scope="module")
def site(valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """All phones are signed in; numbers outside lead to a carrier each."""
    with contextlib.closing(redis.Redis.from_url(valkey_server)) as client:
        client.flushall()
    with contextlib.ExitStack() as stack:
        people = {
            number: Person(None, number, host=host, refusal="486 Busy Here" if number == BUSY else "")
            for number, host in CARRIERS.items()
        }
        media = media_process(
            tmp_path_factory.mktemp("people"),
            HOTLINE_VALKEY_URL=valkey_server,
            HOTLINE_NODE="n1",
            HOTLINE_DIAL_PLAN__OUTGOING='["13XXXXXXXXX"]',
            HOTLINE_TRUNKS=json.dumps([trunk(carrier) for carrier in people.values()]),
        )
        people |= {CITIZEN: Person(media, CITIZEN, host=TRUNK)}
        people |= {name: Person(media, name, secret(name)) for name in EXTENSIONS}
        stack.enter_context(media)
        for person in people.values():
            stack.enter_context(person)
        for name in EXTENSIONS:
            people[name].sign_in()
        yield Site(media, stack.enter_context(contextlib.closing(Desk(valkey_server))), people)
        assert media.running, media.log()[-3000:]
        assert "Traceback" not in media.log()


def trunk(carrier: Person) -> dict[str, Any]:
    return {
        "name": f"to_{carrier.name}",
        "domain": "carrier.example",
        "servers": [carrier.address],
        "patterns": [carrier.name],
        "caller_id": "12345",
    }


@pytest.fixture
def talk(site: Site) -> Iterator[Site]:
    """The citizen talks to 8001, who was waiting for calls."""
    citizen = site[CITIZEN]
    site.call_id = ""
    for seat in ("8001", "8003"):
        site.ask("seat_ready", seat=seat)
    citizen.call("12345")
    site.call_id = site.desk.call_id()
    assert site["8001"].ringing.wait(5)
    expect({citizen: {"8001"}, site["8001"]: {CITIZEN}})
    yield site
    site.desk.ask("hang_up", site.call_id)
    assert citizen.ended.wait(5)
    wait_for(lambda: not site.desk.bus.states("call"))
    for person in site.people.values():
        person.ringing.clear()


def test_a_citizen_and_a_seat_hear_each_other_and_are_recorded_apart(talk: Site) -> None:
    citizen, seat = talk[CITIZEN], talk["8001"]
    citizen.hang_up()
    assert seat.ended.wait(5)
    call = talk.recorded(talk.call_id)
    (queued,) = [line for line in call.journal if line["kind"] == "queued"]
    joined, left = call.first("joined"), call.first("left")
    assert (queued["queue"], joined["party"], joined["role"]) == ("operator", "8001", "seat")
    talking = call.channels()[(joined["offset_ms"] + 200) * 8 : (left["offset_ms"] - 100) * 8]
    assert [sounds(talking[:, 0]), sounds(talking[:, 1])] == [{CITIZEN}, {"8001"}]


def test_a_held_citizen_hears_music_and_is_back(talk: Site) -> None:
    citizen, seat = talk[CITIZEN], talk["8001"]
    talk.ask("hold", party="caller")
    expect({citizen: {"music"}, seat: set()})
    talk.ask("resume", party="caller")
    expect({citizen: {"8001"}, seat: {CITIZEN}})
    talk.ask("mute", party="8001")
    expect({citizen: set(), seat: {CITIZEN}})
    talk.ask("unmute", party="8001")
    expect({citizen: {"8001"}, seat: {CITIZEN}})


def test_a_seat_asks_a_colleague_and_hands_over(talk: Site) -> None:
    citizen, seat, colleague = talk[CITIZEN], talk["8001"], talk["8002"]
    talk.ask("consult", party="8001", target="8002")
    expect({citizen: {"music"}, seat: {"8002"}, colleague: {"8001"}})
    talk.ask("cancel_consultation", party="8001")
    expect({citizen: {"8001"}, seat: {CITIZEN}})
    assert colleague.ended.wait(5)
    talk.ask("consult", party="8001", target="8002")
    expect({citizen: {"music"}, seat: {"8002"}, colleague: {"8001"}})
    talk.ask("complete_transfer", party="8001")
    assert seat.ended.wait(5)
    expect({citizen: {"8002"}, colleague: {CITIZEN}})
    talk.ask("hang_up")
    assert colleague.ended.wait(5)
    call = talk.recorded(talk.call_id)
    assert [line["party"] for line in call.journal if line["kind"] == "joined"] == ["8001", "8002", "8002"]
    assert call.first("transferred")["target"] == "8002"


def test_three_talk_and_a_phone_is_passed_on(talk: Site) -> None:
    citizen, seat, third = talk[CITIZEN], talk["8001"], talk["8002"]
    talk.ask("conference", target="8002")
    expect({citizen: {"8001", "8002"}, seat: {CITIZEN, "8002"}, third: {CITIZEN, "8001"}})
    seat.hang_up()
    expect({citizen: {"8002"}, third: {CITIZEN}})
    another = talk["8003"]
    another.patient = True
    talk.ask("hold", party="caller")  # and forgotten
    talk.ask("transfer", party="8002", target="8003")
    assert third.ended.wait(5)
    expect({citizen: {"ringing"}})
    another.pick_up()
    expect({citizen: {"8003"}, another: {CITIZEN}})


def test_a_supervisor_listens_whispers_and_joins(talk: Site) -> None:
    citizen, seat, supervisor = talk[CITIZEN], talk["8001"], talk["8009"]
    for mode, to_citizen, to_seat in (
        ("listen", {"8001"}, {CITIZEN}),
        ("whisper", {"8001"}, {CITIZEN, "8009"}),
        ("barge", {"8001", "8009"}, {CITIZEN, "8009"}),
        ("listen", {"8001"}, {CITIZEN}),
    ):
        talk.ask("supervise", extension="8009", mode=mode)
        expect({supervisor: {CITIZEN, "8001"}, citizen: to_citizen, seat: to_seat})
    seat.hang_up()
    assert supervisor.ended.wait(5)


def test_a_citizen_is_put_into_another_queue(talk: Site) -> None:
    citizen, seat, other = talk[CITIZEN], talk["8001"], talk["8003"]
    other.patient = True
    talk.ask("transfer_to_queue", party="8001", queue="enquiry")
    assert seat.ended.wait(5)
    assert other.ringing.wait(5)
    expect({citizen: {"ringing"}})
    other.pick_up()
    expect({citizen: {"8003"}, other: {CITIZEN}})
    talk.ask("hang_up")
    queued = [line["queue"] for line in talk.recorded(talk.call_id).journal if line["kind"] == "queued"]
    assert queued == ["operator", "enquiry"]


def test_a_citizen_is_passed_on_to_a_number_outside(talk: Site) -> None:
    citizen, seat, outside = talk[CITIZEN], talk["8001"], talk[CALLED]
    talk.ask("consult", party="8001", target=CALLED)
    expect({citizen: {"music"}, seat: {CALLED}, outside: {"8001"}})
    talk.ask("complete_transfer", party="8001")
    assert seat.ended.wait(5)
    expect({citizen: {CALLED}, outside: {CITIZEN}})
    talk.ask("send_digits", digits="5", to=CALLED)
    outside.hang_up()


def test_what_is_said_while_recording_is_paused_is_not_kept(talk: Site) -> None:
    citizen, seat = talk[CITIZEN], talk["8001"]
    talk.ask("pause_recording")
    expect({citizen: {"8001"}, seat: {CITIZEN}})
    talk.ask("resume_recording")
    expect({citizen: {"8001"}, seat: {CITIZEN}})
    citizen.hang_up()
    call = talk.recorded(talk.call_id)
    paused, resumed = (line["offset_ms"] * 8 for line in call.journal if line["kind"] == "recording")
    kept = call.channels()
    assert not kept[paused + 1600 : resumed - 800].any()
    assert sounds(kept[resumed + 1600 : resumed + 4000, 0]) == {CITIZEN}
    assert sounds(kept[resumed + 1600 : resumed + 4000, 1]) == {"8001"}


def test_calls_of_ours_reach_people_by_their_carriers(site: Site, valkey_server: str) -> None:
    """A survey, a number that is busy, and a click in between."""
    site.call_id = "survey"
    variables = {"ticket": "YQ1"}
    site.ask("start_flow", flow="survey", number=SURVEYED, variables=variables)
    site.call_id = "busy"
    site.ask("start_flow", flow="survey", number=BUSY, variables=variables)
    site.call_id = "click"
    site.ask("dial_out", extension="8002", number=CALLED)
    expect({site["8002"]: {CALLED}, site[CALLED]: {"8002"}})
    site[CALLED].hang_up()
    assert site["8002"].ended.wait(5)
    call = site.recorded("click")
    talking = call.channels()[(call.first("joined")["offset_ms"] + 500) * 8 : (call.first("left")["offset_ms"]) * 8]
    assert [sounds(talking[-2000:, 0]), sounds(talking[-2000:, 1])] == [{CALLED}, {"8002"}]

    for said, key in enumerate("123", 1):  # each question is answered while it is read out
        wait_for(lambda said=said: len(site.lines("survey", "prompt")) >= said)
        site[SURVEYED].press(key)
    call = site.recorded("survey")
    answers = {line["question"]: line["answer"] for line in call.journal if line["kind"] == "survey"}
    assert answers == {"contacted": "yes", "solved": "no", "satisfied": "not_satisfied"}
    assert site[SURVEYED].ended.is_set()
    assert call.first("opened")["variables"] == variables
    (failed,) = jobs(valkey_server, "outgoing_failed")
    assert (failed["call_id"], failed["number"], failed["reason"]) == ("busy", BUSY, "busy")
    assert failed["variables"] == variables


def jobs(url: str, name: str) -> list[dict[str, Any]]:
    """The arguments of the jobs of a name that wait for a worker."""
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        messages = [json.loads(message) for message in client.hvals(f"dramatiq:{QUEUE}.msgs")]
    return [message["kwargs"] for message in messages if message["actor_name"] == name]
