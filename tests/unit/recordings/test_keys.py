import base64
from pathlib import Path

import pytest

from hotline.errors import ConfigurationError, ConflictError, InvalidInputError
from hotline.settings import Settings
from hotline.settings_sections import RecordingSettings
from recordings.keys import add_key, load_keys, parse_keys
from recordings.store import open_store

GOOD = base64.b64encode(bytes(range(32))).decode()


def key_file(folder: Path, text: str, *, mode: int = 0o600) -> Path:
    path = folder / "recordings.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_first_key_is_in_use_and_the_others_are_known() -> None:
    ring = parse_keys(f"# keys\n\nnew:{GOOD}\nold:{base64.b64encode(bytes(32)).decode()}\n", source="x")
    assert (ring.current.id, ring.current.secret) == ("new", bytes(range(32)))
    assert ring.find("old") == ring.keys[1]
    assert ring.find("none") is None
    assert GOOD not in repr(ring)
    assert str(bytes(range(32))) not in repr(ring)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no key"),
        ("# only a comment", "no key"),
        (GOOD, "not `id:base64`"),
        (f"much_too_long_for_an_id:{GOOD}", "not `id:base64`"),
        ("a:%%%", "not base64"),
        ("a:" + base64.b64encode(bytes(16)).decode(), "16 octets, not 32"),
        (f"a:{GOOD}\na:{GOOD}", "line 2: there are two"),
    ],
)
def test_keys_that_are_none_stop_the_start(tmp_path: Path, text: str, message: str) -> None:
    settings = Settings(data_dir=tmp_path, recordings=RecordingSettings(key_file=key_file(tmp_path, text)))
    with pytest.raises(ConfigurationError, match=message) as raised:
        open_store(settings)
    assert GOOD not in raised.value.message


def test_key_file_open_to_everyone_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path, f"a:{GOOD}", mode=0o644)
    with pytest.raises(ConfigurationError, match="open to every account") as raised:
        load_keys(RecordingSettings(key_file=path))
    assert raised.value.hint == f"chmod 600 {path}"
    path.chmod(0o640)
    assert load_keys(RecordingSettings(key_file=path)) is not None


def test_missing_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file") as raised:
        load_keys(RecordingSettings(key_file=tmp_path / "none"))
    assert "new-key" in raised.value.hint
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    with pytest.raises(ConfigurationError, match="not a text"):
        load_keys(RecordingSettings(key_file=tmp_path / "binary"))


def test_no_key_means_no_encryption(settings: Settings) -> None:
    assert open_store(settings).keys is None


def test_command_prints_the_keys(tmp_path: Path) -> None:
    path = key_file(tmp_path, f"a:{GOOD}")
    ring = load_keys(RecordingSettings(key_command=f"cat '{path}'"))
    assert ring is not None
    assert ring.current.id == "a"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-program-anywhere", "No such file"),
        ("sh -c 'echo sealed >&2; exit 3'", "ended with 3: sealed"),
        ("sleep 5", "took more than 0.1 s"),
        ("printf '\\377'", "printed no text"),
        ("cat 'open", "No closing quotation"),
        ("true", "no key in it"),
    ],
)
def test_command_that_fails_stops_the_start(command: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_keys(RecordingSettings(key_command=command, key_command_s=0.1 if command == "sleep 5" else 10))


def test_two_places_for_the_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="two places"):
        RecordingSettings(key_file=Path("x"), key_command="y")


def test_new_keys_go_on_top_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "recordings.key"
    first = add_key(path, "one")
    second = add_key(path, "two")
    ring = load_keys(RecordingSettings(key_file=path))
    assert ring is not None
    assert ring.keys == (second, first)
    assert first.secret != second.secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["recordings.key"]


def test_key_that_is_there_already_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "recordings.key"
    key = add_key(path, "one")
    with pytest.raises(ConflictError):
        add_key(path, "one")
    with pytest.raises(InvalidInputError):
        add_key(path, "no spaces")
    with pytest.raises(InvalidInputError, match="No such file"):
        add_key(tmp_path / "nowhere" / "key", "one")
    ring = load_keys(RecordingSettings(key_file=path))
    assert ring is not None
    assert ring.keys == (key,)
