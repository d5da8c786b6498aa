"""RTCP with far ends that are not ours: the figures that both sides keep of a call, and who may spoil them."""

import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from baresip_rig import MODULES, Baresip
from numpy.typing import NDArray

from demo.g711 import Law
from demo.media_process import HOST, MediaProcess, free_port
from demo.sdp import describe

SSRC = 0x0A0B0C0D
DLSR_S = 0.05
ELSEWHERE = "127.0.0.7"
BLOCK = struct.Struct("!II4I")
REPORT = struct.Struct("!BBHI")
SENDER = struct.Struct("!IIIII")


class Told(NamedTuple):
    """What a report says, read by hand."""

    ssrc: int
    middle: int
    fraction_lost: int
    lost: int
    jitter: int
    last_report: int


def read_report(datagram: bytes) -> Told:
    """A sender report about one source (RFC 3550 section 6.4.1)."""
    flags, kind, _, ssrc = REPORT.unpack_from(datagram)
    assert (flags, kind) == (0x81, 200)
    seconds, fraction, *_ = SENDER.unpack_from(datagram, REPORT.size)
    source, losses, _, jitter, last_report, _ = BLOCK.unpack_from(datagram, REPORT.size + SENDER.size)
    assert source == SSRC
    return Told(ssrc, (seconds & 0xFFFF) << 16 | fraction >> 16, losses >> 24, losses & 0xFFFFFF, jitter, last_report)


def receiver_report(about: int, *, lost: int, last_report: int, delay: int) -> bytes:
    return REPORT.pack(0x81, 201, 7, SSRC) + BLOCK.pack(about, lost, 0, 160, last_report, delay)


@dataclass
class Peer:
    """A far end of RTP at an even port and RTCP at the next, that loses every `loses`th packet before it is sent."""

    loses: int
    rtp: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    rtcp: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    heard: set[int] = field(default_factory=set)
    reports: list[Told] = field(default_factory=list)
    goodbyes: int = 0
    answers_due: list[tuple[float, Told]] = field(default_factory=list)

    def __post_init__(self) -> None:
        port = (free_port(count=3) + 1) & ~1
        for endpoint, own in ((self.rtp, port), (self.rtcp, port + 1)):
            endpoint.bind((HOST, own))
            endpoint.setblocking(False)

    def talk(self, port: int, *, until: Callable[[], bool], at_most_s: float) -> None:
        """Sends every 20 ms, and answers each report after DLSR_S, to the hotline's RTP `port` and the next."""
        start, number = time.monotonic(), 0
        while not until():
            assert time.monotonic() - start < at_most_s, self.reports
            if number % self.loses != 1:
                header = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * 160, SSRC)
                self.rtp.sendto(header + bytes([0xD5]) * 160, (HOST, port))
            number += 1
            self.read()
            for due, told in list(self.answers_due):
                if time.monotonic() >= due + DLSR_S:
                    delay = round((time.monotonic() - due) * 65536)
                    lost = round(len(self.heard) / 10)
                    answer = receiver_report(told.ssrc, lost=lost, last_report=told.middle, delay=delay)
                    self.rtcp.sendto(answer, (HOST, port + 1))
                    self.answers_due.remove((due, told))
            time.sleep(max(0.0, start + number * 0.02 - time.monotonic()))

    def read(self) -> None:
        """Takes what came."""
        for endpoint in (self.rtp, self.rtcp):
            while True:
                try:
                    datagram = endpoint.recv(2048)
                except BlockingIOError:
                    break
                if endpoint is self.rtp:
                    self.heard.add(int.from_bytes(datagram[2:4], "big"))
                    continue
                self.reports.append(read_report(datagram))
                self.answers_due.append((time.monotonic(), self.reports[-1]))
                self.goodbyes += datagram[-8:] == bytes([0x81, 203, 0, 1]) + struct.pack("!I", self.reports[-1].ssrc)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer(loses=5)
    yield made
    made.rtp.close()
    made.rtcp.close()


def rings(line: Any, peer: Peer) -> tuple[int, Callable[[], None]]:
    """A call of `line` with the media of `peer`: the hotline's RTP port, and what hangs up."""
    line.send(line.request("INVITE", body=describe(HOST, peer.rtp.getsockname()[1], Law.PCMA)))
    answer = line.final()
    assert answer.status == 200
    line.send(line.request("ACK", to=answer.header("to")))
    found = re.search(rb"m=audio (\d+)", answer.body)
    assert found

    def hang_up() -> None:
        line.send(line.request("BYE", cseq=2, to=answer.header("to")))
        assert line.final("BYE").status == 200

    return int(found[1]), hang_up


def test_loss_of_each_direction_and_the_round_trip_are_told_and_kept(
    media: MediaProcess, line: Any, peer: Peer
) -> None:
    port, hang_up = rings(line, peer)
    peer.talk(port, until=lambda: bool(peer.reports) and not peer.answers_due, at_most_s=5)
    told = peer.reports[0]
    assert told.fraction_lost == pytest.approx(256 / 5, abs=6)
    assert told.lost > 5
    assert told.jitter < 160, "twenty milliseconds"
    time.sleep(0.1)
    hang_up()
    time.sleep(0.1)
    peer.read()
    assert peer.goodbyes == 1
    (call,) = media.calls_of(line.caller)
    quality = call.first("quality")
    assert quality["party"] == "caller"
    assert quality["received"]["loss"] == pytest.approx(0.2, abs=0.02)
    assert quality["received"]["mos"] < 3.5
    assert quality["sent"]["loss"] == pytest.approx(0.1, abs=0.02)
    assert quality["sent"]["jitter_ms"] == 20.0
    assert 0 <= quality["round_trip_ms"] < 1000 * DLSR_S, "the peer's delay is taken off"


def test_an_off_path_packet_spoils_no_figure(media: MediaProcess, line: Any, peer: Peer) -> None:
    port, hang_up = rings(line, peer)
    peer.talk(port, until=lambda: bool(peer.reports) and not peer.answers_due, at_most_s=5)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.bind((ELSEWHERE, 0))
        ssrc = peer.reports[0].ssrc  # more than a stranger can know
        for _ in range(20):
            stranger.sendto(receiver_report(ssrc, lost=5000, last_report=1, delay=0), (HOST, port + 1))
    time.sleep(0.1)
    hang_up()
    (call,) = media.calls_of(line.caller)
    assert call.first("quality")["sent"]["loss"] < 0.2


def test_a_real_phone_s_reports_give_round_trip_and_loss(
    media: MediaProcess, program: Callable[[str, str], str], tmp_path: Path, utterance: NDArray[np.int16]
) -> None:
    baresip = program("baresip", "baresip-core")
    if not (MODULES / "aufile.so").is_file():
        pytest.skip(f"no baresip modules in {MODULES} (Debian package baresip-core)")
    voice = np.tile(utterance, 2)
    phone = Baresip(baresip, tmp_path / "phone", media, name="13700000003", host=HOST, voice=voice)
    with closing(phone):
        phone.start()
        phone.dial("12345")
        time.sleep(6.5)  # it reports every five seconds
        phone.hang_up()
    (call,) = media.calls_of("13700000003")
    quality = call.first("quality")
    assert quality["received"]["packets"] > 300
    assert quality["received"]["loss"] == 0
    assert quality["sent"]["packets"] > 300
    assert quality["sent"]["loss"] == 0
    assert quality["sent"]["mos"] == quality["received"]["mos"] == 4.41
    assert 0 <= quality["round_trip_ms"] < 200
