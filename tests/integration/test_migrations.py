"""The migrations make exactly the tables that the models describe."""

import contextlib
import threading
from collections.abc import Callable

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

import asr.models  # noqa: F401 - these fill Base.metadata
import console.api.models
import console.models  # noqa: F401
import recordings.loose_files
import recordings.models
import recordings.retention_models  # noqa: F401
import tickets.attachments.models
import tickets.catalogue_models
import tickets.duplicate_models
import tickets.figure_models
import tickets.knowledge_models
import tickets.models
import tickets.notices.models
import tickets.survey_models
import tickets.topic_models  # noqa: F401
from asr.search import FTS
from hotline.db import Base, Database, alembic_config
from tickets.text_search import FTS as TICKETS_FTS


def is_no_part_of_fts5(name: str | None, kind: str, _parents: object) -> bool:
    """SQLite keeps a full-text index in tables of its own making, which no model describes."""
    return not (kind == "table" and name is not None and name.startswith((FTS, TICKETS_FTS)))


def is_of_this_database(dialect: str) -> Callable[..., bool]:
    """GIN indexes are PostgreSQL's alone; the comparison does not know `Index.ddl_if`."""
    return lambda item, _name, kind, *_rest: (
        kind != "index" or dialect == "postgresql" or item.dialect_options["postgresql"]["using"] != "gin"
    )


def test_migrated_database_equals_the_models(empty_database_url: str) -> None:
    with contextlib.closing(Database(empty_database_url)) as database:
        database.migrate()
        with database.engine.connect() as connection:
            options = {
                "compare_type": True,
                "include_name": is_no_part_of_fts5,
                "include_object": is_of_this_database(connection.dialect.name),
            }
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, Base.metadata) == []


def test_every_constraint_of_the_models_is_there_under_its_name(empty_database_url: str) -> None:
    with contextlib.closing(Database(empty_database_url)) as database:
        database.migrate()
        inspector = inspect(database.engine)
        for table in Base.metadata.tables.values():
            wanted = {constraint.name for constraint in table.constraints}
            found = {
                inspector.get_pk_constraint(table.name)["name"],
                *(item["name"] for item in inspector.get_foreign_keys(table.name)),
                *(item["name"] for item in inspector.get_unique_constraints(table.name)),
            }
            assert found == wanted, table.name


def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    with contextlib.closing(Database(empty_database_url)) as database:
        assert database.pending_revision() is not None
        database.migrate()
        assert database.pending_revision() is None
        database.migrate()
        assert database.pending_revision() is None


def test_processes_that_migrate_at_once_all_succeed(empty_database_url: str) -> None:
    failures: list[Exception] = []
    start = threading.Barrier(4)

    def migrate() -> None:
        with contextlib.closing(Database(empty_database_url)) as database:
            start.wait()
            try:
                database.migrate()
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with contextlib.closing(Database(empty_database_url)) as database:
        assert database.pending_revision() is None


def test_downgrade_leaves_an_empty_database_that_upgrades_again(empty_database_url: str) -> None:
    with contextlib.closing(Database(empty_database_url)) as database:
        database.migrate()
        with database.engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
        assert set(inspect(database.engine).get_table_names()) == {"alembic_version"}
        database.migrate()
        assert database.pending_revision() is None
