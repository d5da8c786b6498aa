"""The job queue on a real Valkey."""

import contextlib
import subprocess
import sys
import threading
import time

import pytest
import redis

import hotline.jobs
from hotline.errors import UnavailableError
from hotline.jobs import LEASE_PREFIX, LEASE_S, Jobs, MemoryJobs, ValkeyJobs


def test_a_job_runs_with_its_arguments(valkey: str) -> None:
    jobs = ValkeyJobs(valkey)
    ran: list[str] = []
    done = threading.Event()

    def ingest(*, call_id: str) -> None:
        ran.append(call_id)
        done.set()

    jobs.enqueue("ingest", call_id="a")
    worker = jobs.run({"ingest": ingest}, threads=1)
    try:
        assert done.wait(10)
    finally:
        worker.stop()
    assert ran == ["a"]


def test_a_job_that_fails_runs_again(valkey: str) -> None:
    jobs = ValkeyJobs(valkey)
    attempts: list[int] = []
    done = threading.Event()

    def shaky() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise UnavailableError("not yet")
        done.set()

    worker = jobs.run({"shaky": shaky}, threads=1)
    jobs.enqueue("shaky")
    try:
        assert done.wait(20)
    finally:
        worker.stop()
    assert len(attempts) == 2


def test_a_job_handed_in_before_a_worker_starts_is_kept(valkey: str) -> None:
    ValkeyJobs(valkey).enqueue("later")
    done = threading.Event()
    jobs = ValkeyJobs(valkey)
    worker = jobs.run({"later": done.set}, threads=1)
    try:
        assert done.wait(10)
    finally:
        worker.stop()


def test_a_number_does_not_wait_for_long_jobs(valkey: str) -> None:
    jobs = ValkeyJobs(valkey)
    started, finish, assigned = threading.Semaphore(0), threading.Event(), threading.Event()

    def long() -> None:
        started.release()
        finish.wait(20)

    worker = jobs.run({"long": long, "assign_number": lambda call_id: assigned.set()}, threads=2)
    try:
        for _ in range(6):
            jobs.enqueue("long")
        for _ in range(2):
            assert started.acquire(timeout=10)
        jobs.enqueue("assign_number", call_id="a")
        assert assigned.wait(1)
    finally:
        finish.set()
        worker.stop()


@pytest.fixture(params=["valkey", "memory"])
def two_processes(request: pytest.FixtureRequest) -> tuple[Jobs, Jobs]:
    if request.param == "memory":
        jobs = MemoryJobs()
        return jobs, jobs
    url = request.getfixturevalue("valkey")
    return ValkeyJobs(url), ValkeyJobs(url)


def test_a_lease_keeps_others_off_until_it_ends(two_processes: tuple[Jobs, Jobs]) -> None:
    one, other = two_processes
    with one.lease("call"):
        assert other.leased("call")
        assert not other.leased("another")
        with pytest.raises(UnavailableError, match="another job"), other.lease("call"):
            pass
    assert not other.leased("call")
    with contextlib.suppress(RuntimeError), other.lease("call"):
        raise RuntimeError
    assert not one.leased("call")


def test_a_lease_is_renewed_while_its_holder_lives(valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hotline.jobs, "LEASE_S", 0.4)
    jobs = ValkeyJobs(valkey)
    with jobs.lease("call"):
        time.sleep(1.0)
        assert jobs.leased("call")


def test_a_killed_holders_lease_ends_by_itself(valkey: str) -> None:
    script = f"import os; from hotline.jobs import *\nwith ValkeyJobs({valkey!r}).lease('call'): os._exit(0)"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert ValkeyJobs(valkey).leased("call")
    with contextlib.closing(redis.Redis.from_url(valkey)) as client:
        assert 0 < client.ttl(LEASE_PREFIX + "call") <= LEASE_S < 60


def test_a_broker_that_is_away_is_an_unavailable_error() -> None:
    with pytest.raises(UnavailableError):
        ValkeyJobs("unix:///nonexistent/valkey.sock").enqueue("later")
    with pytest.raises(UnavailableError):
        ValkeyJobs("unix:///nonexistent/valkey.sock").leased("call")


def test_the_in_memory_queue_runs_jobs_that_jobs_hand_in() -> None:
    jobs = MemoryJobs()
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        jobs.enqueue("second", word="x")

    jobs.enqueue("first")
    jobs.run_all({"first": first, "second": lambda word: ran.append(word)})
    assert ran == ["first", "x"]
    assert jobs.waiting == []
