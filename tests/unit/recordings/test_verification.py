import os
from pathlib import Path

import pytest
from chain_rig import Archive, make_archive

from hotline.db import Database
from hotline.errors import InvalidInputError
from recordings.chain_repository import chain_end, remove_files
from recordings.verification import by_kind, write_manifests

WAV = "2026/01/05/c1.wav"
OTHER = "2026/01/05/c2.wav"


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    """Three calls on two days, in the manifests."""
    made = make_archive(database, tmp_path)
    made.add_call("c1", tracks=("8001-1",))
    made.add_call("c2")
    made.clock.advance(86_400)
    made.add_call("c3")
    made.list_links()
    return made


def test_untouched_archive_is_sound(archive: Archive) -> None:
    report = archive.verify()
    assert report.findings == []
    assert report.sound
    assert (report.first_day, report.last_day) == ("2026-01-05", "2026-01-06")
    assert (report.links, report.files, report.awaiting_manifest) == (10, 10, 0)
    assert report.size_bytes == sum(path.stat().st_size for path in (archive.folder / "store" / "2026").rglob("*.*"))


def test_empty_archive_is_sound(database: Database, tmp_path: Path) -> None:
    report = make_archive(database, tmp_path).verify()
    assert (report.sound, report.links, report.first_day) == (True, 0, "")


