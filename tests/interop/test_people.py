"""People in calls of a real media process: real phones, commands over a real Valkey, judged by who hears whom."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from control_rig import Desk, wait_for
from people_rig import BUSY, CALLED, CITIZEN, SURVEYED, Person, expect, sounds

from demo.media_process import MediaProcess, RecordedCall
from hotline.commands import Outcome
from ivr.extensions import ExtensionFile

ROOT = Path(__file__).parents[2]
TRUNK = "127.0.0.2"
CARRIERS = {CALLED: "127.0.0.3", SURVEYED: "127.0.0.4", BUSY: "127.0.0.5"}
QUEUES = {"8001": ("operator",), "8002": (), "8003": ("enquiry",), "8009": ()}
SETTINGS = {
    "HOTLINE_FLOW__PATH": str(ROOT / "ivr/flows/queue.yaml"),
    "HOTLINE_SIP__ALLOWED_PEERS": json.dumps([f"{host}/32" for host in (TRUNK, *CARRIERS.values())]),
    "HOTLINE_EXTENSIONS__NETWORKS": '["127.0.0.0/8"]',
    "HOTLINE_DIAL_PLAN__OUTGOING": '["13XXXXXXXXX"]',
}


def secret(extension: str) -> str:
    return f"a secret of {extension}"


def media_process(folder: Path, **settings: str) -> MediaProcess:
    """One that knows the extensions and answers with the queue."""
    file = ExtensionFile(folder / "extensions.json", realm="hotline")
    for name, queues in QUEUES.items():
        file.add(name, display_name="", password=secret(name), queues=queues, supervisor=name == "8009")
    return MediaProcess(folder, **SETTINGS, **settings)


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

        def look() -> RecordedCall | None:
            calls = [call for call in self.media.calls() if call.first("opened").get("call_id") == call_id]
            return calls[0] if calls and calls[0].closed else None

        found: RecordedCall = wait_for(look)
        return found


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
            HOTLINE_TRUNKS=json.dumps([trunk(carrier) for carrier in people.values()]),
        )
        people |= {CITIZEN: Person(media, CITIZEN, host=TRUNK)}
        people |= {name: Person(media, name, secret(name)) for name in QUEUES}
        stack.enter_context(media)
        for person in people.values():
            stack.enter_context(person)
        for name in QUEUES:
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


def names(site: Site) -> Callable[[], set[str]]:
    """Who takes part, as the call's state on the bus says."""

    def look() -> set[str]:
        return {party["name"] for party in site.desk.bus.states("call")[site.call_id]["parties"]}

    return look


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
