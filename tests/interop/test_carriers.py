"""Trunks against carriers: signing in, every refusal, DNS, failover and back, calls out by them, and leaving."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from carrier_rig import OK, SECRET, SILENCE, USER, Answer, Carrier, NameServer, asks_first, granted, is_signed, question
from control_rig import wait_for
from peer_rig import SECRET as EXTENSION_SECRET
from peer_rig import Peer

from demo.media_process import HOST, MediaProcess
from demo.sip import SipMessage
from hotline.bus import ValkeyBus
from ivr.access.extensions import ExtensionFile

QUICK = {"options_s": 0.5, "patience_s": 0.4, "max_missed": 2, "backoff_s": 0.5, "backoff_max_s": 1.0}


@dataclass
class Site:
    """The media process and its carriers by trunk."""

    media: MediaProcess
    carriers: dict[str, tuple[Carrier, ...]]
    names: NameServer

    def __getitem__(self, name: str) -> Carrier:
        return self.carriers[name][0]


def plain(request: SipMessage) -> Answer | None:
    return asks_first(request) if request.method == "REGISTER" else ("486 Busy Here", ())


def sequence(*answers: Callable[[SipMessage], Answer | None] | Answer | None) -> Callable[[SipMessage], Answer | None]:
    """A script that gives one answer after the other, the last again and again; repetitions get the same."""
    given: dict[str, Answer | None] = {}

    def script(request: SipMessage) -> Answer | None:
        if request.branch not in given:
            answer = answers[min(len(given), len(answers) - 1)]
            given[request.branch] = answer(request) if callable(answer) else answer
        return given[request.branch]

    return script


def proxy_question(request: SipMessage) -> Answer:
    return granted(request) if is_signed(request, proxy=True) else question(proxy=True)


def brief(request: SipMessage) -> Answer:
    if not is_signed(request):
        return question()
    return (
        granted(request) if "expires=900" in request.header("contact") else ("423 Too Brief", (("Min-Expires", "900"),))
    )


def refuses_calls(request: SipMessage) -> Answer | None:
    return ("503 Service Unavailable", ()) if request.method == "INVITE" else OK


def asks_callers(request: SipMessage) -> Answer | None:
    return ("486 Busy Here", ()) if is_signed(request, proxy=True) else question(proxy=True)


@pytest.fixture(scope="module")
def site(valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Every trunk of the tests at one media process: it starts once."""
    carriers = {
        "plain": (Carrier("127.0.1.1", plain),),
        "proxy": (Carrier("127.0.1.2", proxy_question),),
        "stale": (Carrier("127.0.1.3", sequence(question(), question(stale=True), asks_first)),),
        "brief": (Carrier("127.0.1.4", brief),),
        "busy": (Carrier("127.0.1.5", sequence(("503 No", (("Retry-After", "1"),)), asks_first)),),
        "wrong": (Carrier("127.0.1.6", lambda _request: question()),),
        "garbled": (
            Carrier("127.0.1.7", sequence(("401 Unauthorized", (("WWW-Authenticate", "Basic x"),)), asks_first)),
        ),
        "failover": (Carrier("127.0.1.8", asks_first), Carrier("127.0.1.9", asks_first)),
        "full": (Carrier("127.0.1.10", refuses_calls),),
        "mute": (Carrier("127.0.1.11", lambda _request: SILENCE),),
        "static": (Carrier("127.0.1.12", asks_callers),),
    }
    carriers["failover"][0].awake = False
    first, second = carriers["failover"]
    names = NameServer(
        {
            ("_sip._udp.failover.example", "SRV"): [
                f"20 0 {second.port} b.failover.example.",
                f"10 0 {first.port} a.failover.example.",
            ],
            ("a.failover.example", "A"): [first.host],
            ("b.failover.example", "A"): [second.host],
        }
    )
    trunks: list[dict[str, Any]] = [
        {
            "name": name,
            "domain": f"{name}.example",
            "servers": [] if name == "failover" else [servers[0].address],
            "username": USER,
            "password": SECRET,
            "patterns": [],
            "expires_s": 600,
            **QUICK,
        }
        for name, servers in carriers.items()
    ]
    by_name = {trunk["name"]: trunk for trunk in trunks}
    by_name["plain"] |= {"expires_s": 60}
    for name in ("full", "mute", "static"):
        by_name[name] |= {"registers": False, "patterns": ["1XXXXXXXXXX"]}
    by_name["static"] |= {"number_form": "e164", "caller_id": "01069100000", "asserted_identity": True}
    extensions = {
        "HOTLINE_SIP__ALLOWED_PEERS": '["127.0.0.99/32"]',
        "HOTLINE_EXTENSIONS__NETWORKS": '["127.0.0.0/24"]',
        "HOTLINE_DIAL_PLAN__OUTGOING": '["1XXXXXXXXXX"]',
        "HOTLINE_SIP__DNS_SERVERS": f'["127.0.0.1:{names.port}"]',
        "HOTLINE_VALKEY_URL": valkey_server,
        "HOTLINE_NODE": "n1",
    }
    with MediaProcess(tmp_path_factory.mktemp("carriers"), HOTLINE_TRUNKS=json.dumps(trunks), **extensions) as media:
        ExtensionFile(media.data_dir / "extensions.json", realm="hotline").add(
            "8001", display_name="", password=EXTENSION_SECRET
        )
        yield Site(media, carriers, names)
        assert media.running
        media.stop()
        _assert_left(carriers)
    for carrier in [each for servers in carriers.values() for each in servers]:
        carrier.close()
    names.close()


