import contextlib
import threading
import traceback
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError, ProgrammingError, StatementError

from console.models import AuditEntry, User
from hotline.db import Database
from hotline.errors import ConfigurationError, ConflictError, UnavailableError

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def entry(at: datetime = NOON, username: str = "li") -> AuditEntry:
    return AuditEntry(at=at, username=username, action="sign_in")


def usernames(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(AuditEntry.username)))


def test_transaction_commits_when_the_block_ends(database: Database) -> None:
    with database.transaction() as session:
        session.add(entry())
    assert usernames(database) == ["li"]


def test_transaction_rolls_back_when_the_block_raises(database: Database) -> None:
    with contextlib.suppress(RuntimeError), database.transaction() as session:
        session.add(entry())
        session.flush()
        raise RuntimeError
    assert usernames(database) == []


def test_reading_session_keeps_nothing(database: Database) -> None:
    with database.reading() as session:
        session.add(entry())
        session.flush()
    assert usernames(database) == []


def test_reader_does_not_wait_for_an_open_writer(database: Database) -> None:
    with database.transaction() as session:
        session.add(entry())
        session.flush()
        assert usernames(database) == []


def test_writers_that_read_first_wait_for_each_other_instead_of_failing(database: Database) -> None:
    """Without the write lock from the start SQLite answers the slower one with "database is locked" at once."""
    with database.transaction() as session:
        session.add(entry(username="0"))
    start = threading.Barrier(4)
    failures: list[Exception] = []

    def increment() -> None:
        start.wait()
        try:
            for _ in range(5):
                with database.transaction() as session:
                    row = session.scalars(select(AuditEntry).with_for_update()).one()
                    row.username = str(int(row.username) + 1)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert usernames(database) == ["20"]


def test_times_come_back_as_aware_utc(database: Database) -> None:
    shanghai = timezone(timedelta(hours=8))
    with database.transaction() as session:
        session.add(entry(at=NOON.astimezone(shanghai)))
    with database.reading() as session:
        at = session.scalars(select(AuditEntry.at)).one()
    assert at == NOON
    assert at.utcoffset() == timedelta(0)


def test_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), database.transaction() as session:
        session.add(entry(at=NOON.replace(tzinfo=None)))


def test_foreign_keys_are_enforced(database: Database) -> None:
    statement = text("INSERT INTO call_qualities (id, call_id, position, party) VALUES (1, 'nobody', 0, 'caller')")
    with pytest.raises(ConflictError, match=r"(?i)foreign key"), database.transaction() as session:
        session.execute(statement)


def test_unique_key_that_is_taken_is_a_conflict(database: Database) -> None:
    user = {"username": "li", "display_name": "李", "role": "admin", "password_hash": "x", "created_at": NOON}
    with database.transaction() as session:
        session.add(User(**user))
    with pytest.raises(ConflictError), database.transaction() as session:
        session.add(User(**user))


PHONE = "13910001234"
ADD_USER = (
    "INSERT INTO users (username, display_name, role, password_hash, disabled, failed_logins, created_at) "
    "VALUES (:phone, {name}, 'admin', 'x', :no, 0, '2026-01-05 12:00:00')"
)


@pytest.mark.parametrize(
    "statement",
    [ADD_USER.format(name="'taken'"), ADD_USER.format(name="NULL"), "SELECT :phone, :no FROM nowhere"],
    ids=["taken", "incomplete", "no table"],
)
def test_error_of_a_statement_does_not_tell_its_values(database: Database, statement: str) -> None:
    values = {"phone": PHONE, "no": False}
    with database.transaction() as session:
        session.execute(text(ADD_USER.format(name="'first'")), values)
    with (
        pytest.raises((ConflictError, UnavailableError, ProgrammingError)) as caught,
        database.transaction() as session,
    ):
        session.execute(text(statement), values)
    shown = "".join(traceback.format_exception(caught.value))
    assert "[SQL: " in shown
    assert PHONE not in shown


def test_ping_succeeds_on_a_living_database(database: Database) -> None:
    database.ping()


def test_ping_names_the_dead_database_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://u:geheim@/x?host={tmp_path}"
    with contextlib.closing(Database(url)) as database, pytest.raises(UnavailableError) as caught:
        database.ping()
    assert "u:***@" in caught.value.message
    assert "geheim" not in caught.value.message


def test_dead_database_is_unavailable_inside_a_transaction(tmp_path: Path) -> None:
    with (
        contextlib.closing(Database(f"postgresql+psycopg://u@/x?host={tmp_path}")) as database,
        pytest.raises(UnavailableError),
        database.transaction() as session,
    ):
        session.add(entry())


def test_sqlite_write_lock_is_given_up_with_an_error_not_a_hang(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with contextlib.closing(Database(url)) as first, contextlib.closing(Database(url)) as second:
        first.migrate()
        with first.transaction() as holder:
            holder.add(entry())
            holder.flush()
            with second.engine.connect() as connection:
                connection.execute(text("PRAGMA busy_timeout=1"))
                connection.rollback()
                with pytest.raises(OperationalError, match="locked"):
                    connection.execute(text("DELETE FROM audit_log"))


@pytest.mark.parametrize("url", ["mysql://u@h/d", "postgresql://u@h/d", "nonsense"])
def test_unsupported_address_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Database(url)


@pytest.mark.parametrize("url", ["geheim", "postgresql+psycopg://hotline:ge@heim:geheim/hotline"])
def test_an_address_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="database_url") as caught:
        Database(url)
    assert "geheim" not in caught.value.message + caught.value.hint
    assert caught.value.__suppress_context__
