"""Who controls calls by commands over a real Valkey and sees what the bus tells."""

import time
from collections.abc import Callable
from typing import Any

from hotline.bus import Event, ValkeyBus
from hotline.clock import SystemClock
from hotline.commands import Command, Outcome, send_and_wait
from hotline.valkey_commands import ValkeyCommands


def command(name: str, call_id: str = "", **arguments: object) -> Command:
    return Command(name=name, at=SystemClock().now(), call_id=call_id, arguments=arguments, actor="test")


class Desk:
    """Sends commands and sees what the bus tells."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.commands = ValkeyCommands(url, max_age_s=30)
        self.bus = ValkeyBus(url)
        self._subscription = self.bus.subscribe("call", "control")
        self._subscription.get(0.001)

    def close(self) -> None:
        self._subscription.close()
        self.bus.close()
        self.commands.close()

    def ask(self, name: str, call_id: str = "", **arguments: object) -> Outcome:
        """Sends a command, to the node where it is about a call, and returns its outcome."""
        return self.send(command(name, call_id, **arguments))

    def send(self, command: Command) -> Outcome:
        """Sends it and returns its outcome."""
        node = "n1" if command.call_id else None
        return send_and_wait(self.commands, self.bus, command, node=node, timeout_s=10)

    def events(self) -> list[Event]:
        """All events so far that were not returned before."""
        found = []
        while (event := self._subscription.get(0.2)) is not None:
            found.append(event)
        return found

    def call_id(self) -> str:
        """The id of the only call in progress, as soon as there is one."""
        (call_id,) = wait_for(lambda: list(self.bus.states("call")))
        return call_id


def wait_for(look: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `look` finds, as soon as it is something."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found
