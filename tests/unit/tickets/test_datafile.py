from pathlib import Path

import pytest

from hotline.errors import ConfigurationError
from tickets.datafile import Table, load_data_file


class Item(Table):
    name: str
    weight: int


class File(Table):
    version: int
    items: list[Item]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.yaml"


def test_good_file_is_read(path: Path) -> None:
    path.write_text("version: 1\nitems:\n  - {name: 路灯, weight: 2}\n", encoding="utf-8")
    assert load_data_file(path, File) == File(version=1, items=[Item(name="路灯", weight=2)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nitems:\n  - name: a\n    weight: heavy\n", "data.yaml:4: items.0.weight: .*integer"),
        ("version: 1\nitems:\n  - name: a\n    weight: 1\n    colour: red\n", "data.yaml:5: items.0.colour: Extra"),
        ("version: 1\nitems:\n  - name: a\n", "data.yaml:3: items.0.weight: Field required"),
        ("version: 1\n", "data.yaml:1: items: Field required"),
        ("version: 1\nversion: 2\nitems: []\n", "data.yaml:2: version: given twice"),
        ("version: 1\nitems:\n  - {name: a, weight: 1, name: b}\n", "data.yaml:3: name: given twice"),
        ("version: [1\n", "not valid YAML: .*line 2"),
        ("version: !!python/name:os.system ''\nitems: []\n", "could not determine a constructor"),
        ("", "data.yaml: empty"),
        ("just words\n", "data.yaml:1: : "),
    ],
)
def test_fault_names_file_line_and_key(path: Path, text: str, message: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_data_file(path, File)


def test_all_faults_are_named_at_once(path: Path) -> None:
    path.write_text("version: x\nitems: 3\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r":1: version: .*; .*:2: items: "):
        load_data_file(path, File)


def test_missing_file_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"data\.yaml: No such file"):
        load_data_file(path, File)


def test_file_that_is_not_utf8_is_named(path: Path) -> None:
    path.write_bytes("version: 延".encode("gbk"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_data_file(path, File)
