import contextlib
import threading
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.db import Database
from hotline.errors import InvalidInputError
from recordings import chain_repository
from recordings.chain import (
    GENESIS,
    REMOVED,
    STORED,
    Head,
    Link,
    StoredFile,
    breaks,
    head_of,
    next_link,
    parse_link,
    serialize_link,
)
from recordings.chain_repository import Addition, append_links, current_files, links_of_day, remove_files

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def file_named(name: str) -> StoredFile:
    return StoredFile(name=name, sha256="aa" * 32, size_bytes=7, content_sha256="bb" * 32)


def chain_of(count: int, *, start: datetime = NOON) -> list[Link]:
    head, links = Head(), []
    for number in range(count):
        at = start + timedelta(hours=number)
        head, link = next_link(head, file_named(f"f{number}.wav"), kind=STORED, call_id=f"c{number}", now=at)
        links.append(link)
    return links


def test_untouched_chain_has_no_break_also_over_midnight() -> None:
    links = chain_of(30)
    assert {link.day for link in links} == {"2026-01-05", "2026-01-06"}
    assert links[0].previous == GENESIS
    assert list(breaks(Head(), links)) == []
    assert list(breaks(head_of(links[11]), links[12:])) == []


OTHER: dict[str, Any] = {
    "day": "2025-01-01",
    "at": NOON - timedelta(seconds=1),
    "kind": REMOVED,
    "call_id": "another",
    "path": "another.wav",
    "sha256": "cc" * 32,
    "size_bytes": 8,
    "content_sha256": "cc" * 32,
    "note": "x",
    "previous": "cc" * 32,
    "digest": "cc" * 32,
}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(Link)} - {"position"}))
def test_change_of_any_field_shows(name: str) -> None:
    links = chain_of(4)
    links[2] = replace(links[2], **{name: OTHER[name]})
    assert list(breaks(Head(), links))


@given(st.integers(0, 8), st.integers(1, 8))
def test_taking_links_out_shows_unless_they_are_the_last(start: int, count: int) -> None:
    links = chain_of(9)
    left = links[:start] + links[start + count :]
    assert bool(list(breaks(Head(), left))) == (start + count < len(links))


def test_swapped_links_show() -> None:
    first, second, third = chain_of(3)
    assert list(breaks(Head(), [second, first, third]))


def test_clock_that_was_set_back_does_not_reopen_a_day() -> None:
    links = chain_of(2)
    _, late = next_link(head_of(links[-1]), file_named("x"), kind=STORED, call_id="c", now=NOON - timedelta(days=3))
    assert late.day == "2026-01-05"
    assert list(breaks(Head(), [*links, late])) == []


text = st.text(max_size=40)


@given(text, text, text, st.integers(0, 2**60), st.datetimes(timezones=st.just(UTC)))
def test_line_of_a_manifest_reads_as_it_was_written(path: str, call: str, note: str, size: int, at: datetime) -> None:
    file = StoredFile(name=path, sha256="aa", size_bytes=size, content_sha256="bb")
    _, link = next_link(Head(), file, kind=STORED, call_id=call, note=note, now=at)
    line = serialize_link(link)
    assert parse_link(line) == link
    assert line.count(b"\n") == 1


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"{torn", b"\xff", b'"x"', b"null", b'{"at": 3}'])
def test_what_is_no_line_of_a_manifest_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_link(line)


@pytest.mark.parametrize(("name", "value"), [("position", "1"), ("size_bytes", 1.5), ("kind", "lost")])
def test_line_with_a_field_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError):
        parse_link(serialize_link(replace(chain_of(1)[0], **{name: value})))


def test_links_survive_the_database(database: Database) -> None:
    with database.transaction() as session:
        additions = [Addition(file_named("a.wav")), Addition(file_named("a.json"), note="录音")]
        append_links(session, additions, call_id="c1", now=NOON.replace(microsecond=123456))
    with database.reading() as session:
        links = [link for link, _ in links_of_day(session, "2026-01-05")]
        end, listed = chain_repository.chain_end(session)
    assert [link.path for link in links] == ["a.wav", "a.json"]
    assert list(breaks(Head(), links)) == []
    assert (end, listed) == (head_of(links[-1]), 0)


def test_removed_file_leaves_its_link_and_is_no_more_current(database: Database) -> None:
    with database.transaction() as session:
        append_links(session, [Addition(file_named("a.wav")), Addition(file_named("a.json"))], call_id="c1", now=NOON)
        append_links(session, [Addition(file_named("b.wav"))], call_id="c2", now=NOON)
    with database.transaction() as session:
        removed = remove_files(session, "c1", note="certificate 7", now=NOON)
    with database.reading() as session:
        links = links_of_day(session, "2026-01-05")
        assert current_files(session, "c1") == []
        assert current_files(session, "c2") == [file_named("b.wav")]
        assert chain_repository.paths_of_call(session, "c1") == {"a.wav", "a.json"}
    assert removed == [file_named("a.wav"), file_named("a.json")]
    assert [(link.path, link.kind, link.note, later) for link, later in links] == [
        ("a.wav", "stored", "", True),
        ("a.json", "stored", "", True),
        ("b.wav", "stored", "", False),
        ("a.wav", "removed", "certificate 7", False),
        ("a.json", "removed", "certificate 7", False),
    ]


def test_transaction_that_is_rolled_back_leaves_no_gap(database: Database) -> None:
    with contextlib.suppress(ZeroDivisionError), database.transaction() as session:
        append_links(session, [Addition(file_named("a.wav"))], call_id="c1", now=NOON)
        raise ZeroDivisionError
    with database.transaction() as session:
        append_links(session, [Addition(file_named("b.wav"))], call_id="c2", now=NOON)
    with database.reading() as session:
        assert [link.position for link, _ in links_of_day(session, "2026-01-05")] == [1]


def test_workers_at_once_do_not_fork_the_chain(database: Database) -> None:
    workers, each = 6, 10
    start = threading.Barrier(workers)
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            start.wait()
            for round_ in range(each):
                with database.transaction() as session:
                    name = f"{number}-{round_}.wav"
                    append_links(session, [Addition(file_named(name))], call_id=f"c{number}", now=NOON)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as session:
        links = [link for link, _ in links_of_day(session, "2026-01-05")]
        end, _ = chain_repository.chain_end(session)
    assert len(links) == workers * each
    assert list(breaks(Head(), links)) == []
    assert head_of(links[-1]) == end
