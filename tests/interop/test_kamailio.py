"""The edge as it is shipped, in front of two media processes: what callers, carriers and attackers see."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from kamailio_rig import Caller
from numpy.typing import NDArray

from console.certificates import CertificateFiles, ensure_certificates
from demo.compare import caller_channel_matches
from demo.edge import CONFIGURATION, INNER, OUTSIDE, PHONES, TRUNK, Edge, find_kamailio
from demo.g711 import Law, encode
from demo.media_process import HOST, MediaProcess, RecordedCall
from demo.sip import SipMessage
from hotline.errors import UnavailableError
from hotline.settings import Settings
from hotline.settings_sections import ConsoleSettings

BAN_S = 2
FAILOVER_S = 5.0
Media = tuple[MediaProcess, MediaProcess]


@pytest.fixture(scope="module")
def kamailio() -> str:
    try:
        return find_kamailio()
    except UnavailableError as error:
        pytest.skip(f"{error.message} ({error.hint}); `make test` installs it as root")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """The edge's certificate, by the site's CA."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("ca"), console=ConsoleSettings(public_names=(OUTSIDE,)))
    return ensure_certificates(settings, now=datetime.now(UTC))


@pytest.fixture(scope="module")
def trust(certificate: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.authority))


@pytest.fixture(scope="module")
def media(kamailio: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Media]:
    """Two media processes that hear nobody but the edge; the second takes few calls."""
    peers = f'["{INNER}/32", "{PHONES}/32"]'
    first, second = (
        MediaProcess(
            tmp_path_factory.mktemp("media"),
            HOTLINE_NODE=node,
            HOTLINE_SIP__MAX_CALLS=calls,
            HOTLINE_SIP__ALLOWED_PEERS=peers,
            HOTLINE_MEDIA__RTP_TIMEOUT_S="2",
        )
        for node, calls in (("n-1", "50"), ("n-2", "4"))
    )
    with ExitStack() as stack, ThreadPoolExecutor() as starting:
        for process in starting.map(MediaProcess.__enter__, (first, second)):
            stack.push(process)
        yield first, second


