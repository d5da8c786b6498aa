"""`hotline control` against a real Valkey, with a thread in the place of a media process."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hotline.bus import ValkeyBus
from hotline.cli_control import app, shortest
from hotline.commands import Command, Outcome
from hotline.errors import ConflictError, HotlineError, InvalidInputError, NotFoundError, UnavailableError
from hotline.valkey_commands import ValkeyCommands
from ivr.announcements.prompts import PromptLibrary
from ivr.calls import control

PROMPTS = PromptLibrary.load(Path(control.__file__).parents[1] / "prompts/zh")
CALL, OTHER = "1a2b3c4d5e6f70819203a4b5c6d7e8f9", "1a2b3c4dffffffffffffffffffffffff"
STATE: dict[str, Any] = {
    "node": "n1",
    "direction": "in",
    "caller": "13800138000",
    "called": "12345",
    "answered_at": "2026-01-05T01:30:00+00:00",
    "parties": [{"name": "caller", "held": True, "muted": False}, {"name": "8001", "held": False, "muted": True}],
    "captions": [{"text": "我要反映供暖问题"}],
}


class Node:
    """Answers the commands of node `n1` and the shared ones: refuses what no media process would understand."""

    def __init__(self, url: str, bus: ValkeyBus) -> None:
        self._bus = bus
        self.commands: list[Command] = []
        self.outcome = Outcome()
        self._streams = ValkeyCommands(url, max_age_s=30)
        self._receiver = self._streams.receiver("n1")
        self._receiver.receive(0.001)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            delivery = self._receiver.receive(0.05)
            if delivery is None:
                continue
            self.commands.append(delivery.command)
            outcome = self.outcome
            try:
                control.parse(delivery.command, prompts=PROMPTS)
            except HotlineError as error:
                outcome = Outcome(error.message)
            self._receiver.finish(delivery, outcome)
            self._bus.publish(outcome.event(delivery.command, delivery.command.at))

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._streams.close()


@pytest.fixture
def bus(valkey: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ValkeyBus]:
    for name in [key for key in os.environ if key.startswith("HOTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTLINE_VALKEY_URL", valkey)
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(ValkeyBus(valkey)) as opened:
        opened.put_state("call", CALL, STATE, ttl_s=60)
        yield opened


@pytest.fixture
def node(bus: ValkeyBus, valkey: str) -> Iterator[Node]:
    with contextlib.closing(Node(valkey, bus)) as opened:
        yield opened


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("answer 1a2b", "answer", {}),
        ("hang-up 1a2b", "hang_up", {"party": "caller"}),
        ("hang-up 1a2b --party 8001", "hang_up", {"party": "8001"}),
        ("hold 1a2b caller", "hold", {"party": "caller"}),
        ("resume 1a2b caller", "resume", {"party": "caller"}),
        ("mute 1a2b 8001", "mute", {"party": "8001"}),
        ("unmute 1a2b 8001", "unmute", {"party": "8001"}),
        ("transfer 1a2b 8001 8002", "transfer", {"party": "8001", "target": "8002"}),
        ("consult 1a2b 8001 8002", "consult", {"party": "8001", "target": "8002"}),
        ("complete-transfer 1a2b 8001", "complete_transfer", {"party": "8001"}),
        ("cancel-consultation 1a2b 8001", "cancel_consultation", {"party": "8001"}),
        ("queue 1a2b 8001 operator", "transfer_to_queue", {"party": "8001", "queue": "operator"}),
        ("conference 1a2b 8003", "conference", {"target": "8003"}),
        ("supervise 1a2b 8009 whisper", "supervise", {"extension": "8009", "mode": "whisper"}),
        ("play 1a2b digit_1 say:12", "play", {"items": ["digit_1", "say:12"], "to": "caller"}),
        ("digits 1a2b 12# --to 8001", "send_digits", {"digits": "12#", "to": "8001"}),
        ("pause-recording 1a2b", "pause_recording", {}),
        ("resume-recording 1a2b", "resume_recording", {}),
        ("dial 8001 13800138000", "dial_out", {"extension": "8001", "number": "13800138000"}),
        (
            "flow survey 13800138000 --variable ticket=YQ1=2",
            "start_flow",
            {"flow": "survey", "number": "13800138000", "variables": {"ticket": "YQ1=2"}},
        ),
        (
            "seat sign-in 8001 --queue operator --skill enterprise",
            "seat_sign_in",
            {"seat": "8001", "queues": ["operator"], "skills": ["enterprise"]},
        ),
        ("seat sign-out 8001", "seat_sign_out", {"seat": "8001"}),
        ("seat ready 8001", "seat_ready", {"seat": "8001"}),
        ("seat away 8001", "seat_away", {"seat": "8001"}),
    ],
)
def test_each_command_is_sent_as_a_media_process_understands_it(
    node: Node, line: str, name: str, arguments: dict[str, Any]
) -> None:
    done = run(*line.split())
    assert done.exit_code == 0, done.output
    assert "已执行" in done.output
    (sent,) = node.commands
    assert (sent.name, sent.arguments) == (name, arguments)
    assert sent.actor.startswith("cli:")
    if "1a2b" in line:
        assert sent.call_id == CALL


def test_there_is_a_line_for_every_command() -> None:
    marks = test_each_command_is_sent_as_a_media_process_understands_it.pytestmark  # type: ignore[attr-defined]
    assert {name for _, name, _ in marks[0].args[1]} == set(control.REQUESTS)


def test_a_new_call_is_given_an_id_and_it_is_shown(node: Node) -> None:
    told = json.loads(run("dial", "8001", "13800138000", "--json").output)
    assert told == {
        "command_id": node.commands[0].id,
        "name": "dial_out",
        "call_id": node.commands[0].call_id,
        "done": True,
    }
    assert len(told["call_id"]) == 32


def test_a_refusal_is_an_error_with_its_reason(node: Node) -> None:
    node.outcome = Outcome("8001 takes no part in the call")
    done = run("hold", CALL, "8001")
    assert isinstance(done.exception, ConflictError)
    assert done.exception.message == "8001 takes no part in the call"
    told = run("hold", CALL, "8001", "--json")
    assert told.exit_code == 1
    assert json.loads(told.output)["error"] == "8001 takes no part in the call"


def test_a_command_that_nobody_answers_is_an_error(bus: ValkeyBus) -> None:
    done = run("hang-up", CALL, "--timeout", "0.1")
    assert isinstance(done.exception, UnavailableError)
    assert "no media process answered within 0.1 s" in done.exception.message


def test_a_call_that_is_not_there_or_not_the_only_one_is_an_error(bus: ValkeyBus) -> None:
    assert isinstance(run("hang-up", "9f").exception, NotFoundError)
    bus.put_state("call", OTHER, STATE, ttl_s=60)
    done = run("hang-up", "1a2b")
    assert isinstance(done.exception, ConflictError)
    assert "2 calls" in done.exception.message


def test_a_variable_is_a_name_and_a_value(bus: ValkeyBus) -> None:
    assert isinstance(run("flow", "survey", "138", "--variable", "ticket").exception, InvalidInputError)


def test_calls_are_listed_with_their_parties(bus: ValkeyBus) -> None:
    bus.put_state("call", OTHER, {**STATE, "direction": "out", "parties": []}, ttl_s=60)
    lines = run("calls").output.splitlines()
    first, second = (next(line for line in lines if key[:9] in line) for key in (CALL, OTHER))
    for shown in ("n1", "呼入", "13800138000", "12345", "来电人（保持）", "8001（静音）"):
        assert shown in first
    assert "呼出" in second
    assert CALL not in first


def test_a_call_that_still_rings_is_listed_and_can_be_hung_up(bus: ValkeyBus, node: Node) -> None:
    bus.put_state("ringing", OTHER, STATE, ttl_s=60)
    assert "振铃" in run("calls").output
    (shown,) = [call for call in json.loads(run("calls", "--json").output)["calls"] if call["call_id"] == OTHER]
    assert shown["answered_at"] is None
    run("hang-up", OTHER)
    assert [(command.name, command.call_id) for command in node.commands] == [("hang_up", OTHER)]


def test_calls_as_json_have_no_captions(bus: ValkeyBus) -> None:
    (call,) = json.loads(run("calls", "--json").output)["calls"]
    assert call == {key: value for key, value in STATE.items() if key != "captions"} | {"call_id": CALL}


def test_a_state_of_an_older_version_is_listed_as_far_as_it_goes(bus: ValkeyBus) -> None:
    bus.put_state("call", "f" * 32, {"node": "n2"}, ttl_s=60)
    assert "ffffffff" in run("calls").output


def test_seats_are_listed_once_however_many_nodes_tell_of_them(bus: ValkeyBus) -> None:
    seat = {"seat": "8001", "state": "talking", "queues": ["operator"], "skills": ["企业"], "call_id": CALL}
    for name in ("n1", "n2"):
        bus.put_state("seats", name, {"seats": [seat]}, ttl_s=60)
    (line,) = [line for line in run("seats").output.splitlines() if "8001" in line]
    for shown in ("通话", "operator", "企业", CALL[:8]):
        assert shown in line
    assert json.loads(run("seats", "--json").output) == {"seats": [seat]}


def test_ids_are_shown_as_long_as_needed() -> None:
    assert shortest([]) == 8
    assert shortest([CALL]) == 8
    assert shortest([CALL, OTHER]) == 9
    assert shortest(["a", "b"]) == 8


def test_without_a_broker_it_is_one_line_and_a_failure(tmp_path: Path) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")}
    done = subprocess.run(
        [sys.executable, "-m", "hotline.cli", "control", "hang-up", "1a2b"],
        env={**kept, "HOTLINE_DATA_DIR": str(tmp_path / "var")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("错误: broker: ")
    assert "Traceback" not in done.stderr
