"""Two workers and the console die at random while the journals of many calls are taken in: each call one ticket.

`HOTLINE_INGEST_CALLS` says how many calls there are (2,000 take some minutes).
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from ingest_rig import Site, leave_call, make_site
from recognizer_rig import free_port
from sqlalchemy import func, select

from hotline.db import Database
from hotline.settings import Settings
from recordings.models import Call
from tickets.models import Ticket, TicketEvent, TicketNumber
from tickets.projection import differences
from tickets.replay import row_of

ROOT = Path(__file__).resolve().parents[2]
CALLS = int(os.environ.get("HOTLINE_INGEST_CALLS", "40"))
PROCESSES = ("worker", "worker", "console")
SAID = (
    "您好 我 姓 张 家里 的 煤改电 设备 坏 了 一直 报警",
    "妫水北街 的 路灯 坏 了 三天 都 没有 人 修",
    "小区 电梯 坏 了 老人 下 不了 楼",
)
ONCE = ("created", "fields_extracted", "accepted")

pytestmark = pytest.mark.slow


class Processes:
    """Two workers and a console, each killed and started again as often as one likes."""

    def __init__(self, site: Site, *, database_url: str, valkey: str) -> None:
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("HOTLINE_")} | {
            "HOTLINE_DATA_DIR": str(site.settings.data_dir),
            "HOTLINE_DATABASE_URL": database_url,
            "HOTLINE_VALKEY_URL": valkey,
            "HOTLINE_ASR__URL": site.settings.asr.url or "",
            "HOTLINE_CONSOLE__PORT": str(free_port()),
            "HOTLINE_TICKETS__SWEEP_AFTER_S": "2",
            "PYTHONPATH": str(ROOT),
        }
        self.log = Path(site.settings.data_dir) / "processes.log"
        self.running = [self._start(name) for name in PROCESSES]

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "hotline.cli", "run", name]
            return subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)

    def kill(self, index: int) -> None:
        """Without a warning; another takes its place."""
        self.running[index].send_signal(signal.SIGKILL)
        self.running[index].wait()
        self.running[index] = self._start(PROCESSES[index])

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(20)


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    return make_site(database, settings, tmp_path)


def test_every_call_becomes_one_ticket_whoever_dies_meanwhile(
    site: Site, database: Database, database_url: str, valkey: str
) -> None:
    for index in range(CALLS):
        leave_call(site, said=(SAID[index % 3],), call_id=f"{index:032x}", caller=f"1391000{index:04}")
    chance = random.Random(20260105)
    processes = Processes(site, database_url=database_url, valkey=valkey)
    killed = Counter[str]()
    deadline = time.monotonic() + 300 + CALLS
    left = len(site.spooled())
    try:
        while left:
            wanted = chance.randint(1, max(1, CALLS // 20))  # so much is done between two deaths, however busy we are
            while (now_left := len(site.spooled())) > max(0, left - wanted):
                assert time.monotonic() < deadline, f"{now_left} files left\n{processes.log.read_text()[-3000:]}"
                time.sleep(0.05)
            left = now_left
            time.sleep(chance.uniform(0, 0.3))
            index = chance.randrange(len(PROCESSES))
            processes.kill(index)
            killed[PROCESSES[index]] += 1
    finally:
        processes.stop()
    assert killed["worker"] > 0
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Call)) == CALLS
        numbers = session.scalars(select(TicketNumber)).all()
        assert {number.call_id for number in numbers} == {f"{index:032x}" for index in range(CALLS)}
        by_day = Counter(number.day for number in numbers)
        serials = {day: {number.serial for number in numbers if number.day == day} for day in by_day}
        assert serials == {day: set(range(1, count + 1)) for day, count in by_day.items()}
        tickets = session.scalars(select(Ticket)).all()
        assert len({ticket.call_id for ticket in tickets}) == len(tickets) == CALLS
        for ticket in tickets:
            assert differences(row_of(session, ticket), ticket.events) == {}
        told = session.execute(
            select(TicketEvent.kind, func.count()).where(TicketEvent.kind.in_(ONCE)).group_by(TicketEvent.kind)
        )
        assert dict(told.all()) == dict.fromkeys(ONCE, CALLS)
