"""The job queue on a real Valkey."""

import threading

import pytest

from hotline.errors import UnavailableError
from hotline.jobs import MemoryJobs, ValkeyJobs


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


def test_a_broker_that_is_away_is_an_unavailable_error() -> None:
    with pytest.raises(UnavailableError):
        ValkeyJobs("unix:///nonexistent/valkey.sock").enqueue("later")


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
