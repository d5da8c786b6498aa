"""Compression with the real ffmpeg: what is proved, what a crash leaves, what is not touched."""

import io
import shutil
import wave
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_rig import Archive, make_archive
from numpy.typing import NDArray
from sqlalchemy import select

from hotline.db import Database
from hotline.errors import ConfigurationError, DamagedError, UnavailableError
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from recordings import compression, ffmpeg
from recordings.chain_repository import current_files, remove_files
from recordings.compression import Compressed, Compression
from recordings.jobs import RecordingJobs
from recordings.keys import Key, KeyRing
from recordings.loose_files import LooseFile
from recordings.models import Recording
from recordings.rekeying import rekey
from recordings.repository import find_recording
from recordings.retention_models import LegalHold
from recordings.sound import Sounds
from recordings.store import RecordingStore

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")

WAV, FLAC = "2026/01/05/c1.wav", "2026/01/05/c1.flac"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    """Two calls of forty days ago."""
    made = make_archive(database, tmp_path)
    made.add_call("c1")
    made.add_call("c2", tracks=("8001-1",))
    made.clock.advance(40 * 86_400)
    return made


@pytest.fixture
def site(settings: Settings) -> Settings:
    return having(settings, compress_after_days=30)


def having(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update={"recordings": settings.recordings.model_copy(update=values)})


def run(archive: Archive, site: Settings, **options: Any) -> Compressed:
    return of(archive, site).run(**options)


def of(archive: Archive, site: Settings) -> Compression:
    return Compression(settings=site, database=archive.database, store=archive.store, clock=archive.clock)


def recording(archive: Archive, call_id: str = "c1") -> Recording:
    with archive.database.reading() as session:
        found = find_recording(session, call_id)
        assert found is not None
        return found


def notes(archive: Archive) -> list[str]:
    with archive.database.reading() as session:
        return list(session.scalars(select(LooseFile.path).order_by(LooseFile.path)))


def heard(archive: Archive, site: Settings, call_id: str = "c1") -> bytes:
    with Sounds(archive.store, site).open(recording(archive, call_id)) as file:
        return file.read()


def samples(wav: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())


def test_flac_gives_the_same_wav_and_the_chain_tells_what_became_of_it(archive: Archive, site: Settings) -> None:
    before = archive.path(WAV).read_bytes()
    done = run(archive, site)
    assert (done.files, done.failed, done.more) == (2, [], False)
    assert done.bytes_after < done.bytes_before
    assert not archive.path(WAV).exists()
    assert heard(archive, site) == before
    row = recording(archive)
    assert (row.path, row.size_bytes, row.sha256) == (FLAC, archive.store.size(FLAC), archive.store.digest(FLAC))
    with archive.database.reading() as session:
        assert [file.name for file in current_files(session, "c1")] == [
            "2026/01/05/c1.peaks.json",
            "2026/01/05/c1.jsonl",
            FLAC,
        ]
    report = archive.verify()
    assert (report.findings, report.compressed, report.removed) == ([], 2, 0)
    assert notes(archive) == []
    assert run(archive, site).files == 0, "once"
    assert archive.path("2026/01/05/c2.8001-1.wav").exists(), "a track stays as it is"


