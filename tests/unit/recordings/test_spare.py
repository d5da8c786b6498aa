import os
import threading

import numpy as np
import pytest

from recordings.recorder import RecorderThread, WavRecorder
from recordings.spare import adopt_spare, copy_to_spare, remove_recording
from recordings.wav import wav_info

WAIT_S = 10


class Site:
    """A spool and a spare one, either of which may be full; what the recorder told."""

    def __init__(self, folder, monkeypatch):
        self.spool, self.spare = folder / "spool" / "n1", folder / "other" / "n1"
        self.full = set()
        self.trouble = []
        self.told = threading.Event()
        self.writer = RecorderThread(spare=self.spare, on_trouble=self._tell)
        real = os.pwrite

        def pwrite(file, data, offset):
            path = os.readlink(f"/proc/self/fd/{file}")
            if any(path.startswith(str(folder)) for folder in self.full) and (offset >= 44 or len(data) > 44):
                raise OSError(28, "No space left on device")
            return real(file, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)

    def _tell(self, trouble):
        self.trouble.append(trouble)
        self.told.set()


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path, monkeypatch)
    site.writer.start()
    yield site
    site.writer.stop()


def block(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32767, (count, 2), np.int16)


def samples(path):
    return np.fromfile(path, "<i2", offset=wav_info(path).data_start).reshape(-1, 2)


def written(path, frames):
    """Waits until the file holds so many frames."""
    done = threading.Event()
    for _ in range(WAIT_S * 100):
        if path.exists() and path.stat().st_size >= 44 and wav_info(path).frames == frames:
            return
        done.wait(0.01)
    raise AssertionError("did not happen in time")


def test_recording_goes_on_whole_in_the_spare_spool_when_its_disk_is_full(site):
    path = site.spool / "a.wav"
    recorder = WavRecorder(path, site.writer)
    recorder.write(block(1000, 1))
    written(path, 1000)
    site.full.add(site.spool)
    recorder.write(block(500, 2))
    assert site.told.wait(WAIT_S)
    recorder.write(block(300, 3))
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert not recorder.failed
    assert path.is_symlink()
    assert path.resolve() == (site.spare / "a.wav").resolve()
    assert wav_info(path).whole
    assert np.array_equal(samples(path), np.concatenate([block(1000, 1), block(500, 2), block(300, 3)]))
    (trouble,) = site.trouble
    assert (trouble.path, trouble.saved) == (path, True)
    assert "No space left" in trouble.reason
    assert site.writer.stats().failed == 0


def test_recording_that_begins_on_a_full_disk_is_whole_too(site):
    site.full.add(site.spool)
    recorder = WavRecorder(site.spool / "a.wav", site.writer)
    recorder.write(block(100))
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert np.array_equal(samples(site.spool / "a.wav"), block(100))


def test_recording_ends_when_the_spare_disk_is_full_as_well(site):
    path = site.spool / "a.wav"
    recorder = WavRecorder(path, site.writer)
    recorder.write(block(100))
    written(path, 100)
    site.full |= {site.spool, site.spare}
    recorder.write(block(100))
    assert site.told.wait(WAIT_S)
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert recorder.failed
    assert np.array_equal(samples(path), block(100))
    assert not path.is_symlink()
    assert list(site.spare.iterdir()) == []
    assert [trouble.saved for trouble in site.trouble] == [False]


def test_moved_recording_that_nobody_wants_leaves_nothing(site):
    path = site.spool / "a.wav"
    site.full.add(site.spool)
    recorder = WavRecorder(path, site.writer)
    recorder.write(block(100))
    assert site.told.wait(WAIT_S)
    recorder.discard()
    assert recorder.wait_closed(WAIT_S)
    assert list(site.spool.iterdir()) == list(site.spare.iterdir()) == []


def test_recording_whose_place_takes_no_link_is_kept_and_named(site, caplog):
    site.spool.parent.mkdir()
    site.spool.write_text("in the way")
    recorder = WavRecorder(site.spool / "a.wav", site.writer)
    recorder.write(block(100))
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert np.array_equal(samples(site.spare / "a.wav"), block(100))
    assert str(site.spare / "a.wav") in caplog.text


def test_listener_that_raises_costs_no_recording(tmp_path, caplog):
    def fail(_trouble):
        raise RuntimeError("told badly")

    writer = RecorderThread(on_trouble=fail)
    writer.start()
    (tmp_path / "file").write_text("in the way")
    broken, sound = (WavRecorder(tmp_path / name, writer) for name in ("file/a.wav", "b.wav"))
    for recorder in (broken, sound):
        recorder.write(block(10))
        recorder.close()
        assert recorder.wait_closed(WAIT_S)
    writer.stop()
    assert (broken.failed, sound.failed) == (True, False)
    assert "told badly" in caplog.text


def test_recording_shorter_than_it_was_is_not_taken_for_whole(tmp_path):
    (tmp_path / "a.wav").write_bytes(bytes(10))
    with open(tmp_path / "a.wav", "rb") as file, pytest.raises(OSError, match="ends at 10 of 20"):
        copy_to_spare(file.fileno(), tmp_path / "spare" / "a.wav", size=20)
    assert list((tmp_path / "spare").iterdir()) == []


def test_what_a_crash_left_is_linked_or_was_never_needed(tmp_path):
    spool, spare = tmp_path / "spool", tmp_path / "spare"
    spool.mkdir()
    spare.mkdir()
    for name in ("moved", "lost_link", "half_copied"):
        (spare / f"{name}.wav").write_text(name)
    (spool / "moved.wav").symlink_to(spare / "moved.wav")
    (spool / "half_copied.wav").write_text("the original")
    adopt_spare(spool, spare)
    adopt_spare(spool, spare)
    assert {path.name: path.read_text() for path in spool.iterdir()} == {
        "moved.wav": "moved",
        "lost_link.wav": "lost_link",
        "half_copied.wav": "the original",
    }
    assert sorted(path.name for path in spare.iterdir()) == ["lost_link.wav", "moved.wav"]
    adopt_spare(spool, tmp_path / "none")


def test_removing_takes_the_link_and_what_it_names(tmp_path):
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "plain").write_text("x")
    for name in ("link", "plain", "none"):
        remove_recording(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
