import io
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError, DamagedError
from recordings.encryption import (
    HEADER_BYTES,
    TAG_BYTES,
    DecryptingFile,
    EncryptingWriter,
    key_id_of,
    open_decrypted,
)
from recordings.keys import Key, KeyRing
from recordings.store import RecordingStore

KEY = Key("2026a", bytes(range(32)))
OLD = Key("2025b", bytes(32))
RING = KeyRing((KEY, OLD))
LOG2 = 4
CHUNK = 1 << LOG2
NAME = "2026/01/05/c1.wav"

contents = st.binary(max_size=5 * CHUNK + 3)


def encrypted(content: bytes, *, key: Key = KEY, name: str = NAME, piece: int = 7) -> bytes:
    target = io.BytesIO()
    writer = EncryptingWriter(target, key, name, chunk_log2=LOG2)
    for start in range(0, len(content), piece):
        writer.write(content[start : start + piece])
    writer.finish()
    return target.getvalue()


def opened(sealed: bytes, *, name: str = NAME, keys: KeyRing | None = RING) -> DecryptingFile:
    return DecryptingFile(io.BytesIO(sealed), keys, name)


def refused(sealed: bytes, **options: str) -> bool:
    try:
        opened(sealed, **options).readall()
    except (DamagedError, ConfigurationError):
        return True
    return False