def test_compressed_file_that_is_changed_or_gone_is_found(archive: Archive, site: Settings) -> None:
    run(archive, site)
    archive.edit(FLAC, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    archive.path("2026/01/05/c2.flac").unlink()
    assert archive.problems() == {("changed", FLAC), ("missing", "2026/01/05/c2.flac")}


def test_opus_is_small_and_keeps_times_and_channels(archive: Archive, site: Settings) -> None:
    site = having(site, compress_to="opus")
    before = samples(archive.path(WAV).read_bytes())
    done = run(archive, site)
    assert done.files == 2
    assert done.bytes_after < done.bytes_before / 3
    assert recording(archive).path == "2026/01/05/c1.opus"
    after = samples(heard(archive, site))
    assert after.shape == before.shape
    for channel in (0, 1):
        one, other = before[200:-200, channel].astype(float), after[:, channel].astype(float)
        likeness = {lag: float(one @ other[200 + lag : len(other) - 200 + lag]) for lag in range(-100, 101)}
        assert abs(max(likeness, key=lambda lag: likeness[lag])) <= 8, "within a millisecond"
    assert archive.verify().findings == []


@pytest.mark.parametrize("form", ["flac", "opus"])
def test_very_short_calls_are_compressed_and_silent_ones_left_alone(
    archive: Archive, site: Settings, form: str
) -> None:
    archive.clock.advance(-40 * 86_400)
    archive.add_call("short", seconds=0.02)
    archive.add_call("none", seconds=0)
    archive.clock.advance(40 * 86_400)
    before = samples(archive.path("2026/01/05/short.wav").read_bytes())
    done = run(archive, having(site, compress_to=form))
    assert (done.files, done.failed) == (3, [])
    assert samples(heard(archive, site, "short")).shape == before.shape
    assert recording(archive, "none").path.endswith(".wav")
    assert archive.verify().findings == []


@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (1, 16_000), (2, 16_000)])
def test_flac_is_exact_in_every_shape_that_recordings_have(tmp_path: Path, channels: int, rate: int) -> None:
    loud = np.random.default_rng(7).integers(-32_768, 32_767, rate * channels + 13 * channels, np.int16, endpoint=True)
    with (
        open(tmp_path / "pcm", "w+b") as pcm,
        open(tmp_path / "flac", "w+b") as made,
        open(tmp_path / "out", "w+b") as out,
    ):
        pcm.write(loud.astype("<i2").tobytes())
        pcm.seek(0)
        ffmpeg.encode(pcm, made, form="flac", sample_rate=rate, channels=channels, opus_kbps=24, timeout_s=60)
        made.seek(0)
        ffmpeg.decode(made, out, sample_rate=rate, channels=channels, max_bytes=10**7, timeout_s=60)
        out.seek(0)
        assert np.array_equal(np.frombuffer(out.read(), "<i2"), loud)


def test_only_what_is_old_enough_is_compressed_and_at_most_so_much(archive: Archive, site: Settings) -> None:
    archive.add_call("c3")
    assert [item.call_id for item in of(archive, site).due()] == ["c1", "c2"]
    first = run(archive, site, limit=1)
    assert (first.files, first.more) == (1, True)
    second = run(archive, site, limit=1, after=first.last_id)
    assert (second.files, second.more) == (1, False)
    assert recording(archive, "c3").path.endswith(".wav")
    assert list(of(archive, having(site, compress_after_days=0)).due()) == []


def test_encrypted_stores_stay_encrypted(archive: Archive, site: Settings) -> None:
    before = archive.path(WAV).read_bytes()
    archive.store = RecordingStore(str(archive.folder / "store"), KeyRing((Key("new", bytes(range(32))),)))
    rekey(archive.database, archive.store, clock=archive.clock)
    assert run(archive, site).files == 2
    assert archive.store.key_id(FLAC) == "new"
    assert heard(archive, site) == before
    assert archive.verify().findings == []


