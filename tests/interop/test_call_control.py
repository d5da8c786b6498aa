"""Calls of a real media process controlled by commands over a real Valkey, and what dies on the way."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from control_rig import Desk, command, wait_for
from desk_phone import DeskPhone

from demo.media_process import MediaProcess
from hotline.bus import ValkeyBus
from hotline.commands import LEASE_S, Outcome
from hotline.errors import UnavailableError
from hotline.settings import Settings
from hotline.supervisor import valkey_command
from ivr.access.extensions import ExtensionFile

EXTENSIONS = ("8001", "8002", "8003")
TAKER = """
import sys, time
from hotline.valkey_commands import ValkeyCommands
receiver = ValkeyCommands(sys.argv[1], max_age_s=30).receiver(sys.argv[2])
while receiver.receive(1.0) is None:
    pass
print("taken", flush=True)
time.sleep(60)
"""


def secret(extension: str) -> str:
    return f"a secret of {extension}"


def start(folder: Path, url: str, *, node: str = "n1") -> MediaProcess:
    """A media process whose phones may call each other."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "extensions.json").exists():
        file = ExtensionFile(folder / "extensions.json", realm="hotline")
        for name in EXTENSIONS:
            file.add(name, display_name="", password=secret(name))
    return MediaProcess(
        folder,
        HOTLINE_VALKEY_URL=url,
        HOTLINE_NODE=node,
        HOTLINE_EXTENSIONS__NETWORKS='["127.0.0.0/8"]',
        HOTLINE_DIAL_PLAN__BETWEEN_EXTENSIONS="true",
    )


@pytest.fixture(scope="module")
def media(valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaProcess]:
    with contextlib.closing(redis.Redis.from_url(valkey_server)) as client:
        client.flushall()
    with start(tmp_path_factory.mktemp("control"), valkey_server) as process:
        yield process
        assert process.running, process.log()[-3000:]


@pytest.fixture
def desk(valkey_server: str) -> Iterator[Desk]:
    with contextlib.closing(Desk(valkey_server)) as opened:
        yield opened


