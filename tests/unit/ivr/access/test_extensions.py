"""The file of extensions: what it holds, who may read it, and what happens when it is broken."""

import json
import logging
from pathlib import Path

import pytest

from hotline.errors import ConfigurationError, ConflictError, InvalidInputError, NotFoundError
from ivr.access.digest import Algorithm, ha1
from ivr.access.extensions import ExtensionFile

SECRET = "correct horse"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "extensions.json"


def opened(path: Path) -> ExtensionFile:
    return ExtensionFile(path, realm="hotline")


def test_the_secret_is_kept_as_ha1_and_only_its_owner_reads_the_file(path: Path) -> None:
    opened(path).add("8001", display_name="张三", password=SECRET)
    record = opened(path).get("8001")
    assert record is not None
    assert record.display_name == "张三"
    assert record.secrets == {each: ha1(each, username="8001", realm="hotline", password=SECRET) for each in Algorithm}
    assert path.stat().st_mode & 0o777 == 0o600
    assert SECRET not in path.read_text("utf-8")
    assert [each.name for each in path.parent.iterdir()] == ["extensions.json"]


def test_no_hash_reaches_a_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = opened(path)
    file.add("8001", display_name="", password=SECRET)
    logging.getLogger().warning("%s %r", file.get("8001"), file.all())
    assert ha1(Algorithm.MD5, username="8001", realm="hotline", password=SECRET) not in caplog.text


def test_another_process_sees_who_came_who_went_and_whose_secret_changed(path: Path) -> None:
    here, there = opened(path), opened(path)
    here.add("8001", display_name="", password=SECRET)
    here.add("8002", display_name="", password=SECRET)
    assert there.refresh() == frozenset()
    assert [record.name for record in there.all()] == ["8001", "8002"]
    here.remove("8001")
    here.remove("8002")
    here.add("8002", display_name="", password="another secret")
    assert there.refresh() == {"8001", "8002"}
    assert there.get("8001") is None
    assert there.refresh() == frozenset()


@pytest.mark.parametrize("name", ["", "1", "a b", "-8", "张三", "8" * 33, "8001\n", "../x"])
def test_a_name_that_sip_cannot_carry_is_refused(path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError):
        opened(path).add(name, display_name="", password=SECRET)


@pytest.mark.parametrize("password", ["", "1234567", "tab\tinside it"])
def test_a_poor_secret_is_refused(path: Path, password: str) -> None:
    with pytest.raises(InvalidInputError):
        opened(path).add("8001", display_name="", password=password)
    assert not path.exists()


def test_nobody_is_added_twice_or_removed_who_is_not_there(path: Path) -> None:
    file = opened(path)
    file.add("8001", display_name="", password=SECRET)
    with pytest.raises(ConflictError):
        file.add("8001", display_name="", password=SECRET)
    with pytest.raises(NotFoundError):
        file.remove("8002")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"realm": "hotline"}', '{"realm": "hotline", "extensions": {"8001": {"ha1": 3}}}', "\xff"]
)
def test_a_broken_file_is_named_and_what_was_known_stays(path: Path, text: str) -> None:
    file = opened(path)
    file.add("8001", display_name="", password=SECRET)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=r"extensions\.json"):
        file.refresh()
    assert file.get("8001") is not None
    with pytest.raises(ConfigurationError):
        opened(path)


def test_a_file_of_another_realm_is_refused_with_the_way_out(path: Path) -> None:
    opened(path).add("8001", display_name="", password=SECRET)
    assert json.loads(path.read_text("utf-8"))["realm"] == "hotline"
    with pytest.raises(ConfigurationError, match="realm") as caught:
        ExtensionFile(path, realm="elsewhere")
    assert "extensions.realm" in caught.value.hint


def test_a_file_that_went_away_leaves_no_extension(path: Path) -> None:
    file = opened(path)
    file.add("8001", display_name="", password=SECRET)
    path.unlink()
    assert file.refresh() == {"8001"}
    assert file.all() == ()


def test_a_seat_has_queues_and_skills(path: Path) -> None:
    opened(path).add(
        "8001", display_name="", password=SECRET, queues=("operator", "late", "operator"), skills={"enterprise"}
    )
    opened(path).add("8002", display_name="", password=SECRET, supervisor=True)
    seat, supervisor = opened(path).all()
    assert (seat.queues, seat.skills, seat.supervisor) == (("operator", "late"), {"enterprise"}, False)
    assert (supervisor.queues, supervisor.skills, supervisor.supervisor) == ((), frozenset(), True)


@pytest.mark.parametrize("label", ["", "two words", "x" * 33, "[red]"])
def test_a_queue_or_skill_is_one_word(path: Path, label: str) -> None:
    with pytest.raises(InvalidInputError):
        opened(path).add("8001", display_name="", password=SECRET, queues=(label,))
    with pytest.raises(InvalidInputError):
        opened(path).add("8001", display_name="", password=SECRET, skills=(label,))


def test_a_file_of_before_there_were_seats_is_read(path: Path) -> None:
    file = opened(path)
    file.add("8001", display_name="张三", password=SECRET, queues=("operator",))
    data = json.loads(path.read_text("utf-8"))
    for key in ("queues", "skills", "supervisor"):
        del data["extensions"]["8001"][key]
    path.write_text(json.dumps(data), "utf-8")
    record = opened(path).get("8001")
    assert record is not None
    assert (record.display_name, record.queues, record.supervisor) == ("张三", (), False)
