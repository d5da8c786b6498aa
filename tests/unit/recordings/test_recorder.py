import os
import shutil
import threading
import wave

import numpy as np
import pytest

from recordings import recorder as module
from recordings.recorder import RecorderThread, WavRecorder
from recordings.wav import repair_wav, wav_info

WAIT_S = 10


@pytest.fixture
def writer():
    thread = RecorderThread(queue_s=2.0)
    thread.start()
    yield thread
    thread.stop()


def block(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32767, (count, 2), np.int16)


def read(path):
    """The file's samples as Python's own reader sees them."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def frames_in(path):
    """What the header tells so far; 0 before there is one."""
    return wav_info(path).frames if path.exists() and path.stat().st_size >= 44 else 0


def until(condition):
    """Waits for `condition()`, which another thread makes true."""
    done = threading.Event()
    for _ in range(WAIT_S * 100):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("did not happen in time")


def test_file_holds_every_sample_in_order(tmp_path, writer):
    path = tmp_path / "calls" / "a.wav"
    told = threading.Event()
    recorder = WavRecorder(path, writer, on_closed=told.set)
    blocks = [block(count, seed) for seed, count in enumerate((1600, 800, 1, 1600))]
    for item in blocks:
        recorder.write(item)
    recorder.close()
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert told.wait(WAIT_S)
    assert np.array_equal(read(path), np.concatenate(blocks))
    assert wav_info(path).whole
    assert not recorder.failed
    assert writer.stats().open == 0


def test_copy_of_the_file_plays_while_the_call_goes_on(tmp_path, writer):
    path = tmp_path / "a.wav"
    recorder = WavRecorder(path, writer)
    until(lambda: path.exists() and path.stat().st_size >= 44)
    assert len(read(path)) == 0
    written = np.zeros((0, 2), np.int16)
    for seed in range(3):
        recorder.write(block(1600, seed))
        written = np.concatenate([written, block(1600, seed)])
        expected = len(written)
        until(lambda frames=expected: frames_in(path) == frames)
        copy = shutil.copy(path, tmp_path / f"copy{seed}.wav")
        assert np.array_equal(read(copy), written)
    recorder.close()


def test_writing_after_the_end_changes_nothing(tmp_path, writer):
    recorder = WavRecorder(tmp_path / "a.wav", writer)
    recorder.write(block(10))
    recorder.close()
    recorder.write(block(10))
    assert recorder.wait_closed(WAIT_S)
    assert len(read(tmp_path / "a.wav")) == 10


def test_call_without_audio_leaves_a_valid_empty_file(tmp_path, writer):
    recorder = WavRecorder(tmp_path / "a.wav", writer)
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert len(read(tmp_path / "a.wav")) == 0


def test_full_queue_becomes_silence_of_its_length(tmp_path, caplog):
    slow = RecorderThread(queue_s=0.2)  # not started: a disk that does not answer
    recorder = WavRecorder(tmp_path / "a.wav", slow)
    first, last = block(1600, 1), block(400, 2)
    recorder.write(first)
    recorder.write(block(800))
    recorder.write(block(300))
    assert recorder.dropped_samples == 1100
    slow.start()
    until(lambda: frames_in(tmp_path / "a.wav") == 2700)
    recorder.write(last)
    slow.stop()
    expected = np.concatenate([first, np.zeros((1100, 2), np.int16), last])
    assert np.array_equal(read(tmp_path / "a.wav"), expected)
    assert slow.stats().dropped_samples == 1100
    assert caplog.text.count("too slow") == 1


def test_path_that_cannot_be_written_fails_that_recording_alone(tmp_path, writer, caplog):
    (tmp_path / "file").write_text("in the way")
    broken, healthy = (WavRecorder(tmp_path / name, writer) for name in ("file/a.wav", "b.wav"))
    for recorder in (broken, healthy):
        recorder.write(block(100))
        recorder.close()
        recorder.write(block(100))
        assert recorder.wait_closed(WAIT_S)
    assert (broken.failed, healthy.failed) == (True, False)
    assert len(read(tmp_path / "b.wav")) == 100
    assert writer.stats().failed == 1
    assert "recording failed" in caplog.text


def test_full_disk_keeps_what_was_written_playable(tmp_path, writer, monkeypatch, caplog):
    path = tmp_path / "a.wav"
    recorder = WavRecorder(path, writer)
    recorder.write(block(1000))
    until(lambda: frames_in(path) == 1000)
    real = os.pwrite

    def full(file, data, offset):
        if offset >= 44:
            real(file, data[:7], offset)
            raise OSError(28, "No space left on device")
        return real(file, data, offset)

    monkeypatch.setattr(module.os, "pwrite", full)
    recorder.write(block(500))
    until(lambda: recorder.failed)
    recorder.write(block(500))
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert "No space left" in caplog.text
    assert np.array_equal(read(path), block(1000))
    assert repair_wav(path)
    assert len(read(path)) == 1001


def test_disk_that_writes_in_pieces_loses_nothing(tmp_path, writer, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(module.os, "pwrite", lambda file, data, offset: real(file, data[:333], offset))
    recorder = WavRecorder(tmp_path / "a.wav", writer)
    recorder.write(block(1000))
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    assert np.array_equal(read(tmp_path / "a.wav"), block(1000))


def test_audio_of_the_wrong_shape_and_a_raising_callback_do_not_end_the_writer(tmp_path, writer, caplog):
    def fail():
        raise RuntimeError("told badly")

    broken = WavRecorder(tmp_path / "a.wav", writer, on_closed=fail)
    broken.write(block(10))
    broken.write(np.zeros(10, np.int16))
    broken.close()
    assert broken.wait_closed(WAIT_S)
    assert broken.failed
    healthy = WavRecorder(tmp_path / "b.wav", writer)
    healthy.close()
    assert healthy.wait_closed(WAIT_S)
    assert "told badly" in caplog.text


def test_file_that_cannot_be_closed_fails_that_recording_alone(tmp_path, writer, monkeypatch, caplog):
    told = [threading.Event(), threading.Event()]
    broken, healthy = (
        WavRecorder(tmp_path / name, writer, on_closed=event.set) for name, event in zip("ab", told, strict=True)
    )
    until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    real = os.close
    number = (tmp_path / "a").stat().st_ino

    def failing(file):
        ours = os.fstat(file).st_ino == number
        real(file)
        if ours:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "close", failing)
    broken.close()
    assert broken.wait_closed(WAIT_S)
    healthy.write(block(100))
    until(lambda: frames_in(tmp_path / "b") == 100)
    healthy.close()
    assert healthy.wait_closed(WAIT_S)
    assert all(event.is_set() for event in told)
    assert (broken.failed, healthy.failed) == (True, False)
    assert "Input/output error" in caplog.text
    assert writer.stats().open == 0


def test_recording_that_nobody_wants_leaves_no_file_and_tells_its_end(tmp_path, writer):
    path, told = tmp_path / "a.wav", threading.Event()
    recorder = WavRecorder(path, writer, on_closed=told.set)
    recorder.write(block(100))
    until(lambda: frames_in(path) == 100)
    recorder.write(block(100))
    recorder.discard()
    recorder.write(block(100))
    assert recorder.wait_closed(WAIT_S)
    assert told.wait(WAIT_S)
    assert not path.exists()
    assert not recorder.failed
    assert writer.stats().open == 0


def test_recording_unwanted_before_its_file_was_made_never_makes_one(tmp_path):
    writer = RecorderThread()
    recorder = WavRecorder(tmp_path / "calls" / "a.wav", writer)
    recorder.write(block(100))
    recorder.discard()
    writer.start()
    assert recorder.wait_closed(WAIT_S)
    writer.stop()
    assert list(tmp_path.iterdir()) == []
    assert not recorder.failed


def test_closed_recording_is_kept_whatever_is_wanted_later(tmp_path):
    writer = RecorderThread()
    recorder = WavRecorder(tmp_path / "a.wav", writer)
    recorder.write(block(100))
    recorder.close()
    recorder.discard()
    writer.start()
    assert recorder.wait_closed(WAIT_S)
    writer.stop()
    assert len(read(tmp_path / "a.wav")) == 100


def test_stopping_completes_every_recording_and_later_ones_fail(tmp_path):
    writer = RecorderThread()
    writer.start()
    recorder = WavRecorder(tmp_path / "a.wav", writer)
    recorder.write(block(1600))
    writer.stop()
    writer.stop()
    assert recorder.wait_closed(0)
    assert np.array_equal(read(tmp_path / "a.wav"), block(1600))
    late = WavRecorder(tmp_path / "b.wav", writer)
    late.write(block(1))
    late.close()
    assert late.wait_closed(0)
    assert late.failed
    assert not (tmp_path / "b.wav").exists()


def test_a_track_of_one_party_has_one_channel(tmp_path, writer):
    path = tmp_path / "a.8001-1.wav"
    recorder = WavRecorder(path, writer, channels=1)
    audio = block(1600)[:, :1]
    recorder.write(audio)
    recorder.close()
    assert recorder.wait_closed(WAIT_S)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.readframes(2000) == audio.astype("<i2").tobytes()


def test_ends_of_many_recordings_do_not_write_the_others_each_time(tmp_path, writer, monkeypatch):
    writes = []
    real = os.pwrite
    monkeypatch.setattr(module.os, "pwrite", lambda file, *rest: writes.append(file) or real(file, *rest))
    going_on = [WavRecorder(tmp_path / f"{number}.wav", writer) for number in range(50)]
    ending = [WavRecorder(tmp_path / f"end{number}.wav", writer) for number in range(50)]
    until(lambda: len(list(tmp_path.iterdir())) == 100)
    for recorder in going_on:
        recorder.write(block(10))
    writes.clear()
    for recorder in ending:
        recorder.write(block(10))
        recorder.close()
    assert all(recorder.wait_closed(WAIT_S) for recorder in ending)
    assert len(writes) <= 2 * 100 + 50  # audio and header once, and those whose turn came twice meanwhile
    for recorder in going_on:
        recorder.close()
        assert recorder.wait_closed(WAIT_S)
        assert len(read(recorder.path)) == 10
