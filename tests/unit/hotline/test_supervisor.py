"""The supervisor with processes that stand in for the product's."""

import sys
import threading
import time
from pathlib import Path

import pytest

from hotline.errors import ConfigurationError, UnavailableError
from hotline.settings import Settings
from hotline.supervisor import Child, Supervisor, valkey_command

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    *(sys.executable, "-c"),
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
BROKEN = [sys.executable, "-c", "raise SystemExit(3)"]


def supervise(settings: Settings, **commands: list[str]) -> Supervisor:
    """A supervisor whose processes are `commands`."""
    supervisor = Supervisor(settings, log_file=settings.data_dir / "log")
    supervisor.children = [Child(name, name, command, settings) for name, command in commands.items()]
    for child in supervisor.children:
        supervisor._launch(child)
    return supervisor


def watch_until(supervisor: Supervisor, condition: "threading.Event") -> None:
    """Watches in this thread until `condition` is set elsewhere."""

    def wait() -> None:
        condition.wait(20)
        supervisor.request_stop()

    waiter = threading.Thread(target=wait)
    waiter.start()
    supervisor.watch()
    waiter.join()


def test_a_process_that_dies_is_started_again(settings: Settings) -> None:
    supervisor = supervise(settings, worker=SLEEPER)
    (child,) = supervisor.children
    assert child.process is not None
    first = child.process
    seen = threading.Event()

    def kill_and_wait() -> None:
        first.kill()
        pause = threading.Event()
        while child.restarts == 0 and not pause.wait(0.05):
            pass
        seen.set()

    killer = threading.Thread(target=kill_and_wait)
    killer.start()
    watch_until(supervisor, seen)
    killer.join()
    supervisor.stop()
    assert child.restarts == 1
    assert child.process is not first


def test_a_process_that_always_dies_is_started_ever_more_rarely(settings: Settings) -> None:
    supervisor = supervise(settings, worker=BROKEN)
    (child,) = supervisor.children
    now = time.monotonic()
    starts = []
    for _ in range(4):
        assert child.process is not None
        child.process.wait()
        supervisor._check(child, now)
        assert child.restart_at is not None
        starts.append(child.restart_at - now)
        supervisor._check(child, child.restart_at - 0.01)
        assert child.restart_at is not None
        supervisor._check(child, child.restart_at)
    supervisor.stop()
    assert starts == [0.5, 1.0, 2.0, 4.0]


def test_a_process_that_ignores_the_signal_is_killed_in_time(settings: Settings) -> None:
    supervisor = supervise(settings, media=DEAF, worker=SLEEPER)
    log = settings.data_dir / "log"
    pause = threading.Event()
    while "deaf" not in log.read_text() and not pause.wait(0.05):
        pass
    started = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - started < 5
    assert all(child.process is not None and child.process.poll() is not None for child in supervisor.children)


def test_a_process_that_died_is_not_ready_whoever_answers_in_its_place(settings: Settings) -> None:
    supervisor = supervise(settings, media=BROKEN)
    (child,) = supervisor.children
    assert child.process is not None
    child.process.wait()
    with pytest.raises(UnavailableError, match="media ended at start with code 3"):
        supervisor._await(child, lambda: None)
    supervisor.stop()


def test_stopping_twice_is_harmless(settings: Settings) -> None:
    supervisor = supervise(settings, worker=SLEEPER)
    supervisor.stop()
    supervisor.stop()


def test_a_data_folder_too_deep_for_a_unix_socket_is_refused(settings: Settings) -> None:
    deep = settings.model_copy(update={"data_dir": Path("/tmp") / ("x" * 120)})
    with pytest.raises(ConfigurationError, match="data_dir"):
        valkey_command(deep)


def test_a_recognizer_elsewhere_is_not_started_here(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"asr": settings.asr.model_copy(update={"url": "ws://10.0.0.9:2700"})})
    assert "recognizer" in [child.name for child in Supervisor(settings).children]
    assert "recognizer" not in [child.name for child in Supervisor(elsewhere).children]


def test_several_media_processes_are_started_each_with_its_own_node_and_ports(settings: Settings) -> None:
    several = settings.model_copy(update={"media": settings.media.model_copy(update={"processes": 3})})
    media = [child for child in Supervisor(several).children if child.kind == "media"]
    assert [child.name for child in media] == ["media", "media-2", "media-3"]
    assert [child.settings.node for child in media] == [settings.node, f"{settings.node}-2", f"{settings.node}-3"]
    assert [child.settings.sip.port for child in media] == [5060, 5061, 5062]
    assert len({tuple(child.command) for child in media}) == 1


def test_several_processes_of_a_kind_are_all_stopped(settings: Settings) -> None:
    supervisor = supervise(settings)
    supervisor.children = [Child(name, "media", SLEEPER, settings) for name in ("media", "media-2")]
    for child in supervisor.children:
        supervisor._launch(child)
    supervisor.stop()
    assert all(child.process is not None and child.process.poll() is not None for child in supervisor.children)
