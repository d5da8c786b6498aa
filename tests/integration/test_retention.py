"""Deletion by rule on real databases and files: what is due, what is held, certificates, crashes, clocks."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from console_seed import seed_heating_call
from sqlalchemy import select

from console.access_log import purge_log
from console.models import AuditEntry
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from recordings.certificates import faults
from recordings.chain import StoredFile
from recordings.chain_repository import Addition, append_links, current_files
from recordings.compression import Compression
from recordings.loose_files import LooseFile
from recordings.models import Call, ChainLink, Recording
from recordings.retention_models import RetentionRun
from recordings.retention_repository import certificates, unerased
from recordings.store import RecordingStore
from tickets.models import Ticket
from tickets.retention import JOB, Retention, RetentionJobs, place_hold, release_hold

WAV, PEAKS, TRACK, JOURNAL = (f"2026/01/05/c0ffee{suffix}" for suffix in (".wav", ".peaks.json", ".seat.wav", ".jsonl"))
YEARS = 366 * 86_400.0


class Rig:
    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database, self.clock = settings, database, ManualClock()
        self.store = RecordingStore(settings.effective_recordings_url())
        with database.transaction() as session:
            ticket = seed_heating_call(session, self.store, now=self.clock.now())
            ticket.state = "closed"
            self.store.put_bytes(b"track", TRACK)
            self.store.put_bytes(b"journal", JOURNAL)
            files = [self._stored(name) for name in (WAV, PEAKS, TRACK, JOURNAL)]
            append_links(session, map(Addition, files), call_id="c0ffee", now=self.clock.now())
        self.retention = self.make(self.store)

    def make(self, store: RecordingStore) -> Retention:
        return Retention(
            settings=self.settings, database=self.database, store=store, purge_log=purge_log, clock=self.clock
        )

    def _stored(self, name: str) -> StoredFile:
        digest = self.store.digest(name)
        return StoredFile(name=name, sha256=digest, size_bytes=self.store.size(name), content_sha256=digest)

    def there(self) -> list[str]:
        return [name for name in (WAV, PEAKS, TRACK, JOURNAL) if self.store.exists(name)]

    def change(self, **fields: object) -> None:
        with self.database.transaction() as session:
            ticket = session.scalars(select(Ticket)).one()
            for name, value in fields.items():
                setattr(ticket, name, value)


@pytest.fixture
def rig(settings: Settings, database: Database) -> Rig:
    return Rig(settings, database)


def test_audio_is_deleted_after_its_years_with_a_certificate_and_the_rest_stays(rig: Rig) -> None:
    digest = rig.store.digest(WAV)
    rig.clock.advance(1.99 * YEARS)
    assert rig.retention.run(actor="system") == []
    rig.clock.advance(0.02 * YEARS)
    assert [due.call_id for due in rig.retention.due()] == ["c0ffee"]
    assert rig.there() == [WAV, PEAKS, TRACK, JOURNAL], "looking deletes nothing"
    assert rig.retention.run(actor="system") == [1]
    assert rig.there() == [JOURNAL]
    with rig.database.reading() as session:
        (certificate,) = certificates(session)
        assert (certificate.call_id, certificate.rule) == ("c0ffee", "audio 2y")
        assert [item["name"] for item in certificate.files] == [WAV, PEAKS, TRACK]
        assert certificate.files[0]["sha256"] == digest
        assert session.get(Call, "c0ffee") is not None
        assert session.scalars(select(Recording)).all() == []
        assert [file.name for file in current_files(session, "c0ffee")] == [JOURNAL]
        notes = session.scalars(select(ChainLink.note).where(ChainLink.kind == "removed")).all()
        assert set(notes) == {"deletion certificate 1"}
        assert list(faults(certificates(session))) == []
    assert rig.retention.run(actor="system") == [], "a second run finds nothing"


@pytest.mark.parametrize("state", ["handling", "to_dispatch", "suspended", "to_call_back"])
def test_nothing_of_an_open_ticket_is_deleted(rig: Rig, state: str) -> None:
    rig.change(state=state)
    rig.clock.advance(30 * YEARS)
    assert rig.retention.run(actor="system") == []
    rig.change(state="archived", flags=["under_appeal"])
    assert rig.retention.run(actor="system") == []
    rig.change(flags=[])
    assert rig.retention.run(actor="system") == [1]


@pytest.mark.parametrize("subject", ["YQ20260105000011", "yq20260105000011", "c0ffee"])
def test_a_hold_keeps_everything_until_it_is_released(rig: Rig, subject: str) -> None:
    now = rig.clock.now()
    with rig.database.transaction() as session:
        place_hold(session, subject, reason="诉讼取证", actor="cli:li", now=now)
    with pytest.raises(ConflictError), rig.database.transaction() as session:
        place_hold(session, "c0ffee", reason="再来一次", actor="cli:li", now=now)
    rig.clock.advance(3 * YEARS)
    assert rig.retention.run(actor="system") == []
    with rig.database.transaction() as session:
        hold = release_hold(session, subject, reason="已结案", actor="cli:li", now=rig.clock.now())
        assert (hold.released_by, hold.release_reason) == ("cli:li", "已结案")
    assert rig.retention.run(actor="system") == [1]
    with pytest.raises(ConflictError, match="删除证书 1"), rig.database.transaction() as session:
        place_hold(session, subject, reason="太晚了", actor="cli:li", now=now)


def test_a_hold_that_comes_between_looking_and_deleting_counts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.clock.advance(3 * YEARS)
    seen = list(rig.retention.due())
    with rig.database.transaction() as session:
        place_hold(session, "c0ffee", reason="诉讼取证", actor="cli:li", now=rig.clock.now())
    monkeypatch.setattr(rig.retention, "due", lambda: iter(seen))
    assert rig.retention.run(actor="system") == []
    assert WAV in rig.there()


@pytest.mark.parametrize(
    ("subject", "reason", "error"),
    [
        ("YQ1", "诉讼取证", NotFoundError),
        ("c0ffee", " x ", InvalidInputError),
        ("c0ffee", "长" * 201, InvalidInputError),
    ],
)
def test_a_senseless_hold_is_refused(rig: Rig, subject: str, reason: str, error: type[Exception]) -> None:
    with pytest.raises(error), rig.database.transaction() as session:
        place_hold(session, subject, reason=reason, actor="cli:li", now=rig.clock.now())
    with pytest.raises((error, ConflictError)), rig.database.transaction() as session:
        release_hold(session, subject, reason=reason, actor="cli:li", now=rig.clock.now())


def test_a_run_that_was_cut_off_is_made_good_by_the_next(rig: Rig) -> None:
    class Cut(RecordingStore):
        def delete(self, name: str) -> None:
            if name == PEAKS:
                raise UnavailableError("the disk is away")
            super().delete(name)

    rig.clock.advance(3 * YEARS)
    with pytest.raises(UnavailableError):
        rig.make(Cut(rig.settings.effective_recordings_url())).run(actor="system")
    assert rig.there() == [PEAKS, TRACK, JOURNAL]
    with rig.database.reading() as session:
        assert [row.number for row in unerased(session)] == [1]
        assert session.scalars(select(RetentionRun)).all() == [], "it did not come to its end"
    assert rig.retention.run(actor="system") == []
    assert rig.there() == [JOURNAL]
    with rig.database.reading() as session:
        assert (len(certificates(session)), list(unerased(session))) == (1, [])


def test_what_compression_left_of_a_call_goes_with_it(rig: Rig) -> None:
    flac = WAV.replace(".wav", ".flac")
    rig.store.put_bytes(b"half a flac", flac)
    with rig.database.transaction() as session:
        session.add(LooseFile(path=flac, call_id="c0ffee", owner="killed"))
        session.add(LooseFile(path="2026/01/05/other.flac", call_id="other", owner="at work"))
    rig.clock.advance(3 * YEARS)
    assert rig.retention.run(actor="system") == [1]
    assert rig.store.names("2026/01/05") == [JOURNAL]
    with rig.database.reading() as session:
        assert [note.call_id for note in session.scalars(select(LooseFile))] == ["other"]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_compressed_recording_is_deleted_with_its_certificate(rig: Rig) -> None:
    with rig.database.transaction() as session:
        recording = session.scalars(select(Recording)).one()
        recording.sha256 = rig.store.digest(WAV)
    rules = rig.settings.recordings.model_copy(update={"compress_after_days": 30})
    site = rig.settings.model_copy(update={"recordings": rules})
    rig.clock.advance(YEARS)
    compression = Compression(settings=site, database=rig.database, store=rig.store, clock=rig.clock)
    assert compression.run().files == 1
    flac = WAV.replace(".wav", ".flac")
    digest = rig.store.digest(flac)
    rig.clock.advance(2 * YEARS)
    assert rig.retention.run(actor="system") == [1]
    assert rig.store.names("2026/01/05") == [JOURNAL]
    with rig.database.reading() as session:
        (certificate,) = certificates(session)
        assert {item["name"]: item["sha256"] for item in certificate.files}[flac] == digest


def test_a_recording_older_than_the_chain_is_deleted_with_its_waveform(rig: Rig) -> None:
    with rig.database.transaction() as session:
        for link in session.scalars(select(ChainLink)):
            session.delete(link)
    rig.clock.advance(3 * YEARS)
    assert rig.retention.run(actor="system") == [1]
    assert rig.there() == [TRACK, JOURNAL]


def test_a_category_has_its_own_period(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "retention.yaml"
    path.write_text("version: 1\naudio: 2y\naccess_log: 3y\ncategories: {供暖/煤改电设备: 30d}\n", "utf-8")
    tickets = rig.settings.tickets.model_copy(update={"retention_path": path})
    rig.settings = rig.settings.model_copy(update={"tickets": tickets})
    rig.clock.advance(31 * 86_400.0)
    (due,) = rig.make(rig.store).due()
    assert due.rule == "audio 30d (供暖/煤改电设备)"


def test_old_entries_of_the_access_log_go_with_a_certificate(rig: Rig) -> None:
    rig.change(state="handling")
    with rig.database.transaction() as session:
        for days in (0, 1, 1200):
            at = rig.clock.now() + timedelta(days=days)
            session.add(AuditEntry(at=at, username="li", action="hear", subject="c0ffee"))
    rig.clock.advance(1200 * 86_400.0)
    assert rig.retention.run(actor="system") == [1]
    with rig.database.reading() as session:
        assert len(session.scalars(select(AuditEntry)).all()) == 1
        (certificate,) = certificates(session)
        assert certificate.kind == "access_log"
        assert certificate.files[0]["name"].startswith("2 entries before ")
        assert list(faults([replace(certificate, rule="access_log 1d")])) == [(1, "its row was changed")]


def test_the_worker_runs_it_once_a_day_and_not_by_a_wrong_clock(rig: Rig) -> None:
    jobs = MemoryJobs()
    daily = RetentionJobs(rig.retention, settings=rig.settings, database=rig.database, jobs=jobs, clock=rig.clock)
    daily.sweep()
    daily.sweep()
    assert jobs.waiting == [(JOB, {})], "handed in once"
    jobs.run_all(daily.functions())
    rig.clock.advance(3600.0)
    daily.sweep()
    assert jobs.waiting == []
    rig.clock.advance(5 * 86_400.0)
    daily.sweep()
    jobs.run_all(daily.functions())
    daily.retain()
    with rig.database.reading() as session:
        assert len(session.scalars(select(RetentionRun)).all()) == 2, "missed days are one run"
    rig.clock.advance(10 * YEARS)
    daily.sweep()
    daily.retain()
    assert jobs.waiting == []
    assert WAV in rig.there(), "a clock ten years ahead deletes nothing by itself"
    rig.clock.advance(-11 * YEARS)
    daily.sweep()
    assert jobs.waiting == []
