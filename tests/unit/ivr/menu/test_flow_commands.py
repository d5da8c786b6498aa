"""`hotline flow` and `hotline prompts`: what an operator sees."""

import wave
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from hotline import cli
from hotline.clock import ManualClock
from hotline.errors import ConfigurationError

FLOWS = Path(__file__).resolve().parents[4] / "ivr/flows"
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def test_a_good_flow_is_checked_without_a_problem(run: Run) -> None:
    result = run("flow", "check", FLOWS / "intake.yaml")
    assert result.exit_code == 0
    assert "intake: 10 个状态，没有问题" in result.output


def test_a_bad_flow_is_told_with_file_and_lines_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    text = (FLOWS / "intake.yaml").read_text(encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text(text.replace("[thanks]", "[thank]").replace("silent: leave_silent", "silent: ask_again"), "utf-8")
    result = run("flow", "check", bad)
    assert result.exit_code == 1
    line = text[: text.index("[thanks]")].count("\n") + 1
    assert f"{bad}:{line}: no prompt named thank" in result.output
    assert "endless loop without input: ask_again -> ask_again" in result.output
    assert "state leave_silent is never reached" in result.output


def test_a_year_without_holidays_is_pointed_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "SystemClock", lambda: ManualClock(datetime(2031, 3, 1, tzinfo=UTC)))
    result = run("flow", "check", FLOWS / "menu.yaml")
    assert result.exit_code == 0
    assert "节假日数据里没有 2031 年" in result.output


def test_a_flow_is_drawn_as_mermaid_or_svg(run: Run, tmp_path: Path) -> None:
    assert run("flow", "draw", FLOWS / "queue.yaml").output.startswith("flowchart TD")
    assert run("flow", "draw", FLOWS / "queue.yaml", "--to", tmp_path / "queue.svg").exit_code == 0
    assert (tmp_path / "queue.svg").read_text(encoding="utf-8").startswith("<svg")
    assert run("flow", "draw", FLOWS / "queue.yaml", "--to", tmp_path / "queue.mmd").exit_code == 0
    assert (tmp_path / "queue.mmd").read_text(encoding="utf-8").startswith("flowchart")


def test_a_bad_flow_is_not_drawn(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\n", encoding="utf-8")
    assert isinstance(run("flow", "draw", tmp_path / "bad.yaml").exception, ConfigurationError)


def test_prompts_are_imported_and_checked(run: Run, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "raw.wav"), "wb") as wav:
        wav.setparams((1, 2, 16000, 0, "NONE", ""))
        wav.writeframes((3000 * np.sin(np.arange(16000) / 6)).astype("<i2").tobytes())
    folder = tmp_path / "zh"
    assert run("prompts", "import", tmp_path / "raw.wav", "hello", "您好", "--prompts-dir", folder).exit_code == 0
    assert run("prompts", "check", folder).exit_code == 0
    (folder / "hello.wav").unlink()
    result = run("prompts", "check", folder)
    assert result.exit_code == 1
    assert "hello: the file is missing" in result.output
