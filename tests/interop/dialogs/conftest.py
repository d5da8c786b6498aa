"""The server under test, and ends that call it and are called."""

import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from dialog_rig import WAIT_S, FarEnd, Handler, Office, SippDials
from sipp_rig import Sipp

from demo.media_process import HOST, free_port
from ivr.sip import Dialog, SessionPolicy, SipServer
from ivr.sip.admission import Admission


@pytest.fixture(scope="session")
def running() -> Iterator[Office]:
    """The one SIP server that a process can have; its session timers count 2 s as enough."""
    port = free_port()
    office: list[Office] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # sippy drops a socket that it only asks for IPv6
        server = SipServer(
            address=HOST,
            port=port,
            advertised_address="",
            admission=Admission(trunks=(ip_network("127.0.0.1"),)),
            max_calls=50,
            answer=lambda invitation, dialog: office[0].answer(invitation, dialog),
            session_policy=SessionPolicy(interval_s=1800, min_s=2),
        )
    office.append(Office(server))
    thread = threading.Thread(target=server.run, name="sip", daemon=True)
    thread.start()
    yield office[0]
    server.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.fixture
def office(running: Office) -> Iterator[Office]:
    running.answers, running.refusal, running.calls = True, None, queue.Queue()
    yield running
    assert running.do(lambda: running.server.calls) == 0, "every call came to its end"


@pytest.fixture
def another(running: Office) -> Iterator[Callable[..., FarEnd]]:
    """Makes further ends, at `host` where one is given."""
    ends: list[FarEnd] = []

    def make(host: str = HOST) -> FarEnd:
        ends.append(FarEnd(running.server.port, host))
        return ends[-1]

    yield make
    for end in ends:
        end.close()


@pytest.fixture
def far(another: Callable[..., FarEnd]) -> FarEnd:
    return another()


@pytest.fixture
def sipp(office: Office, program: Callable[[str, str], str], tmp_path: Path) -> SippDials:
    """Calls SIPp, which plays a scenario; in the end it must have gone as it is written."""
    name = program("sipp", "sip-tester")

    @contextmanager
    def dial(scenario: str, **keys: str) -> Iterator[tuple[Dialog, Handler]]:
        phone = Sipp(name, scenario, (HOST, office.server.port), tmp_path, host=HOST, keys=keys)
        try:
            dialog, handler = office.dial(phone, username="hotline", password="secret")
            assert handler.next() == ("ringing", None)
            assert handler.next()[0] == "answered"
            yield dialog, handler
            office.do(dialog.hang_up)
            phone.succeeds()
        finally:
            phone.close()

    return dial
