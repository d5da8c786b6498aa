"""A recognizer tells the bus how it is."""

import time
from collections.abc import Callable
from typing import Any

from asr.capacity import STATE
from asr.protocol import Health
from asr.recognizer import ModelInfo
from hotline.bus import MemoryBus
from hotline.errors import UnavailableError
from hotline.wiring.recognizer import Announcer

URL = "ws://127.0.0.1:2700"
HEALTH = Health(ModelInfo("zh", "vosk", demo=False), connections=2, rtf=0.1, capacity=15)


class Flaky(MemoryBus):
    """Away for the first announcement."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    def put_state(self, kind: str, key: str, data: dict[str, Any], *, ttl_s: int) -> None:
        if not self.refused:
            self.refused = 1
            raise UnavailableError("broker")
        super().put_state(kind, key, data, ttl_s=ttl_s)


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_recognizer_announces_itself_also_after_a_broker_that_was_away_and_takes_its_leave() -> None:
    bus = Flaky()
    announcer = Announcer(bus, URL, lambda: HEALTH)
    announcer.start()
    eventually(lambda: bus.states(STATE) != {})
    assert bus.refused
    assert Health.of(bus.states(STATE)[URL]) == HEALTH
    announcer.close()
    assert bus.states(STATE) == {}


def test_one_that_never_listened_announces_nothing() -> None:
    bus = MemoryBus()
    Announcer(bus, URL, lambda: HEALTH).close()
    assert bus.states(STATE) == {}