@pytest.fixture(scope="module")
def edge(media: Media, certificate: CertificateFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge") / "edge"
    files = (certificate.certificate, certificate.private_key)
    with Edge(folder, ports(media), files, EDGE_BAN_S=str(BAN_S), EDGE_FLOOD="20") as running:
        yield running
        assert running.running


def test_every_variable_is_explained_and_the_example_is_one_kamailio_takes(kamailio: str, tmp_path: Path) -> None:
    text = CONFIGURATION.read_text("utf-8")
    used = set(re.findall(r"^#!(?:try)?defenvs? (EDGE_\w+)$", text, re.MULTILINE))
    assert set(re.findall(r"^#   (EDGE_\w+) ", text, re.MULTILINE)) == used
    needed = set(re.findall(r"^#!defenvs? (EDGE_\w+)$", text, re.MULTILINE))
    example = CONFIGURATION.with_name("edge.env").read_text("utf-8")
    values = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    assert needed - set(values) == {"EDGE_MASK_KEY"}, "a secret is everybody's own"
    assert {name for name in values if name.startswith("EDGE_")} <= used
    check = [kamailio, "-c", "-m", "32", "-M", "8", "-f", str(CONFIGURATION)]
    without_key = subprocess.run(check, env=values, cwd=tmp_path, capture_output=True, text=True)
    assert without_key.returncode != 0
    done = subprocess.run(check, env=values | {"EDGE_MASK_KEY": "k"}, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def ports(media: Media) -> list[int]:
    return [process.sip_port for process in media]


def recording_of(media: Media, caller: Caller) -> RecordedCall:
    """The closed recording of a caller's only call, wherever it was answered."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = [
            call for process in media for call in process.calls() if call.first("opened")["caller"] == caller.number
        ]
        if found and all(call.closed for call in found):
            (only,) = found
            return only
        time.sleep(0.05)
    raise AssertionError(f"no closed call of {caller.number}")


def test_callers_by_every_transport_are_recorded_and_see_nothing_of_the_inside(
    edge: Edge, media: Media, trust: ssl.SSLContext, utterance: NDArray[np.int16]
) -> None:
    said = utterance[:8000]

    def call(transport: str) -> None:
        with Caller(edge, transport, trust=trust) as caller:
            answer = caller.call()
            assert answer is not None
            assert answer.status == 200
            head = answer.serialize().partition(b"\r\n\r\n")[0].decode()
            assert not any(address in head for address in (INNER, HOST, *(f":{process.sip_port}" for process in media)))
            caller.say(encode(said, Law.PCMA))
            audio_from = caller.heard()
            assert audio_from is not None
            assert audio_from[0] == HOST, "straight from the media process"
            assert caller.hang_up() == 200
        recorded = recording_of(media, caller)
        assert recorded.first("opened")["peer"] == INNER
        assert recorded.first("ended")["reason"] == "caller_hangup"
        assert caller_channel_matches(recorded.channels()[:, 0], said).exact, transport

    with ThreadPoolExecutor() as phones:
        list(phones.map(call, ("UDP", "TCP", "TLS", "WSS")))


def test_the_far_end_s_requests_reach_the_caller_and_a_hold_the_media_process(
    edge: Edge, media: Media, trust: ssl.SSLContext
) -> None:
    def call(transport: str) -> None:
        with Caller(edge, transport, trust=trust) as caller:
            assert caller.call() is not None
            caller.send(caller.request("INVITE", direction="sendonly"))
            held = caller.final("INVITE")
            assert held is not None
            assert b"a=recvonly" in held.body
            caller.send(caller.request("ACK"))
            caller.send(caller.request("INVITE"))
            assert caller.final("INVITE") is not None
            caller.send(caller.request("ACK"))
            assert caller.await_bye(6) is not None, "no packet for two seconds"
        assert recording_of(media, caller).first("ended")["reason"] == "media_timeout"

    with ThreadPoolExecutor() as phones:
        list(phones.map(call, ("UDP", "TCP", "TLS", "WSS")))


def test_a_full_media_process_leaves_the_call_to_the_other(edge: Edge, media: Media) -> None:
    before = [len(process.calls()) for process in media]
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller(edge)) for _ in range(24)]
        answers = [caller.call() for caller in callers]
        assert [answer.status if answer else None for answer in answers] == [200] * 24
        assert [caller.hang_up() for caller in callers] == [200] * 24
    first, second = (len(process.calls()) - count for process, count in zip(media, before, strict=True))
    assert (first, second) == (20, 4)


def test_a_dead_media_process_s_share_moves_and_comes_back(edge: Edge, media: Media) -> None:
    _, second = media
    with ExitStack() as stack, ThreadPoolExecutor(40) as phones:
        held = [stack.enter_context(Caller(edge)) for _ in range(6)]
        assert all(caller.call() is not None for caller in held)
        os.kill(second.pid, signal.SIGKILL)
        killed = time.monotonic()
        waits = []

        def call() -> None:
            caller = stack.enter_context(Caller(edge))
            began = time.monotonic()
            answer = caller.call(t1=10)
            waits.append(time.monotonic() - began)
            assert answer is not None
            assert answer.status == 200
            assert caller.hang_up() == 200

        calls = []
        while edge.active(second.sip_port):
            assert time.monotonic() - killed < FAILOVER_S
            calls.append(phones.submit(call))
            time.sleep(0.1)
        out_after = time.monotonic() - killed
        for placed in calls:
            placed.result()
        began = time.monotonic()
        call()
        assert time.monotonic() - began < 0.5, "nobody is sent to the dead one any more"
    assert not second.running
    slowest = f"slowest of {len(waits)} calls answered after {max(waits):.1f} s"
    sys.stdout.write(f"kill -9: no calls for it after {out_after:.1f} s, {slowest}\n")
    assert max(waits) < FAILOVER_S
    with second:
        deadline = time.monotonic() + FAILOVER_S
        while not edge.active(second.sip_port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        before = len(second.calls())
        while len(second.calls()) == before:
            assert time.monotonic() < deadline
            with Caller(edge) as caller:
                assert caller.call() is not None
                assert caller.hang_up() == 200


def test_a_stranger_gets_no_call_and_is_banned_for_a_while_when_he_insists(edge: Edge, media: Media) -> None:
    answered = [len(process.calls()) for process in media]
    statuses = []
    for _ in range(12):
        with Caller(edge, host="127.0.0.21") as stranger:
            answer = stranger.call(timeout_s=0.1)
            statuses.append(answer.status if answer else None)
    assert statuses == [403] * 9 + [None] * 3
    assert edge.banned("127.0.0.21")
    deadline = time.monotonic() + BAN_S + 2
    with Caller(edge, host="127.0.0.21") as stranger:
        while (answer := stranger.call(timeout_s=0.2)) is None:
            assert time.monotonic() < deadline, "still banned"
        assert answer.status == 403
    assert [len(process.calls()) for process in media] == answered


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE"])
def test_a_scanner_hears_nothing_and_is_banned_at_once(edge: Edge, method: str) -> None:
    host = f"127.0.0.{31 + len(method)}"
    with Caller(edge, host=host, headers=[("User-Agent", "friendly-scanner")]) as scanner:
        scanner.send(scanner.request(method))
        assert scanner.receive(0.2) is None
    with Caller(edge, host=host) as disguised:
        assert disguised.call(timeout_s=0.2) is None
    assert edge.banned(host)


def test_a_probing_stranger_hears_nothing_and_the_trunk_its_keepalive(edge: Edge) -> None:
    with Caller(edge, host="127.0.0.41") as stranger:
        stranger.send(stranger.request("OPTIONS"))
        assert stranger.receive(0.2) is None
    with Caller(edge) as trunk:
        trunk.send(trunk.request("OPTIONS"))
        assert (trunk.final("OPTIONS") or pytest.fail("no answer")).status == 200


def test_a_flood_is_banned_and_disturbs_nobody(edge: Edge) -> None:
    with Caller(edge, host="127.0.0.51") as flooder, Caller(edge) as caller:
        for _ in range(200):
            flooder.send(flooder.request("SUBSCRIBE"))
        began = time.monotonic()
        assert caller.call() is not None
        assert time.monotonic() - began < 0.5
        assert caller.hang_up() == 200
    assert edge.banned("127.0.0.51")
    assert "127.0.0.51 for 2 s: flood" in edge.log()


@pytest.mark.parametrize(
    "message",
    [
        b"\0" * 400,
        b"INVITE sip:12345@edge SIP/2.0\r\n\r\n",
        b"INVITE sip:12345@edge SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nCSeq: 1 BYE\r\nContent-Length: -5\r\n\r\n",
        b"INVITE sip:%s SIP/2.0\r\n" % (b"a" * 30000),
    ],
    ids=["zeros", "no headers", "contradictions", "long line"],
)
def test_garbage_gets_no_answer_and_the_next_call_is_taken(edge: Edge, message: bytes) -> None:
    with Caller(edge, host="127.0.0.61") as stranger:
        stranger.send(message)
        assert stranger.receive(0.1) is None
    with Caller(edge) as caller:
        assert caller.call() is not None
        assert caller.hang_up() == 200


def test_nobody_is_relayed_to_a_third_party(edge: Edge) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as victim, Caller(edge) as caller:
        victim.bind((HOST, 0))
        victim.setblocking(False)
        elsewhere = "sip:1@{}:{}".format(*victim.getsockname())
        caller.target = elsewhere
        caller.routes = (f"<sip:{OUTSIDE}:{edge.port};lr>",)
        caller.to = f"<{elsewhere}>;tag=made-up"
        caller.send(caller.request("BYE"))
        assert (caller.final("BYE") or pytest.fail("no answer")).status == 481
        caller.routes, caller.to = (f"<{elsewhere};lr>",), f"<{elsewhere}>"
        assert caller.call() is not None, "a call is the hotline's, whatever its request line and Route say"
        caller.hang_up()
        with pytest.raises(BlockingIOError):
            victim.recv(1)


def test_the_media_processes_side_is_closed_to_others(edge: Edge) -> None:
    with Caller(edge, host="127.0.0.71") as stranger, socket.socket(type=socket.SOCK_DGRAM) as inside:
        inside.bind(("127.0.0.71", 0))
        inside.settimeout(0.2)
        inside.sendto(stranger.request("INVITE").serialize(), (INNER, edge.inner_port))
        with pytest.raises(TimeoutError):
            inside.recv(2048)


def test_phones_come_by_an_address_of_their_own_and_their_word_is_not_taken_for_the_trunk_s(
    media: Media, tmp_path: Path
) -> None:
    asserted = [("P-Asserted-Identity", "<sip:13900000000@trunk>")]
    with Edge(tmp_path / "edge", ports(media), EDGE_PHONES_ADDRESS=PHONES) as edge:
        for host, peer in ((TRUNK, INNER), ("127.0.0.81", PHONES)):
            with Caller(edge, host=host, headers=asserted) as caller:
                assert caller.call() is not None
                assert caller.hang_up() == 200
            time.sleep(0.3)  # a journal is written on a thread of its own, and may have no line yet
            every = [call.first("opened") for process in media for call in process.calls()]
            opened = max((line for line in every if line), key=lambda line: line["at"])
            assert opened["peer"] == peer
            assert opened["caller"] == ("13900000000" if peer == INNER else caller.number)


def test_a_call_placed_by_a_media_process_leaves_by_the_edge_and_says_nothing_of_it(
    kamailio: str, tmp_path: Path
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as media, socket.socket(type=socket.SOCK_DGRAM) as carrier:
        for end, host in ((media, HOST), (carrier, TRUNK)):
            end.bind((host, 0))
            end.settimeout(3)
        own, callee = ("{}:{}".format(*end.getsockname()) for end in (media, carrier))
        answering = threading.Thread(target=answer_probe, args=(media,))
        answering.start()
        with Edge(tmp_path / "edge", [media.getsockname()[1]]) as edge:
            answering.join()
            headers = (
                ("Via", f"SIP/2.0/UDP {own};branch=z9hG4bKout"),
                ("Max-Forwards", "70"),
                ("From", f"<sip:12345@{own}>;tag=media"),
                ("To", f"<sip:13900000000@{callee}>"),
                ("Call-ID", "placed"),
                ("CSeq", "1 INVITE"),
                ("Contact", f"<sip:12345@{own}>"),
            )
            invite = SipMessage(start=f"INVITE sip:13900000000@{callee} SIP/2.0", headers=headers)
            media.sendto(invite.serialize(), (INNER, edge.inner_port))
            data, source = carrier.recvfrom(65536)
            assert source == (OUTSIDE, edge.port)
            arrived = SipMessage.parse(data)
            routing = [value for name in ("via", "contact", "record-route") for value in arrived.all(name)]
            assert len(routing) >= 4
            assert not any(inside in value for inside in (own, INNER) for value in routing)
            carrier.sendto(arrived.reply("486 Busy Here").serialize(), source)
            answer = SipMessage.parse(media.recv(65536))
            while answer.header("call-id") != "placed" or (answer.status or 0) < 200:
                answer = SipMessage.parse(media.recv(65536))
            assert answer.status == 486
            assert answer.header("via").startswith(f"SIP/2.0/UDP {own}")


def answer_probe(media: socket.socket) -> None:
    """Answers the edge's first OPTIONS."""
    data, source = media.recvfrom(65536)
    media.sendto(SipMessage.parse(data).reply("200 OK").serialize(), source)
