"""What is made of the spool of a media process that was killed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ivr.journal import Journal, JournalWriter
from recordings.recovery import recover_spool
from recordings.wav import wav_header, wav_info

BEGUN = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
NEXT_DAY = BEGUN + timedelta(days=1)


def call_of(spool: Path, *kinds: tuple[str, dict[str, object]], seconds: float | None = None) -> Path:
    """A journal of lines a second apart, and a WAV whose header was never written again after the first second."""
    path = spool / "c1.jsonl"
    writer = JournalWriter(path)
    for second, (kind, data) in enumerate(kinds):
        writer.append(kind, BEGUN + timedelta(seconds=second), **data)
    writer.close()
    if seconds is not None:
        audio = np.zeros((int(8000 * seconds), 2), "<i2").tobytes()
        path.with_suffix(".wav").write_bytes(wav_header(32000) + audio + b"x")  # and a torn frame
    return path


ANSWERED: tuple[tuple[str, dict[str, object]], ...] = (("opened", {"call_id": "c1"}), ("answered", {"answer_ms": 3.0}))


def test_an_open_call_is_closed_with_the_length_of_its_repaired_recording(tmp_path: Path) -> None:
    call_of(tmp_path, *ANSWERED, seconds=12.5)
    (journal,) = recover_spool(tmp_path, now=NEXT_DAY)
    assert journal.closed
    assert [entry.kind for entry in journal.entries[2:]] == ["ended", "captions", "closed"]
    ended = journal.first("ended")
    assert ended is not None
    assert ended.data == {"reason": "media_crashed", "duration_ms": 12_500}
    info = wav_info(journal.audio_path)
    assert (info.whole, info.frames) == (True, 100_000)


def test_a_call_ended_when_its_recording_did_and_not_when_the_process_came_back(tmp_path: Path) -> None:
    call_of(tmp_path, *ANSWERED, seconds=12.5)
    (journal,) = recover_spool(tmp_path, now=NEXT_DAY)
    ended = journal.first("ended")
    assert ended is not None
    assert ended.at == BEGUN + timedelta(seconds=1 + 12.5)


@pytest.mark.parametrize(
    ("lines", "demands"),
    [
        ((), []),
        ((("demand_begun", {"start_ms": 4000}),), [{"start_ms": 4000, "end_ms": 12_500}]),
        (
            (("demand_begun", {"start_ms": 400}), ("demand", {"start_ms": 400, "end_ms": 900})),
            [{"start_ms": 400, "end_ms": 900}],
        ),
        (
            (
                ("demand_begun", {"start_ms": 400}),
                ("demand", {"start_ms": 400, "end_ms": 900}),
                ("demand_begun", {"start_ms": 5000}),
            ),
            [{"start_ms": 400, "end_ms": 900}, {"start_ms": 5000, "end_ms": 12_500}],
        ),
    ],
)
def test_a_demand_that_was_being_told_is_kept(
    tmp_path: Path, lines: tuple[tuple[str, dict[str, object]], ...], demands: list[dict[str, int]]
) -> None:
    call_of(tmp_path, *ANSWERED, *lines, seconds=12.5)
    (journal,) = recover_spool(tmp_path, now=NEXT_DAY)
    assert [entry.data for entry in journal.all("demand")] == demands


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"no audio at all"])
def test_a_call_without_a_usable_recording_is_closed_all_the_same(tmp_path: Path, content: bytes | None) -> None:
    path = call_of(tmp_path, *ANSWERED)
    if content is not None:
        path.with_suffix(".wav").write_bytes(content)
    (journal,) = recover_spool(tmp_path, now=NEXT_DAY)
    ended = journal.first("ended")
    assert ended is not None
    assert (ended.data["duration_ms"], ended.at) == (0, BEGUN + timedelta(seconds=1))


def test_a_journal_torn_in_its_first_line_is_closed(tmp_path: Path) -> None:
    (tmp_path / "c1.jsonl").write_text('{"kind": "open')
    (journal,) = recover_spool(tmp_path, now=NEXT_DAY)
    assert [entry.kind for entry in journal.entries] == ["ended", "captions", "closed"]


def test_recovery_that_was_killed_itself_ends_a_call_once(tmp_path: Path) -> None:
    path = call_of(tmp_path, *ANSWERED, seconds=12.5)
    recover_spool(tmp_path, now=NEXT_DAY)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")  # killed before `closed`
    (journal,) = recover_spool(tmp_path, now=NEXT_DAY)
    assert journal.closed
    assert len(list(journal.all("ended"))) == 1


def test_closed_calls_are_left_alone(tmp_path: Path) -> None:
    call_of(tmp_path, *ANSWERED, seconds=2)
    recover_spool(tmp_path, now=NEXT_DAY)
    before = Journal.read(tmp_path / "c1.jsonl")
    assert recover_spool(tmp_path, now=NEXT_DAY + timedelta(hours=1)) == []
    assert Journal.read(tmp_path / "c1.jsonl") == before


def test_a_journal_that_a_worker_archives_meanwhile_does_not_stop_the_start(tmp_path: Path) -> None:
    call_of(tmp_path, *ANSWERED, seconds=2)
    (tmp_path / "c0.jsonl").symlink_to(tmp_path / "archived")  # listed, and gone when it is read
    assert [journal.call_id for journal in recover_spool(tmp_path, now=NEXT_DAY)] == ["c1"]


def test_a_full_disk_leaves_a_call_for_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = call_of(tmp_path, *ANSWERED, seconds=2)

    def full(*_arguments: object, **_data: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(JournalWriter, "append", full)
        assert recover_spool(tmp_path, now=NEXT_DAY) == []
    assert not Journal.read(path).closed
    assert len(recover_spool(tmp_path, now=NEXT_DAY)) == 1
