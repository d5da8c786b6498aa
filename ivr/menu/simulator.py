"""Walks a flow without audio, in virtual time: for tests of a site's own flows, and of those that ship.

Prompts take `prompt_s` each and end by themselves while time passes; music never ends.
"""

from datetime import datetime

from ivr.menu.events import (
    Answered,
    Digit,
    Hangup,
    Heard,
    MenuCommand,
    MenuEvent,
    Play,
    PlaybackEnded,
    SpeechEnded,
    SpeechStarted,
    StopPlaying,
    TimePassed,
)
from ivr.menu.flow import Flow
from ivr.menu.machine import MenuMachine
from ivr.menu.state import MenuState


class Simulation:
    """One call. `commands` holds all that the flow wanted so far, `heard` the items that were played."""

    def __init__(self, flow: Flow, *, at: datetime | None = None, prompt_s: float = 2.0) -> None:
        self._machine = MenuMachine(flow)
        self._at = at
        self._prompt_s = prompt_s
        self._playing_until: float | None = None
        self.state = MenuState()
        self.now = 0.0
        self.commands: list[MenuCommand] = []

    def answer(self, *, called: str = "", session_open: bool = False, **variables: str) -> None:
        """The call begins."""
        self.feed(Answered(at=self._at, called=called, session_open=session_open, variables=variables))

    def feed(self, event: MenuEvent) -> list[MenuCommand]:
        """An event now; returns what the flow wants done."""
        self.state, commands = self._machine.step(self.state, event, self.now)
        for command in commands:
            if isinstance(command, StopPlaying):
                self._playing_until = None
            if isinstance(command, Play):
                took = len(command.items) * self._prompt_s
                self._playing_until = None if command.loop else self.now + took
        self.commands += commands
        return commands

    def press(self, digits: str) -> None:
        """Keys one after the other, half a second apart."""
        for digit in digits:
            self.feed(Digit(digit, self.offset_ms))
            self.wait(0.5)

    def speak(self, seconds: float) -> None:
        """The caller speaks."""
        self.feed(SpeechStarted(self.offset_ms))
        self.wait(seconds)
        self.feed(SpeechEnded(self.offset_ms))

    def say(self, text: str, *, seconds: float = 1.0, caption_s: float = 0.5) -> None:
        """The caller says something; its caption comes `caption_s` after the last word."""
        self.speak(seconds)
        end_ms = self.offset_ms
        self.wait(caption_s)
        self.feed(Heard(text, end_ms))

    def wait(self, seconds: float) -> None:
        """Lets time pass: prompts end, deadlines fall due."""
        until = self.now + seconds
        while (due := self._next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            if due == self._playing_until:
                self._playing_until = None
                self.feed(PlaybackEnded())
            else:
                self.feed(TimePassed(self.offset_ms))
        self.now = until

    def listen(self) -> None:
        """Lets the prompts that play now end."""
        if self._playing_until is not None:
            self.wait(self._playing_until - self.now)

    @property
    def offset_ms(self) -> int:
        return round(self.now * 1000)

    @property
    def over(self) -> bool:
        return Hangup() in self.commands

    @property
    def heard(self) -> list[str]:
        return [item for command in self.commands if isinstance(command, Play) for item in command.items]

    def _next_due(self) -> float | None:
        if self.state.over:
            return None
        return min((due for due in (self._playing_until, self.state.deadline) if due is not None), default=None)
