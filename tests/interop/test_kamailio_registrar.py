"""Kamailio as a carrier's registrar, and as the edge through which phones of all media processes are reached."""

import json
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from peer_rig import SECRET, Peer

from demo.edge import INNER, OUTSIDE, PHONES, Edge, find_kamailio, free_tcp_and_udp_port
from demo.g711 import Law
from demo.media_process import MediaProcess
from demo.sdp import describe
from demo.sip import SipMessage
from hotline.errors import UnavailableError
from ivr.access.extensions import ExtensionFile

CARRIER, CITIZEN, DESK = "127.0.2.1", "127.0.2.9", "127.0.0.7"
USER, PASSWORD = "01069101234", "a carrier's secret"
CONFIGURATION = """#!KAMAILIO
listen=udp:{host}:{port}
children=1
dns=no
log_stderror=yes
debug=1
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("registrar", "min_expires", 90)
modparam("registrar", "max_expires", 120)
modparam("auth", "nonce_expire", 1)
request_route {{
	if (is_method("OPTIONS")) {{
		sl_send_reply("200", "OK");
		exit;
	}}
	if (is_method("REGISTER")) {{
		if (!pv_www_authenticate("carrier", "{password}", "0")) {{
			www_challenge("carrier", "1");
			exit;
		}}
		save("location");
		exit;
	}}
	if (!lookup("location")) {{
		sl_send_reply("480", "Temporarily Unavailable");
		exit;
	}}
	t_relay();
}}
"""


class KamailioCarrier:
    """A carrier with a registrar that forgets all when it is stopped."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.port = free_tcp_and_udp_port(CARRIER)
        text = CONFIGURATION.format(host=CARRIER, port=self.port, password=PASSWORD)
        (folder / "carrier.cfg").write_text(text, "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["-f", "carrier.cfg", "-DD", "-E", "-m", "32", "-M", "4", "-w", ".", "-Y", "."]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
            self._process = None


@pytest.fixture(scope="module")
def kamailio() -> str:
    try:
        return find_kamailio()
    except UnavailableError as error:
        pytest.skip(f"{error.message} ({error.hint}); `make test` installs it as root")


@pytest.fixture
def carrier(kamailio: str, tmp_path: Path) -> Iterator[KamailioCarrier]:
    made = KamailioCarrier(kamailio, tmp_path)
    yield made
    made.stop()


def _reached(carrier: KamailioCarrier, *, timeout_s: float = 8.0) -> bool:
    """Whether a citizen who calls our number at the carrier gets through to us in time."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        citizen = Peer((CARRIER, carrier.port), CITIZEN)
        try:
            answer = citizen.ask("INVITE", user="13500000055", called=USER, patience_s=0.5)
            if answer is not None and answer.status == 200:
                citizen.hang_up(answer, user="13500000055", called=USER)
                return True
        finally:
            citizen.close()
        time.sleep(0.1)
    return False


def test_a_carrier_s_registrar_lets_us_in_calls_us_and_does_so_again_after_it_started_anew(
    carrier: KamailioCarrier, tmp_path: Path
) -> None:
    trunk = {"name": "city", "domain": "carrier", "servers": [f"{CARRIER}:{carrier.port}"], "username": USER}
    quick = {"options_s": 0.3, "patience_s": 0.3, "max_missed": 2, "backoff_s": 0.3, "backoff_max_s": 0.5}
    settings = {
        "HOTLINE_TRUNKS": json.dumps([trunk | {"password": PASSWORD, "expires_s": 60} | quick]),
        "HOTLINE_SIP__ALLOWED_PEERS": '["127.0.0.99/32"]',
        "HOTLINE_DIAL_PLAN__FROM_TRUNK": f'["{USER}"]',
    }
    carrier.start()
    with MediaProcess(tmp_path / "media", **settings) as media:
        assert _reached(carrier), media.log()
        assert "trunk city is registered" in media.log()
        carrier.stop()
        until = time.monotonic() + 8
        while "trunk city is down" not in media.log():
            assert time.monotonic() < until, media.log()
            time.sleep(0.05)
        carrier.start()
        assert _reached(carrier), media.log()