@pytest.mark.parametrize("name", [WAV, "2026/01/05/c1.8001-1.wav", "2026/01/05/c1.peaks.json", "2026/01/05/c1.jsonl"])
def test_changed_byte_shows_in_every_file_of_a_call(archive: Archive, name: str) -> None:
    archive.edit(name, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    assert archive.problems() == {("changed", name)}


def test_longer_and_shorter_files_show(archive: Archive) -> None:
    archive.edit(WAV, lambda content: content + b"\0")
    archive.edit(OTHER, lambda content: content[:-2])
    assert archive.problems() == {("changed", WAV), ("changed", OTHER)}


def test_removed_file_is_missing(archive: Archive) -> None:
    archive.path(WAV).unlink()
    assert archive.problems() == {("missing", WAV)}


def test_swapped_files_show(archive: Archive) -> None:
    content, other = archive.path(WAV).read_bytes(), archive.path(OTHER).read_bytes()
    archive.path(WAV).write_bytes(other)
    archive.path(OTHER).write_bytes(content)
    assert archive.problems() == {("changed", WAV), ("changed", OTHER)}


def test_file_that_nobody_stored_shows_once_it_has_had_time_to_settle(archive: Archive) -> None:
    archive.path("2026/01/05/planted.wav").write_bytes(b"RIFF")
    archive.path("2026/01/04").mkdir()
    archive.path("2026/01/04/planted.wav").write_bytes(b"RIFF")
    assert archive.problems() == {("extra", "2026/01/05/planted.wav"), ("extra", "2026/01/04/planted.wav")}


def test_removed_link_shows(archive: Archive) -> None:
    archive.execute("DELETE FROM chain_links WHERE path = :path", path=WAV)
    kinds = {kind for kind, _ in archive.problems()}
    assert kinds == {"broken", "unlisted", "unchained"}


def test_last_links_cannot_be_taken_off(archive: Archive) -> None:
    archive.execute("DELETE FROM chain_links WHERE position = 10")
    assert "broken" in {kind for kind, _ in archive.problems()}
    archive.execute(
        "UPDATE chain_head SET position = 9, listed = 9, digest = (SELECT digest FROM chain_links WHERE position = 9)"
    )
    problems = archive.problems()
    assert ("unlisted", "#10 2026/01/06/c3.jsonl") in problems, "the manifest still has it"


def test_chain_without_a_single_link_left_shows(archive: Archive) -> None:
    archive.execute("DELETE FROM chain_links")
    assert ("broken", "chain") in archive.problems()


def test_whole_day_that_is_taken_out_shows(archive: Archive) -> None:
    archive.execute("DELETE FROM chain_links WHERE day = '2026-01-05'")
    assert "broken" in {kind for kind, _ in archive.problems(first="2026-01-06")}


def test_link_made_to_fit_a_changed_file_shows(archive: Archive) -> None:
    archive.execute("UPDATE chain_links SET sha256 = :digest WHERE path = :path", digest="ab" * 32, path=WAV)
    assert {kind for kind, _ in archive.problems()} == {"broken", "unlisted", "changed"}


def test_changed_or_lost_manifest_shows(archive: Archive) -> None:
    manifest = sorted(archive.path("chain").rglob("*.jsonl"))
    archive.edit(str(manifest[0].relative_to(archive.path(""))), lambda text: text.replace(b'"c1"', b'"c9"', 1))
    manifest[1].unlink()
    problems = archive.problems()
    assert {kind for kind, _ in problems} == {"unlisted"}
    assert len(problems) == 1 + 3


def test_torn_manifest_is_told_and_does_not_end_the_run(archive: Archive) -> None:
    manifest = next(archive.path("chain").rglob("*.jsonl"))
    archive.edit(str(manifest.relative_to(archive.path(""))), lambda text: text + b"{torn\n")
    assert {kind for kind, _ in archive.problems()} == {"unlisted"}


def test_row_that_was_changed_or_removed_shows(archive: Archive) -> None:
    archive.execute("UPDATE recordings SET sha256 = :digest WHERE call_id = 'c1'", digest="ab" * 32)
    archive.execute("DELETE FROM recordings WHERE call_id = 'c2'")
    assert archive.problems() == {("row", WAV), ("row", OTHER)}


def test_rows_that_were_swapped_show(archive: Archive) -> None:
    archive.execute("UPDATE recordings SET path = '2026/01/05/cx.wav' WHERE call_id = 'c1'")
    archive.execute("UPDATE recordings SET path = :path WHERE call_id = 'c2'", path=WAV)
    assert {("row", WAV), ("row", OTHER), ("unchained", "2026/01/05/cx.wav")} <= archive.problems()


def test_recording_from_before_the_chain_is_unchained(archive: Archive) -> None:
    archive.store.put(archive.path(WAV), "2026/01/05/old.wav")
    archive.execute("UPDATE recordings SET path = '2026/01/05/old.wav' WHERE call_id = 'c1'")
    assert archive.problems() == {("unchained", "2026/01/05/old.wav"), ("row", WAV)}


def test_lawful_removal_is_no_problem_but_a_file_left_over_is(archive: Archive) -> None:
    with archive.database.transaction() as session:
        files = remove_files(session, "c1", note="certificate 7", now=archive.clock.now())
    archive.execute("DELETE FROM recordings WHERE call_id = 'c1'")
    assert archive.problems() == {("left_over", file.name) for file in files}
    for file in files:
        archive.store.delete(file.name)
    report = archive.verify()
    assert report.findings == []
    assert report.removed == 4


def test_only_the_days_asked_for_are_read(archive: Archive) -> None:
    archive.path(WAV).unlink()
    report = archive.verify(first="2026-01-06")
    assert (report.sound, report.files) == (True, 3)
    assert not archive.verify(last="2026-01-05").sound
    assert archive.verify(first="2026-01-07", last="2026-01-09").files == 0


def test_day_that_is_none_is_refused(archive: Archive) -> None:
    with pytest.raises(InvalidInputError, match="不是日期"):
        archive.verify(first="tomorrow")


def test_head_noted_earlier_is_found_again_or_the_chain_was_made_anew(archive: Archive) -> None:
    with archive.database.reading() as session:
        noted, _ = chain_end(session)
    archive.add_call("c4")
    assert archive.verify(known_head=noted.digest).sound
    assert archive.problems(known_head="ab" * 32) == {("broken", "ab" * 32)}


def test_links_wait_for_their_manifest_without_being_a_problem(archive: Archive) -> None:
    archive.add_call("c4")
    report = archive.verify()
    assert (report.sound, report.awaiting_manifest) == (True, 3)
    assert write_manifests(archive.database, archive.store) == 3
    assert write_manifests(archive.database, archive.store) == 0
    assert archive.verify().awaiting_manifest == 0


def test_manifest_written_again_after_a_kill_is_no_contradiction(archive: Archive) -> None:
    archive.execute("UPDATE chain_head SET listed = 7")
    archive.add_call("c4")
    archive.list_links()
    assert archive.verify().findings == []


def test_day_that_changed_hands_is_parted_into_manifests_of_their_days(archive: Archive) -> None:
    names = [str(path.relative_to(archive.path("chain"))) for path in archive.path("chain").rglob("*.jsonl")]
    assert sorted(names) == ["2026/01/05/0000000001-0000000007.jsonl", "2026/01/06/0000000008-0000000010.jsonl"]


def test_repaired_recordings_are_counted(archive: Archive) -> None:
    archive.execute("UPDATE recordings SET repaired = :yes WHERE call_id = 'c1'", yes=True)
    report = archive.verify()
    assert (report.sound, report.repaired) == (True, 1)


def test_file_that_was_just_put_may_wait_for_its_rows(archive: Archive) -> None:
    path = archive.path("2026/01/05/fresh.wav")
    path.write_bytes(b"RIFF")
    just_put = path.stat().st_mtime + 2 * 3600
    os.utime(path, (just_put, just_put))
    assert archive.verify().sound


def test_findings_are_told_kind_by_kind(archive: Archive) -> None:
    archive.path(WAV).unlink()
    archive.path(OTHER).unlink()
    archive.edit("2026/01/06/c3.wav", lambda content: content[:-1])
    assert [(kind, len(found)) for kind, found in by_kind(archive.verify().findings)] == [
        ("missing", 2),
        ("changed", 1),
    ]
