"""What the documents say is true: links lead somewhere, settings and commands exist, and every command of a fenced `sh`
block runs (blocks that need root or Docker are fenced as `console` and are not run).

Each document is worked through from top to bottom in a scratch folder that looks like the repository; a command that
stays in the foreground is started, awaited, and stopped at the end as Ctrl-C does.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
import typer

from hotline.cli import app
from hotline.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SECTIONS = [name for name, field in Settings.model_fields.items() if hasattr(field.annotation, "model_fields")]
ENVIRONMENT = Path(sys.executable).parents[1]
STAYS = "make serve"
READY_S = 60


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _commands(path: Path) -> list[str]:
    return [line for block in _blocks(path, "sh") for line in block.splitlines() if line.strip()]


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = unquote(target).partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), f"{target} leads nowhere"
        assert linked.is_relative_to(ROOT), f"{target} leaves the repository"
        if anchor:
            assert anchor in _anchors(linked), f"{target}: no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_settings_named_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    for section, key in re.findall(rf"`({'|'.join(SECTIONS)})\.([a-z_]+)\b[^`]*`", text):
        if key not in ("py", "toml"):
            assert key in Settings.model_fields[section].annotation.model_fields, f"{section}.{key}"  # type: ignore[union-attr]
    for key in re.findall(r"`HOTLINE_([A-Z_]+)[=`]", text):
        first, _, rest = key.lower().partition("__")
        fields = Settings.model_fields[first].annotation.model_fields if rest else Settings.model_fields  # type: ignore[union-attr]
        assert (rest or first) in fields or key in ("CONFIG", "SECRETS_DIR", "COMMAND_SEQUENCES"), key


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_commands_named_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"[`^]make ([a-z]+)", text)) <= targets
    for line in re.findall(r"(?:^|[`/ ])hotline ([a-z][^`\n]*)", "\n".join(re.findall(r"`([^`\n]+)`", text))):
        command: click.Command = typer.main.get_command(app)
        words = line.split()
        while isinstance(command, click.Group) and words:
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, f"hotline {line}"
            command = found


def test_both_readmes_give_the_same_commands() -> None:
    assert _commands(ROOT / "README.md") == _commands(ROOT / "README.zh-CN.md")


def _free_port(kind: socket.SocketKind) -> str:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


class Scratch:
    """A folder that looks like the repository, with an environment that is installed, and free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        for path in ROOT.iterdir():
            if path.name not in (".venv", ".git", "var", "hotline.toml"):
                (folder / path.name).symlink_to(path)
        (folder / ".venv").mkdir()
        for path in ENVIRONMENT.iterdir():
            (folder / ".venv" / path.name).symlink_to(path)
        tomorrow = time.time() + 86400  # whatever is edited meanwhile, `make` installs nothing: `.venv` is the real one
        for stamp in (folder / ".venv" / name for name in (".runtime", ".dev")):
            stamp.unlink(missing_ok=True)
            stamp.touch()
            os.utime(stamp, (tomorrow, tomorrow))
        (folder / "password.txt").write_text(secrets.token_urlsafe(16), "utf-8")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOTLINE_", "MAKE"))}
        self.environment |= {
            "HOTLINE_SIP__ADDRESS": "127.0.0.1",
            "HOTLINE_SIP__PORT": _free_port(socket.SOCK_DGRAM),
            "HOTLINE_ASR__PORT": _free_port(socket.SOCK_STREAM),
            "HOTLINE_CONSOLE__PORT": _free_port(socket.SOCK_STREAM),
        }

    def run(self, command: str, timeout_s: float = 180) -> None:
        """Runs one line of a document; fails the test with its output."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout.decode(errors='replace')}"

    def start(self, command: str) -> None:
        """Starts a line that stays in the foreground and waits until all its processes answer."""
        log = self.folder / "serve.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(process)
        deadline = time.monotonic() + READY_S
        for name in ("media", "recognizer", "worker", "console"):
            while True:
                assert process.poll() is None, f"{command} ended\n{log.read_text('utf-8')}"
                with contextlib.suppress(AssertionError):
                    self.run(f".venv/bin/hotline doctor --process {name}")
                    break
                assert time.monotonic() < deadline, f"{name} does not answer\n{log.read_text('utf-8')}"
                time.sleep(0.2)

    def stop(self) -> None:
        """Ctrl-C: the terminal signals the whole foreground group."""
        for process in self.started:
            os.killpg(process.pid, signal.SIGINT)
        for process in self.started:
            process.wait(10)
        self.started.clear()

    def left_over(self) -> list[str]:
        """Processes that still run in this folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")).is_relative_to(self.folder.resolve()):
                    found.append((entry / "cmdline").read_text("utf-8").replace("\0", " "))
        return found


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    folder = Path(tempfile.mkdtemp(prefix="hotline-docs-"))  # short: a unix socket lives below it
    made = Scratch(folder)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _with_commands() -> list[Path]:
    return [path for path in DOCUMENTS if _commands(path) and path.name != "README.zh-CN.md"]


@pytest.mark.slow
@pytest.mark.parametrize("path", _with_commands(), ids=_name)
def test_commands_run(path: Path, scratch: Scratch) -> None:
    for command in _commands(path):
        if command == "make test":  # this very run; only what it would do is looked at
            scratch.run("make --dry-run test | grep -q 'python -m pytest'")
        elif command == STAYS:
            scratch.start(command)
        else:
            scratch.run(command)
    scratch.stop()
    assert scratch.left_over() == []
