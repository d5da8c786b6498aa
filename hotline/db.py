"""The database: one synchronous SQLAlchemy engine, SQLite (WAL) or PostgreSQL.

Services never commit: the edge (a job, an endpoint, a command) opens `Database.transaction()` and commits once;
what only reads opens `Database.reading()` and never waits for a writer. Queries live in the repositories of the
packages.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, DateTime, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import Dialect, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.types import TypeDecorator

from hotline.errors import ConfigurationError, ConflictError, UnavailableError
from hotline.locks import make_folder
from hotline.settings import mask_url

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
BUSY_TIMEOUT_MS = 10_000
MIGRATION_LOCK = 12345  # any number, the same in every process of the site


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes only, stored as UTC; a naive one is a bug and refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all rows; constraints are named so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Database:
    """One engine and its sessions. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _create_engine(url)
        self._sessions = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
        self._readers = sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises.

        `UnavailableError` where the database is away or its lock is not to be had, `ConflictError` where another
        transaction has taken a unique key or changed a versioned row meanwhile.
        On SQLite it holds the write lock from its first statement on: a read that later turned into a write would
        fail at once, without waiting, whenever another process had written in between.
        """
        with self._errors(), self._sessions() as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session rolled back at the end: on SQLite it neither waits for a writer nor holds one up."""
        with self._errors(), self._readers() as session:
            yield session

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, PoolTimeoutError) as error:
            raise UnavailableError(f"database {mask_url(self.url)}: {error}") from error
        except (IntegrityError, StaleDataError) as error:
            raise ConflictError(f"the rows changed meanwhile: {error}") from error
        except DatabaseError as error:
            if type(error) is not DatabaseError:  # of the wider class: a statement of ours is wrong
                raise
            raise UnavailableError(
                f"database {mask_url(self.url)}: {error}", hint="the file is damaged or no database: restore a backup"
            ) from error

    def ping(self) -> None:
        """Raises `UnavailableError` where the database does not answer."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise UnavailableError(f"database {mask_url(self.url)}: {error}") from error

    def migrate(self) -> None:
        """Brings the schema to the newest revision; safe when several processes call it at once."""
        with self._errors(), self.engine.execution_options(writes=True).begin() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def pending_revision(self) -> str | None:
        """The newest revision where the schema is older than it; None where it is up to date."""
        head = ScriptDirectory.from_config(alembic_config()).get_current_head()
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        return head if current != head else None

    def close(self) -> None:
        """Closes all pooled connections."""
        self.engine.dispose()


def alembic_config() -> Config:
    """Alembic's configuration; `attributes["connection"]` must be set before a command uses it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _create_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their text may hold a part of the password
        raise ConfigurationError(
            "database_url is no database address", hint="use sqlite:/// or postgresql+psycopg://"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            make_folder(Path(parsed.database).parent)
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername != "postgresql+psycopg":
        raise ConfigurationError(
            f"database_url: {parsed.drivername} is not supported", hint="use sqlite:/// or postgresql+psycopg://"
        )
    try:
        engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=20)
    except ModuleNotFoundError as error:
        raise ConfigurationError("PostgreSQL needs psycopg", hint="pip install 'hotline[postgres]'") from error
    event.listen(engine, "handle_error", _hide_detail)
    return engine


def _hide_detail(context: ExceptionContext) -> None:
    """Takes the rows' values, which are callers' numbers too, out of PostgreSQL's error texts."""
    detail = getattr(getattr(context.original_exception, "diag", None), "message_detail", None)
    if detail:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None:
                error.args = tuple(str(part).replace(detail, "***") for part in error.args)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, below
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:  # on a new file this one statement ignores the busy timeout
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