def _assert_left(carriers: dict[str, tuple[Carrier, ...]]) -> None:
    """Whoever had us registered was told that we leave."""
    for name in ("plain", "proxy", "brief", "failover"):
        assert any("expires=0" in each.header("contact") for each in carriers[name][0].of("REGISTER")), name
    assert not any("expires=0" in each.header("contact") for each in carriers["wrong"][0].of("REGISTER"))


def test_a_question_is_answered_with_the_password_and_the_contact_is_ours(site: Site) -> None:
    first, second = site["plain"].wait("REGISTER", 2)[:2]
    assert first.start == "REGISTER sip:plain.example SIP/2.0"
    assert not any(first.all("authorization"))
    assert is_signed(second)
    assert first.header("call-id") == second.header("call-id")
    assert [int(each.header("cseq").split()[0]) for each in (first, second)] == [1, 2]
    assert second.header("contact") == f"<sip:{USER}@{HOST}:{site.media.sip_port}>;expires=60"
    assert re.match(rf"<sip:{USER}@plain\.example>;tag=\w+", second.header("from"))
    assert second.header("to") == f"<sip:{USER}@plain.example>"
    assert SECRET not in site.media.log()


def test_a_question_of_a_proxy_is_answered_too(site: Site) -> None:
    assert is_signed(site["proxy"].wait("REGISTER", 2)[1], proxy=True)


def test_a_stale_nonce_is_answered_anew(site: Site) -> None:
    requests = site["stale"].wait("REGISTER", 3)
    assert [is_signed(each) for each in requests[:3]] == [False, True, True]


def test_a_longer_interval_is_asked_for_where_ours_is_too_brief(site: Site) -> None:
    requests = site["brief"].wait("REGISTER", 3)
    assert "expires=600" in requests[1].header("contact")
    assert "expires=900" in requests[2].header("contact")


def test_a_carrier_that_is_busy_is_asked_again_when_it_says(site: Site) -> None:
    carrier = site["busy"]
    carrier.wait("REGISTER", 3)
    moments = carrier.moments("REGISTER")
    assert moments[1] - moments[0] >= 0.9


def test_a_wrong_password_is_not_tried_again_and_again(site: Site) -> None:
    carrier = site["wrong"]
    carrier.wait("REGISTER", 4)
    moments = carrier.moments("REGISTER")
    assert moments[2] - moments[1] >= 0.45, "between a half and the whole of the longest wait"


def test_a_question_that_cannot_be_read_is_a_refusal(site: Site) -> None:
    assert is_signed(site["garbled"].wait("REGISTER", 3)[2])


def test_the_second_server_is_taken_where_the_first_is_silent_and_left_when_that_is_back(site: Site) -> None:
    first, second = site.carriers["failover"]
    assert is_signed(second.wait("REGISTER", 2)[1])
    assert "_sip._udp.failover.example SRV" in site.names.questions
    before = len(first.of("REGISTER"))
    first.awake = True
    back = first.wait("REGISTER", before + 2)
    assert is_signed(back[-1])