POINTS: dict[str, tuple[str, bool]] = {
    "while it encodes": ("recordings.ffmpeg.encode", True),
    "while it proves": ("recordings.compression.decoded_wav", True),
    "before it is stored": ("recordings.store.RecordingStore.put_open", True),
    "after it is stored": ("recordings.store.RecordingStore.put_open", False),
    "before the commit": ("recordings.compression.append_links", False),
    "after the commit": ("recordings.compression.settle_file", True),
    "after the wav is gone": ("recordings.store.RecordingStore.delete", False),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_the_next_run_makes_it_good(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    before = archive.path(WAV).read_bytes()
    name, at_once = POINTS[point]
    with monkeypatch.context() as patch:
        patch.setattr(name, killing(name, at_once))
        with pytest.raises(Killed):
            run(archive, site)
    assert len(notes(archive)) == 1
    assert heard(archive, site) == before, "it can be heard all the time"
    assert run(archive, site).failed == []
    assert notes(archive) == []
    assert recording(archive).path == FLAC
    assert heard(archive, site) == before
    assert archive.store.names("2026/01/05") == sorted(
        ["2026/01/05/c1.flac", "2026/01/05/c1.jsonl", "2026/01/05/c1.peaks.json"]
        + [f"2026/01/05/c2{suffix}" for suffix in (".8001-1.wav", ".flac", ".jsonl", ".peaks.json")]
    )
    assert archive.verify().findings == []


def killing(name: str, at_once: bool) -> Callable[..., Any]:
    """What stands at `name`, ending the process before or after its work."""
    target: Any = {
        "recordings.ffmpeg.encode": ffmpeg.encode,
        "recordings.compression.decoded_wav": compression.decoded_wav,
        "recordings.store.RecordingStore.put_open": RecordingStore.put_open,
        "recordings.compression.append_links": compression.append_links,
        "recordings.compression.settle_file": compression.settle_file,
        "recordings.store.RecordingStore.delete": RecordingStore.delete,
    }[name]

    def work(*arguments: Any, **options: Any) -> Any:
        if not at_once:
            target(*arguments, **options)
        raise Killed

    return work


def test_full_store_ends_the_run_and_loses_nothing(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archive.path(WAV).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recordings.store.os.fsync", full)
        with pytest.raises(UnavailableError, match="No space left"):
            run(archive, site)
    assert archive.path(WAV).read_bytes() == before
    assert notes(archive) == []
    assert run(archive, site).files == 2


def test_tampered_recording_is_told_and_not_made_genuine(archive: Archive, site: Settings) -> None:
    archive.edit(WAV, lambda content: content[:-1] + b"\7")
    done = run(archive, site)
    assert done.files == 1
    assert [path for path, _ in done.failed] == [WAV]
    assert archive.problems() == {("changed", WAV)}
    assert notes(archive) == []


def test_flac_that_gives_other_samples_is_refused(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ffmpeg.encode

    def wrong(pcm: Any, target: Any, **options: Any) -> None:
        pcm.seek(0)
        content = bytearray(pcm.read())
        content[100] ^= 1
        with open("other.raw", "wb") as file:
            file.write(content)
        with open("other.raw", "rb") as other:
            real(other, target, **options)

    monkeypatch.setattr(ffmpeg, "encode", wrong)
    done = run(archive, site)
    assert done.files == 0
    assert "same samples" in done.failed[0][1]
    assert archive.store.exists(WAV)
    assert not archive.store.exists(FLAC)
    assert archive.verify().findings == []


def test_recording_under_a_hold_is_left_alone(archive: Archive, site: Settings) -> None:
    hold = LegalHold(call_id="c1", reason="诉讼", placed_by="li", placed_at=archive.clock.now())
    with archive.database.transaction() as session:
        session.add(hold)
    assert run(archive, site).files == 1
    assert recording(archive).path == WAV
    with archive.database.transaction() as session:
        session.get_one(LegalHold, hold.id).released_at = archive.clock.now()
    assert run(archive, site).files == 1


@pytest.mark.parametrize("what", ["held", "removed", "encrypted anew", "settled"])
def test_what_happens_to_it_meanwhile_wins(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    put = RecordingStore.put_open
    archive.store = RecordingStore(str(archive.folder / "store"), KeyRing((Key("new", bytes(32)),)))

    def meanwhile(store: RecordingStore, content: Any, name: str) -> Any:
        stored = put(store, content, name)
        if name != FLAC:
            return stored
        if what == "held":
            with archive.database.transaction() as session:
                now = archive.clock.now()
                session.add(LegalHold(call_id="c1", reason="诉讼", placed_by="li", placed_at=now))
        elif what == "removed":
            with archive.database.transaction() as session:
                remove_files(session, "c1", note="certificate 7", now=archive.clock.now())
                found = find_recording(session, "c1")
                session.delete(found)
            store.delete(WAV)
        elif what == "encrypted anew":
            rekey(archive.database, store, clock=archive.clock)
        else:
            compression.settle(archive.database, store)
        return stored

    monkeypatch.setattr(RecordingStore, "put_open", meanwhile)
    done = run(archive, site)
    assert [path for path, _ in done.failed][:1] == [WAV]
    assert not archive.store.exists(FLAC)
    assert archive.store.exists(WAV) == (what != "removed")
    assert notes(archive) == []
    assert {kind for kind, _ in archive.problems()} <= {"left_over"} if what == "removed" else not archive.problems()


def test_without_ffmpeg_it_says_what_to_do_and_touches_nothing(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigurationError) as raised:
        of(archive, site)
    assert "install ffmpeg" in raised.value.hint
    assert archive.store.exists(WAV)


def test_hanging_ffmpeg_is_ended(archive: Archive, site: Settings) -> None:
    with pytest.raises(UnavailableError, match="ffmpeg_s"):
        run(archive, having(site, ffmpeg_s=0.000_001))
    assert archive.store.exists(WAV)


def test_worker_does_not_start_where_it_could_not_compress(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigurationError, match="ffmpeg"):
        worker(archive, site, MemoryJobs())
    worker(archive, having(site, compress_after_days=0), MemoryJobs())


def test_worker_compresses_in_batches_daily_and_from_its_start(archive: Archive, site: Settings) -> None:
    queue = MemoryJobs()
    jobs = worker(archive, having(site, compress_batch=1), queue)
    jobs.sweep()
    jobs.sweep()
    assert [name for name, _ in queue.waiting] == ["compress"]
    name, arguments = queue.waiting.pop()
    jobs.functions()[name](**arguments)
    assert [name for name, _ in queue.waiting] == ["compress"], "the rest is a job of its own"
    queue.run_all(jobs.functions())
    assert [recording(archive, call).path[-5:] for call in ("c1", "c2")] == [".flac", ".flac"]
    archive.add_call("c3")
    archive.clock.advance(timedelta(days=31).total_seconds())
    jobs.sweep()
    queue.run_all(jobs.functions())
    assert recording(archive, "c3").path.endswith(".flac")


def test_what_a_crash_left_is_settled_though_the_site_compresses_no_more(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, at_once = POINTS["after the commit"]
    with monkeypatch.context() as patch:
        patch.setattr(name, killing(name, at_once))
        with pytest.raises(Killed):
            run(archive, site)
    assert archive.problems() == {("left_over", WAV)}
    queue = MemoryJobs()
    jobs = worker(archive, having(site, compress_after_days=0), queue)
    jobs.sweep()
    queue.run_all(jobs.functions())
    assert archive.problems() == set()


def worker(archive: Archive, site: Settings, queue: MemoryJobs) -> RecordingJobs:
    return RecordingJobs(settings=site, database=archive.database, jobs=queue, store=archive.store, clock=archive.clock)


def test_damaged_compressed_recording_is_a_clear_error(archive: Archive, site: Settings) -> None:
    run(archive, site)
    archive.edit(FLAC, lambda content: content[: len(content) // 2])
    with pytest.raises(DamagedError, match=r"c1\.flac"):
        heard(archive, site)
    archive.edit(FLAC, lambda _: b"no sound")
    with pytest.raises(DamagedError, match=r"c1\.flac"):
        heard(archive, site)


def test_sound_is_decoded_once_and_read_by_several_at_their_own_places(
    archive: Archive, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archive.path(WAV).read_bytes()
    run(archive, site)
    sounds, decodings, real = Sounds(archive.store, site), [], ffmpeg.decode

    def counted(*arguments: Any, **options: Any) -> None:
        decodings.append(1)
        real(*arguments, **options)

    monkeypatch.setattr(ffmpeg, "decode", counted)
    row = recording(archive)
    with sounds.open(row) as one, sounds.open(row) as other:
        assert one.read(10) == before[:10]
        assert other.read() == before
        sounds.close()
        assert one.read() == before[10:]
    assert len(decodings) == 1
    bounded = Sounds(archive.store, having(site, decoded_max_bytes=0))
    for _ in range(2):
        with bounded.open(row) as file:
            assert file.read() == before
    assert len(decodings) == 3
    assert list((site.data_dir / "decoded").iterdir()) == [], "no file has a name"
