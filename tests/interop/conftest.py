"""The product's media process, alone on free loopback ports, and what is needed to ring it."""

import asyncio
import secrets
import select
import shutil
import socket
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from demo.call import CallPlan, CallResult, Phone
from demo.g711 import Law, decode, encode
from demo.media_process import HOST, MediaProcess
from demo.sdp import describe
from demo.sip import SipMessage, SipUri
from hotline.errors import ProtocolError


@pytest.fixture(scope="module")
def media(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaProcess]:
    """One media process for a test module, with the module's `MEDIA_SETTINGS`; no call may stay open in the end."""
    settings = getattr(request.module, "MEDIA_SETTINGS", {})
    with MediaProcess(tmp_path_factory.mktemp("media"), **settings) as process:
        yield process
        assert process.running, process.log()[-3000:]
        process.wait_for_calls(len(process.calls()))


@pytest.fixture
def program() -> Callable[[str, str], str]:
    """Finds a program or skips the test, naming the Debian package."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed (Debian package {package})")
        return path

    return find


@pytest.fixture
def utterance() -> NDArray[np.int16]:
    """Four seconds of a caller that survive A-law unchanged (int16, 8 kHz), loud from the first sample to the last."""
    with_pauses = np.random.default_rng(12345).normal(0, 1, 32000) * np.repeat([4000, 500, 6000, 2000], 8000)
    audio = np.clip(with_pauses, -30000, 30000).astype(np.int16)
    return decode(encode(audio, Law.PCMA), Law.PCMA)


class Line:
    """A bare UDP socket that says exactly what a test wants, right or wrong."""

    def __init__(self, media: MediaProcess) -> None:
        self._server = media.address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        self.call_id = f"{secrets.token_hex(8)}@line"
        self.caller = f"135{secrets.randbelow(10**8):08d}"

    def close(self) -> None:
        self._socket.close()

    def request(
        self, method: str, *, cseq: int = 1, to: str = "", branch: str = "", body: bytes | None = None
    ) -> SipMessage:
        """A request as it should be; `to` is the To header of a dialog."""
        uri = f"sip:12345@{self._server[0]}:{self._server[1]}"
        headers = [
            ("Via", f"SIP/2.0/UDP {HOST}:{self.port};rport;branch={branch or 'z9hG4bK' + secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.caller}@{HOST}:{self.port}>;tag=line"),
            ("To", to or f"<{uri}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:{self.caller}@{HOST}:{self.port}>"),
        ]
        if body is None:
            body = describe(HOST, self.port, Law.PCMA) if method == "INVITE" else b""
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return SipMessage(start=f"{method} {uri} SIP/2.0", headers=tuple(headers), body=body)

    def send(self, message: SipMessage | bytes) -> None:
        data = message if isinstance(message, bytes) else message.serialize()
        self._socket.sendto(data, self._server)

    def receive(self, timeout_s: float = 3.0) -> SipMessage | None:
        """The next SIP message, None when the time is over; RTP (the line has one socket for all) is passed over."""
        until = time.monotonic() + timeout_s
        while select.select([self._socket], [], [], max(0.0, until - time.monotonic()))[0]:
            if time.monotonic() > until:
                break
            try:
                return SipMessage.parse(self._socket.recv(65536))
            except ProtocolError:
                continue
        return None

    def final(self, method: str = "INVITE", timeout_s: float = 3.0) -> SipMessage:
        """The next final answer to a request of ours."""
        while (message := self.receive(timeout_s)) is not None:
            if (message.status or 0) >= 200 and message.method == method:
                return message
        raise AssertionError(f"no final answer to {method}")


@pytest.fixture
def line(media: MediaProcess) -> Iterator[Line]:
    """A line to the module's media process."""
    opened = Line(media)
    yield opened
    opened.close()


async def ring(media: MediaProcess, *, caller: str = "13500000000", **plan: object) -> CallResult:
    """A short proper call of the demonstration's phone."""
    given = {"start_after": 0.0, "press": "", "hang_up_after": 0.1, "limit": 10.0} | plan
    return await Phone(CallPlan(to=SipUri("12345", HOST, media.sip_port), caller=caller, **given)).run()  # type: ignore[arg-type]


@pytest.fixture
def proper_call(media: MediaProcess) -> Callable[[], CallResult]:
    """Places a short proper call and returns its result."""
    return lambda: asyncio.run(ring(media))