def _call(site: Site, called: str) -> SipMessage:
    """A phone rings a number outside; the final answer."""
    phone = Peer(site.media)
    try:
        assert phone.sign_in().status == 200
        challenge = phone.ask("INVITE", called=called)
        assert challenge is not None
        signed = phone.signed(challenge, "INVITE")
        answer = phone.ask("INVITE", signed, called=called, patience_s=8.0)
        assert answer is not None
        return answer
    finally:
        phone.close()


def test_a_call_that_one_carrier_refuses_or_leaves_unanswered_goes_out_by_the_next(site: Site) -> None:
    site["static"].wait("OPTIONS", 1)
    assert _call(site, "13800138000").status == 486
    (refused,) = site["full"].of("INVITE")
    (silent,) = site["mute"].of("INVITE")
    first, second = site["static"].of("INVITE")
    assert refused.start == "INVITE sip:13800138000@full.example SIP/2.0"
    assert silent.start == "INVITE sip:13800138000@mute.example SIP/2.0"
    assert first.start == "INVITE sip:+8613800138000@static.example SIP/2.0"
    assert is_signed(second, proxy=True)
    assert re.match(rf"<sip:{USER}@full\.example>", refused.header("from"))
    assert not any(refused.all("p-asserted-identity"))
    assert second.header("p-asserted-identity") == "<sip:01069100000@static.example>"
    assert re.match(r"<sip:01069100000@static\.example>", second.header("from"))


def test_a_carrier_that_we_only_know_by_address_is_not_registered_with(site: Site) -> None:
    site["static"].wait("OPTIONS", 1)
    assert site["static"].of("REGISTER") == []


def test_a_carrier_calls_in_from_its_servers_address(site: Site) -> None:
    site["plain"].wait("REGISTER", 2)
    caller = Peer(site.media, "127.0.1.1")
    stranger = Peer(site.media, "127.0.1.99")
    try:
        answer = caller.ask("INVITE", user="+8613500000077")
        assert answer is not None
        assert answer.status == 200
        caller.hang_up(answer, user="+8613500000077")
        assert stranger.ask("INVITE", user="13500000078", patience_s=0.3) is None
    finally:
        caller.close()
        stranger.close()
    (call,) = site.media.calls_of("13500000077")
    assert call.first("opened")["caller"] == "13500000077", "in its one form"


def test_the_operator_sees_on_the_bus_how_every_trunk_is(site: Site, valkey_server: str) -> None:
    site["plain"].wait("REGISTER", 2)
    site["wrong"].wait("REGISTER", 2)
    with closing(ValkeyBus(valkey_server)) as bus:

        def told() -> dict[str, Any]:
            trunks = {trunk["trunk"]: trunk for trunk in bus.states("trunks").get("n1", {"trunks": []})["trunks"]}
            return trunks if trunks and trunks["wrong"]["state"] == "down" else {}

        trunks = wait_for(told)
    assert set(trunks) == set(site.carriers)
    plain, wrong = trunks["plain"], trunks["wrong"]
    assert (plain["state"], plain["registered_at"]) == ("registered", site["plain"].address)
    assert (plain["silent"], plain["last_error"]) == ([], "")
    assert (wrong["servers"], wrong["registered_at"]) == ([site["wrong"].address], "")
    assert wrong["last_error"] == f"{site['wrong'].address} answers REGISTER with 401"
    assert datetime.fromisoformat(wrong["last_error_at"]).tzinfo is not None
    assert trunks["static"]["state"] == "up"
    assert re.search("does not answer REGISTER|is silent", trunks["failover"]["last_error"])
    assert SECRET not in json.dumps(trunks)


def test_a_server_down_is_said_once_in_the_log(site: Site, tmp_path: Path) -> None:
    first, _ = site.carriers["failover"]
    until = time.monotonic() + 8
    while f"{first.host}:{first.port} answers again" not in site.media.log():
        first.awake = True
        assert time.monotonic() < until
        time.sleep(0.05)
    assert site.media.log().count(f"{first.host}:{first.port} is silent") == 1
