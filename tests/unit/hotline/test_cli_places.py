"""`hotline places` and `hotline words`: what a person at the site types, and what he is told."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hotline.cli import app
from hotline.errors import ConflictError, HotlineError, InvalidInputError, NotFoundError

TABLE = "名称,类型,所属乡镇,别名\n榆林堡村,村,康庄镇,榆林堡\n康庄路,道路,,\n"


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


def listed() -> list[str]:
    return [place["name"] for place in json.loads(run("places", "list", "--json").output)["places"]]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_is_imported_once_and_taken_back(site: Path) -> None:
    table = write(site / "places.csv", TABLE, "gbk")
    assert "试导入：新增 2" in run("places", "import", table, "--dry-run").output
    assert listed() == []
    assert "新增 2，更改 0，不变 0" in run("places", "import", table).output
    assert "新增 0，更改 0，不变 2" in run("places", "import", table).output
    assert listed() == ["榆林堡村", "康庄路"]
    shown = run("places", "list", "--town", "康庄镇").output
    assert "榆林堡村" in shown
    assert "康庄路" not in shown
    run("places", "undo")
    assert listed() == []
    assert isinstance(refused("places", "undo"), ConflictError)


def test_a_table_with_a_fault_imports_nothing_and_names_the_line(site: Path) -> None:
    result = run("places", "import", write(site / "places.csv", TABLE + "火星村,村,火星镇,\n"))
    assert result.exit_code == 1
    assert "places.csv: 第 4 行：火星村：没有乡镇 火星镇" in result.output
    assert listed() == []


def test_a_table_may_stand_for_all_before(site: Path) -> None:
    run("places", "import", write(site / "one.csv", TABLE))
    result = run("places", "import", "--replace", write(site / "two.csv", "新城镇,镇,,\n东庄村,村,新城镇,\n"))
    assert "新增 2" in result.output
    assert "删除 2" in result.output
    assert listed() == ["新城镇", "东庄村"]
    assert "新增 1" in run("places", "import", write(site / "three.csv", "西庄村,村,新城镇,\n")).output


@pytest.mark.parametrize("ending", ["csv", "tsv", "yaml"])
def test_what_is_exported_is_imported_again(site: Path, ending: str) -> None:
    run("places", "import", write(site / "places.csv", TABLE))
    out = site / f"out.{ending}"
    assert "2 个地名" in run("places", "export", out).output
    assert "不变 2" in run("places", "import", out).output


def test_a_town_with_places_in_it_is_not_removed(site: Path) -> None:
    run("places", "import", write(site / "places.csv", "新城镇,镇,,\n东庄村,村,新城镇,\n"))
    assert isinstance(refused("places", "remove", "新城镇"), InvalidInputError)
    assert isinstance(refused("places", "remove", "南庄村"), NotFoundError)
    run("places", "remove", "新城镇", "东庄村")
    assert listed() == []


def test_the_check_names_faults_and_names_that_sound_alike(site: Path) -> None:
    run("places", "import", write(site / "places.csv", "东沟村,村,,\n冬沟村,村,,\n"))
    assert "听起来一样：东沟村、冬沟村" in run("places", "check").output
    write(site / "var/site/places.tsv", "火星村,村,火星镇\n")
    result = run("places", "check")
    assert result.exit_code == 1
    assert "火星镇" in result.output


@pytest.mark.parametrize("command", [("places", "import"), ("words", "import")])
def test_a_file_that_is_not_there_or_no_text_is_refused(site: Path, command: tuple[str, str]) -> None:
    assert isinstance(refused(*command, site / "none.csv"), InvalidInputError)
    (site / "book.xlsx").write_bytes(b"PK\x03\x04")
    assert "CSV" in refused(*command, site / "book.xlsx").hint


def test_words_are_added_listed_and_removed(site: Path) -> None:
    assert "新增 2 个" in run("words", "add", "煤改电", "妫水北街", "--weight", "3", "--note", "常用").output
    assert "没有改动" in run("words", "add", "煤改电", "--weight", "3", "--note", "常用").output
    assert "3" in run("words", "list").output
    run("words", "remove", "煤改电")
    assert (site / "var/site/words.tsv").read_text("utf-8") == "妫水北街\t3\t常用\n"
    assert isinstance(refused("words", "remove", "煤改电"), NotFoundError)
    run("words", "undo")
    assert "煤改电" in run("words", "list").output


def test_a_list_of_words_is_imported_whole_or_not_at_all(site: Path) -> None:
    bad = run("words", "import", write(site / "bad.tsv", "煤改电\n电\n"))
    assert bad.exit_code == 1
    assert "bad.tsv:2" in bad.output
    good = write(site / "good.tsv", "煤改电\t2\n妫水北街\n", "gbk")
    assert "没有问题" in run("words", "import", good, "--dry-run").output
    assert "新增 2 个" in run("words", "import", good).output


def test_words_beyond_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_ASR__MAX_WORDS", "1")
    run("words", "add", "煤改电")
    assert isinstance(refused("words", "add", "妫水北街"), InvalidInputError)
    assert isinstance(refused("words", "add", "电"), InvalidInputError)


def test_without_reviews_no_word_is_suggested(site: Path) -> None:
    (site / "var").mkdir()
    assert run("migrate").exit_code == 0
    shown = run("words", "suggest", "--days", "7")
    assert shown.exit_code == 0, shown.output
    assert "hotline words add" in shown.output
