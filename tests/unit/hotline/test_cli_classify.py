"""`hotline classify`: what a person types, and what he is told."""

import csv
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hotline.cli import app
from hotline.db import Database
from hotline.errors import DamagedError, HotlineError, InvalidInputError, NotFoundError
from tickets.models import Evidence, Ticket

WORDS = {"市政/路灯": "路灯不亮一片漆黑", "市政/井盖": "井盖丢了污水外溢", "劳动": "拖欠工资老板跑了"}


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [key for key in os.environ if key.startswith("HOTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(each) for each in arguments])


def refused(*arguments: str | Path) -> HotlineError:
    error = run(*arguments).exception
    assert isinstance(error, HotlineError), error
    return error


def table(path: Path, *, each: int = 8) -> Path:
    rows = [f"{words}第{number}次反映,{label}" for number in range(each) for label, words in WORDS.items()]
    # Numbers are all alike to the classifier, so each row needs words of its own.
    rows = [f"{'甲乙丙丁戊己庚辛'[place // 3 % 8]}村{row}" for place, row in enumerate(rows)]
    path.write_text("text,label\n" + "\n".join(rows) + "\n", "utf-8")
    return path


def trained(site: Path) -> str:
    done = run("classify", "train", "--from", table(site / "rows.csv"), "--json")
    assert done.exit_code == 0, done.output
    return str(json.loads(done.stdout.splitlines()[-1])["version"])


def test_a_table_is_trained_on_shown_and_asked(site: Path) -> None:
    version = trained(site)
    assert version in run("classify", "models").output
    card = json.loads(run("classify", "card").stdout)
    assert card["examples"] == {"劳动": 8, "市政/井盖": 8, "市政/路灯": 8}
    assert card["limits"]
    assert "甲村" not in json.dumps(card, ensure_ascii=False)
    answer = json.loads(run("classify", "predict", "路灯不亮", "--json").stdout)
    assert (answer["label"], answer["version"]) == ("市政/路灯", version)
    assert "依据" in run("classify", "predict", "拖欠工资").output
    report = json.loads(run("classify", "evaluate", "--on", site / "rows.csv", "--json").stdout)
    assert report["macro_f1"] == 1.0
    assert {"reliability", "calibration_error", "thresholds"} <= set(report)
    assert "macro-F1" in run("classify", "evaluate").output


def test_every_row_of_a_file_gets_its_answer(site: Path) -> None:
    trained(site)
    rows = list(csv.DictReader(io.StringIO(run("classify", "predict", "--file", site / "rows.csv").stdout)))
    assert [row["label"] for row in rows] == list(WORDS) * 8


def test_wrong_rows_are_all_named_and_nothing_is_trained(site: Path) -> None:
    rows = table(site / "rows.csv")
    rows.write_text(rows.read_text("utf-8") + ",劳动\n没有类别的一行,\n", "utf-8")
    done = run("classify", "train", "--from", rows)
    assert isinstance(done.exception, InvalidInputError)
    assert "2 行有错" in done.exception.message
    assert "第 26 行" in done.stderr
    assert "第 27 行" in done.stderr
    assert not (site / "var" / "classifier").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff\xfe\x00", b"a,b\n1,2\n", b"text,label\nx,y\n"])
def test_a_file_that_cannot_be_used_is_told(site: Path, content: bytes) -> None:
    (site / "rows.csv").write_bytes(content)
    assert isinstance(refused("classify", "train", "--from", "rows.csv"), InvalidInputError)
    assert isinstance(refused("classify", "train", "--from", "none.csv"), InvalidInputError)


def test_a_model_of_other_labels_is_not_taken_into_use(site: Path) -> None:
    error = refused("classify", "use", trained(site))
    assert isinstance(error, DamagedError)
    assert "类别表" in error.message
    assert "--from" in (refused("classify", "use", "20990101-000000").hint + "--from")


def test_without_a_model_one_is_told_how_to_get_one() -> None:
    for command in (["evaluate"], ["card"], ["predict", "路灯"]):
        error = refused("classify", *command)
        assert isinstance(error, NotFoundError)
        assert "train" in error.hint
    assert "F1" in run("classify", "models").output


def test_a_site_with_nothing_trains_on_its_taxonomy_and_goes_back(site: Path) -> None:
    done = run("classify", "train", "--from", "taxonomy", "--use")
    assert done.exit_code == 0, done.output
    assert "正在使用" in done.output
    assert "市政园林/路灯" in run("classify", "predict", "我们村口的路灯坏了").output
    assert "短语" in run("classify", "use", "none").output
    (version,) = [path.name for path in (site / "var/classifier").iterdir() if path.is_dir()]
    assert run("classify", "use", version).exit_code == 0


def test_corrected_and_ended_tickets_are_learnt_from_confidential_ones_never(site: Path) -> None:
    assert run("migrate").exit_code == 0
    says = {"市政园林/路灯": "路灯不亮一片漆黑", "劳动社保/欠薪": "拖欠工资老板跑了"}
    database = Database(f"sqlite:///{site / 'var/hotline.db'}")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with database.transaction() as session:
        for place in range(24):
            label, words = list(says.items())[place % 2]
            ticket = Ticket(
                number=f"T{place}", lookup_code="1", state="archived" if place < 8 else "handling", channel="phone",
                category=label, content=f"{'甲乙丙丁戊己庚辛壬癸子丑'[place // 2]}村{words}", confidential=place >= 20,
                created_at=now, updated_at=now,
            )  # fmt: skip
            session.add(ticket)
            session.flush()
            if 8 <= place < 12 or place >= 20:
                session.add(
                    Evidence(ticket_id=ticket.id, field="category", value=label, source="human", confidence=1.0)
                )
    database.close()
    done = run("classify", "train", "--from", "tickets", "--json", "--use")
    assert done.exit_code == 0, done.output
    card = json.loads(done.stdout.splitlines()[-1])
    assert card["examples"] == {"劳动社保/欠薪": 6, "市政园林/路灯": 6}
    assert (card["unlabelled"], card["source"]) == (8, "tickets")
    assert card["templates"] > 0
    assert json.loads(run("classify", "evaluate", "--on", "tickets", "--json").stdout)["texts"] == 12
