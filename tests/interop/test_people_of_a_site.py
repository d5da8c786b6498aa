"""People at several media processes: callers reach phones of another, and what becomes of them where one is killed."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from control_rig import wait_for
from people_rig import CITIZEN, TRUNK, Person, expect, media_process, secret

from demo.media_process import MediaProcess
from hotline.election import PREFIX
from ivr.acd.shared import ELECTION

SERVED_S = 5.0  # until another leads and distributes, 4; the rest is listening

Pair = tuple[MediaProcess, MediaProcess]


@pytest.fixture
def pair(valkey: str, tmp_path: Path) -> Iterator[Pair]:
    """Two media processes that share phones and queues; the first of them leads."""
    shared = {"HOTLINE_VALKEY_URL": valkey, "HOTLINE_EXTENSIONS__SHARED": "true"}
    nodes = {name: media_process(tmp_path / name, HOTLINE_NODE=name, **shared) for name in ("n1", "n2")}
    with (
        ThreadPoolExecutor() as pool,
        contextlib.ExitStack() as stack,
        contextlib.closing(redis.Redis.from_url(valkey)) as client,
    ):
        stack.callback(lambda: list(pool.map(MediaProcess.stop, nodes.values())))
        list(pool.map(MediaProcess.__enter__, nodes.values()))
        holder = wait_for(lambda: client.hget(PREFIX + ELECTION, "holder"))
        leader = nodes[holder.decode().partition(".")[0]]
        (follower,) = [media for media in nodes.values() if media is not leader]
        wait_for(lambda: "queues: following" in follower.log())
        yield leader, follower
        assert "Traceback" not in leader.log() + follower.log()


def test_a_caller_at_one_process_talks_to_a_phone_of_another_and_outlives_it(pair: Pair) -> None:
    leader, other = pair
    with Person(leader, "8001", secret("8001")) as seat, Person(other, CITIZEN, host=TRUNK) as citizen:
        seat.sign_in()
        citizen.call("12345")
        expect({citizen: {"8001"}, seat: {CITIZEN}})
        os.kill(leader.pid, signal.SIGKILL)
        expect({citizen: {"8001"}, seat: {CITIZEN}})
        wait_for(lambda: "queues: leading" in other.log())
        expect({citizen: {"8001"}, seat: {CITIZEN}})
        seat.hang_up()
        assert citizen.ended.wait(10)
        (call,) = other.wait_for_calls(1)
        assert call.first("left")["party"] == "8001"


def test_a_caller_who_waits_is_served_after_the_leading_process_is_killed(pair: Pair) -> None:
    leader, other = pair
    with Person(leader, "8001", secret("8001")) as seat, Person(other, CITIZEN, host=TRUNK) as citizen:
        seat.sign_in()
        seat.patient = True
        citizen.call("12345")
        assert seat.ringing.wait(5)
        os.kill(leader.pid, signal.SIGKILL)
        killed = time.monotonic()
        seat.patient = False
        expect({citizen: {"8001"}, seat: {CITIZEN}}, seconds=10.0)
        assert time.monotonic() - killed < SERVED_S
