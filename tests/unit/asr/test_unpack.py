"""Archives that are honest, broken or hostile."""

import stat
import tarfile
import zipfile
from pathlib import Path

import model_archives
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr.unpack import unpack
from hotline.errors import InvalidInputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "model"
    (source / "conf").mkdir(parents=True)
    (source / "conf/mfcc.conf").write_text("--x=1\n")
    (source / "tokens.txt").write_bytes(b"a 0\n" * 1000)
    return source


def refused(archive: Path, words: str, max_bytes: int = 1 << 20) -> None:
    target = archive.parent / "out"
    target.mkdir()
    with pytest.raises(InvalidInputError, match=words):
        unpack(archive, target, max_bytes=max_bytes)


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_an_honest_archive_is_unpacked(folder: Path, tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "archive"
    model_archives.zip_of(folder, archive) if kind == "zip" else model_archives.tar_of(folder, archive, kind)
    target = tmp_path / "out"
    target.mkdir()
    unpack(archive, target, max_bytes=1 << 20)
    assert (target / "model/conf/mfcc.conf").read_text() == "--x=1\n"
    assert (target / "model/tokens.txt").stat().st_size == 4000


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil", "a\nb", "."])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_file_outside_the_archive_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    archive = tmp_path / "archive"
    if kind == "tar":
        model_archives.tar_with(archive, tarfile.TarInfo(name))
    else:
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(zipfile.ZipInfo(name), b"x")
    refused(archive, "outside itself")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    refused(model_archives.tar_with(tmp_path / "archive", member), "neither file nor folder")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as file:
        file.writestr(member, "/etc/passwd")
    refused(tmp_path / "archive", "neither file nor folder")


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "bomb"
    source.mkdir()
    (source / "zeros").write_bytes(bytes(5 << 20))
    archive = tmp_path / "archive"
    model_archives.zip_of(source, archive) if kind == "zip" else model_archives.tar_of(source, archive, kind)
    assert archive.stat().st_size < 20_000
    refused(archive, "more than 1048576 bytes")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.unpack.MAX_FILES", 3)
    members = [tarfile.TarInfo(f"file{number}") for number in range(4)]
    refused(model_archives.tar_with(tmp_path / "archive", *members), "more than 3 files")


def test_a_file_twice_is_refused(tmp_path: Path) -> None:
    archive = model_archives.tar_with(tmp_path / "archive", tarfile.TarInfo("a"), tarfile.TarInfo("a"))
    refused(archive, "twice")


@pytest.mark.parametrize("kind", ["zip", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_cut_anywhere_is_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "archive"
    model_archives.zip_of(folder, archive) if kind == "zip" else model_archives.tar_of(folder, archive, kind)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    refused(archive, "no whole archive")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=600))
def test_any_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "archive").write_bytes(data)
    target = tmp_path / "out"
    target.mkdir(exist_ok=True)
    try:
        unpack(tmp_path / "archive", target, max_bytes=1 << 20)
    except InvalidInputError:
        return
    assert list(target.iterdir()) == []  # zeros are an empty tar
