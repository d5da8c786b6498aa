import json
import wave
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hotline.cli import app
from hotline.errors import HotlineError
from hotline.settings_sections import PACKAGE_ROOT

CALLERS = PACKAGE_ROOT / "demo/callers"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One demo caller with his text, and a table line without a recording."""
    name, text = (CALLERS / "callers.tsv").read_text(encoding="utf-8").splitlines()[1].split("\t")[:2]
    (tmp_path / f"{name}.wav").write_bytes((CALLERS / f"{name}.wav").read_bytes())
    (tmp_path / "callers.tsv").write_text(f"{name}\t{text}\n", encoding="utf-8")
    return tmp_path


def test_the_report_has_errors_delays_and_trust(folder: Path) -> None:
    result = CliRunner().invoke(app, ["asr", "evaluate", str(folder), "--codec", "alaw", "--snr", "30", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert 0 <= report["cer"] < 0.5
    assert report["characters"] == report["files"][0]["characters"] > 20
    edits = sum(report[kind] for kind in ("substitutions", "deletions", "insertions"))
    assert report["cer"] == pytest.approx(edits / report["characters"], abs=1e-4)
    assert report["conditions"] == {"codec": "alaw", "snr_db": 30.0, "loss": 0.0, "real_time": False}
    assert report["partial_delay_s"]["p50"] > 0
    assert sum(each["words"] for each in report["calibration"]["bins"]) > 5
    assert len(report["files"][0]["aligned"][0]) == len(report["files"][0]["aligned"][1])


def test_people_get_a_table_and_learn_of_files_that_failed(folder: Path) -> None:
    with open(folder / "callers.tsv", "a", encoding="utf-8") as table:
        table.write("absent\t路灯不亮\n")
    result = CliRunner().invoke(app, ["asr", "evaluate", str(folder)])
    assert result.exit_code == 1
    assert "字错误率" in result.output
    assert "演示模型" in result.output
    assert "absent" in result.output


def test_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
    result = CliRunner().invoke(app, ["asr", "evaluate", str(tmp_path)])
    assert isinstance(result.exception, HotlineError)
    assert "no table" in str(result.exception) or "neither" in str(result.exception)


@pytest.mark.parametrize("arguments", [["--url", "ws://127.0.0.1:1"], ["--engine", "remote", "--model", "models/a"]])
def test_options_that_do_not_fit_each_other_are_refused(folder: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["asr", "evaluate", str(folder), *arguments])
    assert isinstance(result.exception, HotlineError)


def test_quality_of_a_site_without_reviews_is_said_and_a_wrong_day_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(tmp_path))
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    assert "还没有已确认的转写" in CliRunner().invoke(app, ["asr", "quality", "--replay"]).output
    report = json.loads(CliRunner().invoke(app, ["asr", "quality", "--json"]).stdout)
    assert report == {"rows": [], "characters": 0, "substitutions": 0, "deletions": 0, "insertions": 0, "cer": 0.0}
    assert isinstance(CliRunner().invoke(app, ["asr", "quality", "--from", "gestern"]).exception, HotlineError)