# --- phones behind the edge ---


class Desk(Peer):
    """A phone that takes calls: it answers and keeps what it is told."""

    def __init__(self, edge: tuple[str, int]) -> None:
        super().__init__(edge, DESK)
        self.heard: list[SipMessage] = []

    def serve(self, stop: threading.Event) -> None:
        self._socket.settimeout(0.05)
        while not stop.is_set():
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            if data.startswith((b"INVITE", b"ACK", b"BYE", b"CANCEL")):
                self._answer(SipMessage.parse(data))

    def _answer(self, request: SipMessage) -> None:
        self.heard.append(request)
        if request.method == "ACK":
            return
        invite = request.method == "INVITE"
        body = describe(self.host, self.port + 1, Law.PCMA) if invite else b""
        extra = [("Contact", f"<sip:8001@{self.host}:{self.port}>")] if invite else []
        reply = request.reply(
            "200 OK", extra=(*extra, ("Content-Type", "application/sdp")) if invite else (), body=body
        )
        headers = tuple((k, f"{v};tag=desk" if k.lower() == "to" and "tag=" not in v else v) for k, v in reply.headers)
        self.send(SipMessage(reply.start, headers, reply.body).serialize())


def test_a_call_at_any_media_process_reaches_a_phone_by_its_path(kamailio: str, valkey: str, tmp_path: Path) -> None:
    settings = {
        "HOTLINE_VALKEY_URL": valkey,
        "HOTLINE_SIP__ALLOWED_PEERS": f'["{INNER}/32"]',
        "HOTLINE_EXTENSIONS__NETWORKS": f'["{PHONES}/32"]',
        "HOTLINE_EXTENSIONS__SHARED": "true",
        "HOTLINE_DIAL_PLAN__BETWEEN_EXTENSIONS": "true",
        "HOTLINE_LIMITS__BAN_EXEMPT": f'["{PHONES}/32"]',
    }
    both = tuple(MediaProcess(tmp_path / node, HOTLINE_NODE=node, **settings) for node in ("n-1", "n-2"))
    for media in both:
        extensions = ExtensionFile(media.data_dir / "extensions.json", realm="hotline")
        for name in ("8001", "8002"):
            extensions.add(name, display_name="", password=SECRET)
    stop = threading.Event()
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        stack.callback(lambda: list(pool.map(MediaProcess.stop, both)))
        list(pool.map(MediaProcess.__enter__, both))
        edge = stack.enter_context(
            Edge(tmp_path / "edge", [media.sip_port for media in both], EDGE_PHONES_ADDRESS=PHONES)
        )
        desk, caller = Desk((OUTSIDE, edge.port)), Peer((OUTSIDE, edge.port), "127.0.0.8")
        stack.callback(desk.close)
        stack.callback(caller.close)
        assert desk.sign_in().status == 200
        assert caller.sign_in(user="8002").status == 200
        serving = pool.submit(desk.serve, stop)
        stack.callback(stop.set)
        until = time.monotonic() + 10
        while not all(media.calls() for media in both):  # the Call-ID chooses the media process
            assert time.monotonic() < until
            caller.call_id = secrets.token_hex(8)
            challenge = caller.ask("INVITE", user="8002", called="8001")
            assert challenge is not None
            assert challenge.status == 401
            signed = caller.signed(challenge, "INVITE", user="8002")
            answer = caller.ask("INVITE", signed, user="8002", called="8001", patience_s=4.0)
            assert answer is not None
            if answer.status == 403:  # the other process hears of it in a moment
                time.sleep(0.1)
                continue
            assert answer.status == 200
        stop.set()
        serving.result(3)
        assert any(request.method == "ACK" for request in desk.heard)
        assert all(re.match(r"sip:8001@127\.0\.0\.7", request.start.split()[1]) for request in desk.heard)
