"""A trunk's caller who is transferred to a number outside: his carrier puts him through (REFER), or we do (SIPp)."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from control_rig import Desk, wait_for
from people_rig import CALLED, TRUNK, Person, media_process, secret
from sipp_rig import Sipp

from demo.media_process import MediaProcess, RecordedCall
from hotline.commands import Outcome


@dataclass
class Site:
    """The media process, a seat, and whom the carrier reaches outside."""

    media: MediaProcess
    desk: Desk
    seat: Person
    outside: Person


@pytest.fixture(scope="module")
def site(valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with contextlib.closing(redis.Redis.from_url(valkey_server)) as client:
        client.flushall()
    with contextlib.ExitStack() as stack:
        outside = stack.enter_context(Person(None, CALLED, host="127.0.0.3"))
        trunk = {"name": "city", "domain": "carrier.example", "servers": [outside.address], "transfer": "refer"}
        media = media_process(
            tmp_path_factory.mktemp("transfers"),
            HOTLINE_VALKEY_URL=valkey_server,
            HOTLINE_NODE="n1",
            HOTLINE_DIAL_PLAN__OUTGOING='["13XXXXXXXXX"]',
            HOTLINE_TRUNKS=json.dumps([trunk | {"networks": [f"{TRUNK}/32"]}]),
        )
        seat = Person(media, "8001", secret("8001"))
        stack.enter_context(media)
        stack.enter_context(seat).sign_in()
        yield Site(media, stack.enter_context(contextlib.closing(Desk(valkey_server))), seat, outside)
        assert "Traceback" not in media.log()


@pytest.fixture
def transferred(
    site: Site, program: Callable[[str, str], str], tmp_path: Path
) -> Iterator[Callable[[str, str], RecordedCall]]:
    """SIPp calls as a trunk's caller, whom the seat that answered transfers; the recorded call."""
    running: list[Sipp] = []

    def transfer(scenario: str, caller: str) -> RecordedCall:
        wait_for(lambda: site.desk.ask("seat_ready", seat="8001") == Outcome())
        site.seat.ringing.clear()
        name = program("sipp", "sip-tester")
        keys = {"caller": caller, "wanted": f"&lt;sip:{CALLED}@carrier.example&gt;"}
        sipp = Sipp(name, scenario, site.media.address, tmp_path, host=TRUNK, keys=keys)
        running.append(sipp)
        assert site.seat.ringing.wait(5)
        call_id = site.desk.call_id()
        wait_for(lambda: len(site.desk.bus.states("call")[call_id]["parties"]) == 2)
        assert site.desk.ask("transfer", call_id, party="8001", target=CALLED) == Outcome()
        sipp.succeeds()
        (call,) = site.media.calls_of(caller)
        assert call.first("transferred")["target"] == CALLED
        return call

    yield transfer
    for each in running:
        each.close()


Transferred = Callable[[str, str], RecordedCall]


def test_the_carrier_puts_its_caller_through_and_the_call_is_over_for_us(site: Site, transferred: Transferred) -> None:
    call = transferred("puts_through", "13500000021")
    assert call.first("ended")["reason"] == "transferred"
    assert not site.outside.ringing.is_set(), "nobody is rung by us"


def test_where_the_carrier_declines_we_ring_the_number_ourselves(site: Site, transferred: Transferred) -> None:
    call = transferred("declines_refer", "13500000022")
    assert call.first("ended")["reason"] == "caller_hangup"
    assert [line["party"] for line in call.journal if line["kind"] == "joined"] == ["8001", CALLED]
    assert site.outside.ended.wait(5)