@pytest.fixture
def phones(media: MediaProcess) -> Iterator[list[DeskPhone]]:
    """Three phones, signed in."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(DeskPhone(media, name, secret(name))) for name in EXTENSIONS]
        for phone in opened:
            phone.sign_in()
        yield opened


def test_a_call_is_controlled_from_hold_to_hang_up(media: MediaProcess, desk: Desk, phones: list[DeskPhone]) -> None:
    caller, called, third = phones
    caller.call("8002")
    call_id = desk.call_id()
    for name, arguments in (
        ("hold", {"party": "8002"}),
        ("resume", {"party": "8002"}),
        ("mute", {"party": "8002"}),
        ("unmute", {"party": "8002"}),
        ("play", {"items": ["digit_1", "say:12"]}),
        ("send_digits", {"digits": "12#", "to": "8002"}),
        ("conference", {"target": "8003"}),
    ):
        assert desk.ask(name, call_id, **arguments) == Outcome(), name
    wait_for(lambda: any(party["name"] == "8003" for party in desk.bus.states("call")[call_id]["parties"]))
    assert desk.ask("hang_up", call_id, party="8003") == Outcome()
    assert third.ended.wait(5)
    refused = desk.ask("hold", call_id, party="8009")
    assert refused.error is not None
    assert "8009" in refused.error
    assert desk.ask("hang_up", call_id) == Outcome()
    assert caller.ended.wait(5)
    assert called.ended.wait(5)
    assert caller.packets > 0
    late = desk.ask("hang_up", call_id)
    assert late.error == f"no call {call_id} is in progress here"

    told = [event for event in desk.events() if event.data["call_id"] == call_id]
    names = [event.name for event in told]
    for name in ("call.held", "call.resumed", "call.muted", "call.unmuted", "call.played", "call.digits_sent"):
        assert names.count(name) == 1, name
    assert (names.count("control.done"), names.count("control.failed")) == (9, 2)
    assert {event.data["actor"] for event in told if event.topic == "control"} == {"test"}
    (recorded,) = [call for call in media.wait_for_calls(1) if call.first("opened")["call_id"] == call_id]
    kinds = [line["kind"] for line in recorded.journal]
    assert kinds.index("held") < kinds.index("resumed") < kinds.index("prompt") < kinds.index("ended")
    assert "8009" not in media.log()


def test_a_command_sent_twice_is_carried_out_once(desk: Desk, phones: list[DeskPhone]) -> None:
    phones[0].call("8002")
    call_id = desk.call_id()
    pause, resume = command("pause_recording", call_id), command("resume_recording", call_id)
    for sent in (pause, resume, pause):
        assert desk.send(sent) == Outcome()
    assert desk.ask("resume_recording", call_id) == Outcome()
    assert desk.ask("hang_up", call_id) == Outcome()
    names = [event.name for event in desk.events() if event.data["call_id"] == call_id]
    assert (names.count("call.recording_paused"), names.count("call.recording_resumed")) == (1, 1)
    assert names.count("control.done") == 5


def test_seats_are_signed_in_and_seen_on_the_bus(desk: Desk, media: MediaProcess) -> None:
    refused = desk.ask("seat_sign_in", seat="8001", queues=["no_such_queue"])
    assert refused.error is not None
    assert "no_such_queue" in refused.error
    assert wait_for(lambda: desk.bus.states("seats")) == {"n1": {"seats": []}}


def taken_by_one_that_is_killed(url: str, node: str) -> None:
    """A process that takes a command and is killed before it could carry it out."""
    taker = subprocess.Popen([sys.executable, "-c", TAKER, url, node], stdout=subprocess.PIPE)
    assert taker.stdout is not None
    with taker.stdout:
        assert taker.stdout.readline() == b"taken\n"
        taker.kill()
    taker.wait()


def test_what_a_killed_process_had_taken_is_carried_out_by_another(media: MediaProcess, desk: Desk) -> None:
    os.kill(media.pid, signal.SIGSTOP)  # so that it is not the one that takes it
    try:
        sent = command("seat_away", seat="8001")
        desk.commands.send(sent)
        taken_by_one_that_is_killed(desk.url, "n9")
    finally:
        os.kill(media.pid, signal.SIGCONT)
    outcome = wait_for(lambda: desk.commands.outcome(sent.id), 3 * LEASE_S)
    assert outcome == Outcome()


def test_a_restarted_node_carries_out_what_it_had_taken(valkey_server: str, desk: Desk, tmp_path: Path) -> None:
    sent = command("seat_away", seat="8001")
    desk.commands.send(sent, node="n2")
    taken_by_one_that_is_killed(valkey_server, "n2")
    with start(tmp_path, valkey_server, node="n2"):
        assert wait_for(lambda: desk.commands.outcome(sent.id)) == Outcome()


def test_commands_come_again_when_a_killed_broker_is_back() -> None:
    with tempfile.TemporaryDirectory(prefix="hotline-") as folder:  # short: a socket's path has at most 107 bytes
        settings = Settings(data_dir=Path(folder))
        settings.valkey_socket.parent.mkdir(parents=True)
        broker = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL)
        try:
            with (
                start(Path(folder) / "media", settings.effective_valkey_url()) as media,
                contextlib.closing(Desk(settings.effective_valkey_url())) as desk,
            ):
                assert desk.ask("seat_away", seat="8001") == Outcome()
                broker.kill()
                broker.wait()
                assert media.answers(timeout_s=1.0), "calls do not wait for the broker"
                broker = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL)
                wait_for(lambda: answers(desk.bus))
                assert desk.ask("seat_away", seat="8001") == Outcome()
        finally:
            broker.kill()
            broker.wait()


def answers(bus: ValkeyBus) -> bool:
    try:
        bus.ping()
    except UnavailableError:
        return False
    return True
