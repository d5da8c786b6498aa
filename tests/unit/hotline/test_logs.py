"""Logging: what a person at the terminal is told."""

import logging
from collections.abc import Iterator

import pytest

from hotline.logs import configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, alembic = logging.getLogger(), logging.getLogger("alembic")
    before = (root.handlers[:], root.level, alembic.level)
    yield
    root.handlers, level, alembic_level = before
    root.setLevel(level)
    alembic.setLevel(alembic_level)


@pytest.mark.parametrize(("level", "told"), [("info", ["warning", "error"]), ("error", ["error"])])
def test_of_the_migrations_only_what_goes_wrong_is_told(
    level: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(level, "serve")
    log = logging.getLogger("alembic.runtime.migration")
    for name in ("info", "warning", "error"):
        log.log(getattr(logging, name.upper()), "of level %s", name)
    assert [line.rsplit(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == told