@given(contents, st.integers(1, 50))
def test_content_comes_back(content: bytes, piece: int) -> None:
    sealed = encrypted(content, piece=piece)
    assert opened(sealed).readall() == content
    chunks = max(1, -(-len(content) // CHUNK))
    assert len(sealed) == HEADER_BYTES + len(content) + chunks * TAG_BYTES


@given(contents, st.data())
def test_any_range_is_that_of_the_content(content: bytes, data: st.DataObject) -> None:
    file = open_decrypted(io.BytesIO(encrypted(content)), RING, NAME)
    assert file.seek(0, io.SEEK_END) == len(content)
    for _ in range(4):
        start = data.draw(st.integers(0, len(content) + 3))
        count = data.draw(st.integers(0, len(content) + 3))
        file.seek(start)
        assert file.read(count) == content[start : start + count]


@given(contents, st.data())
def test_any_flipped_bit_is_refused(content: bytes, data: st.DataObject) -> None:
    sealed = bytearray(encrypted(content))
    position = data.draw(st.integers(8, len(sealed) - 1))  # without its magic it is another kind of file
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    assert refused(bytes(sealed))


@given(contents, st.data())
def test_file_cut_short_or_longer_is_refused_when_it_is_opened(content: bytes, data: st.DataObject) -> None:
    sealed = encrypted(content)
    for wrong in (sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + data.draw(st.binary(min_size=1))):
        with pytest.raises(DamagedError):
            opened(wrong)


def parts(sealed: bytes) -> tuple[bytes, list[bytes]]:
    size = CHUNK + TAG_BYTES
    return sealed[:HEADER_BYTES], [sealed[at : at + size] for at in range(HEADER_BYTES, len(sealed), size)]


@given(st.permutations(range(4)))
def test_chunks_in_another_order_are_refused(order: list[int]) -> None:
    header, chunks = parts(encrypted(bytes(4 * CHUNK)))
    assert refused(header + b"".join(chunks[index] for index in order)) == (order != [0, 1, 2, 3])


def test_chunk_left_out_or_said_twice_is_refused() -> None:
    header, chunks = parts(encrypted(bytes(4 * CHUNK)))
    assert refused(header + b"".join(chunks[:1] + chunks[2:]))
    assert refused(header + b"".join([*chunks[:2], chunks[1], *chunks[2:]]))


def test_chunk_of_another_file_is_refused() -> None:
    header, chunks = parts(encrypted(bytes(3 * CHUNK)))
    _, others = parts(encrypted(bytes(3 * CHUNK)))
    assert refused(header + chunks[0] + others[1] + chunks[2])


def test_file_under_another_name_is_refused() -> None:
    sealed = encrypted(b"what was said")
    with pytest.raises(DamagedError, match="c2"):
        opened(sealed, name="2026/01/05/c2.wav")


def test_file_of_a_key_before_is_read_and_one_of_an_unknown_key_names_it() -> None:
    assert opened(encrypted(b"x", key=OLD)).readall() == b"x"
    for keys in (KeyRing((KEY,)), None):
        with pytest.raises(ConfigurationError, match="2025b"):
            opened(encrypted(b"x", key=OLD), keys=keys)


def test_same_id_with_another_secret_is_refused() -> None:
    with pytest.raises(DamagedError):
        opened(encrypted(b"x"), keys=KeyRing((Key(KEY.id, OLD.secret),)))


def test_no_two_files_are_alike() -> None:
    assert encrypted(bytes(40)) != encrypted(bytes(40))


def test_plain_file_is_read_as_it_is() -> None:
    assert open_decrypted(io.BytesIO(b"RIFF...."), RING, NAME).read() == b"RIFF...."
    assert open_decrypted(io.BytesIO(b""), None, NAME).read() == b""


def test_start_of_a_file_tells_its_key() -> None:
    assert key_id_of(encrypted(b"")) == "2026a"
    assert key_id_of(b"RIFF" * 20) == ""
    assert key_id_of(encrypted(b"")[: HEADER_BYTES - 1]) == ""


def test_closing_closes_the_file_below_also_when_opening_fails() -> None:
    below = io.BytesIO(encrypted(b"x"))
    open_decrypted(below, RING, NAME).close()
    assert below.closed
    below = io.BytesIO(encrypted(b"x")[:-1])
    with pytest.raises(DamagedError):
        open_decrypted(below, RING, NAME)
    assert below.closed


def test_position_before_the_start_is_refused() -> None:
    file = opened(encrypted(b"abc"))
    with pytest.raises(ValueError, match="negative"):
        file.seek(-1)
    file.seek(-2, io.SEEK_END)
    assert file.read() == b"bc"
    file.seek(-1, io.SEEK_CUR)
    assert file.tell() == 2


@pytest.fixture(params=["directory", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "directory":
        return str(tmp_path / "store")
    fsspec.filesystem("memory").store.clear()
    return "memory://recordings"


def test_store_encrypts_what_is_put_and_opens_it_in_ranges(address: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    store, keyless = RecordingStore(address, RING), RecordingStore(address)
    stored = store.put_bytes(content, NAME)
    assert (store.key_id(NAME), store.size(NAME), store.digest(NAME)) == (
        "2026a",
        stored.size_bytes,
        stored.sha256,
    )
    assert keyless.digest(NAME) == stored.sha256
    assert stored.content_sha256 != stored.sha256
    with store.open(NAME) as file:
        file.seek(200_001)
        assert file.read(3) == content[200_001:200_004]
    with pytest.raises(ConfigurationError, match="key"):
        keyless.open(NAME)
    files = fsspec.url_to_fs(address)[0]
    assert content[:64] not in files.cat_file(f"{fsspec.url_to_fs(address)[1]}/{NAME}")


def test_store_with_keys_reads_what_was_put_without(address: str) -> None:
    RecordingStore(address).put_bytes(b"RIFF", NAME)
    store = RecordingStore(address, RING)
    with store.open(NAME) as file:
        assert file.read() == b"RIFF"
    assert store.key_id(NAME) == ""


def test_long_recording_is_decrypted_while_it_is_read(tmp_path: Path) -> None:
    """The reader holds a chunk, not the file: 100 MB pass through a process that may not have as much memory."""
    script = """
import io, resource, sys
from recordings.encryption import *
from recordings.keys import Key, KeyRing
key = Key("k", bytes(32))
with open(sys.argv[1], "w+b") as file:
    writer = EncryptingWriter(file, key, "n")
    for _ in range(100):
        writer.write(bytes(1 << 20))
    writer.finish()
    file.seek(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    opened = open_decrypted(file, KeyRing((key,)), "n")
    size = 0
    while piece := opened.read(1 << 16):
        size += len(piece)
    assert size == 100 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "sealed")], check=True)
