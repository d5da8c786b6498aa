"""Where a call is in its flow, and what it keeps from state to state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ivr.menu.events import MenuCommand, NumberAssigned, Play
from ivr.menu.flow import BUILT_IN


@dataclass(frozen=True)
class Context:
    """What a call keeps from state to state. `at`: the time of day at the monotonic time `since`.

    `speaking_since_ms`: where the caller began to speak, while he speaks. `aloud`: the last survey state that was
    answered in words, and until when (monotonic) a key still belongs to it.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    number: NumberAssigned | None = None
    session_open: bool = False
    alarmed: bool = False
    at: datetime | None = None
    since: float = 0.0
    speaking_since_ms: int | None = None
    aloud: tuple[str, float] | None = None

    def time_of_day(self, now: float) -> datetime | None:
        return None if self.at is None else self.at + timedelta(seconds=now - self.since)

    def value(self, name: str) -> str:
        """A variable's value; empty where it has none yet."""
        if name == "number":
            return "" if self.number is None else self.number.number
        if name == "lookup_code":
            return "" if self.number is None else self.number.lookup_code
        return self.variables.get(name, "")

    def resolve(self, text: str) -> str:
        """`{variable}` as its value, any other text as it is."""
        return self.value(text[1:-1]) if text.startswith("{") else text


@dataclass(frozen=True)
class MenuState:
    """Where a call is. `heard` tells whether the caller spoke in the present record state."""

    name: str = ""
    context: Context = field(default_factory=Context)
    playing: bool = False
    music: bool = False  # what plays is the waiting music
    announcing: bool = False  # what plays is the emergency announcement
    deadline: float | None = None
    demand_start_ms: int | None = None
    limit: float | None = None
    heard: bool = False
    spoke_ms: int | None = None  # where the caller first began to answer a survey's question aloud
    attempts: int = 0
    digits: str = ""
    undo: MenuCommand | None = None  # what leaving has to take back: a place in a queue, a dialled call
    connected: bool = False  # the caller talks with a person
    over: bool = False


def played(items: tuple[str, ...], context: Context, *, loop: bool = False) -> Play:
    """The command that plays these items, variables filled in."""
    return Play(spoken(items, context), loop=loop, language=context.value("language"))


def spoken(items: tuple[str, ...], context: Context) -> tuple[str, ...]:
    """Items with variables as `say:`, `count:` or `ordinal:` texts; what is empty or can't be spelled is left out."""
    out: list[str] = []
    for item in items:
        if not item.startswith("{"):
            out.append(item)
            continue
        text = "".join(c for c in context.resolve(item) if c.isascii() and c.isalnum())
        if text:
            out.append(f"{BUILT_IN.get(item[1:-1], 'say')}:{text}")
    return tuple(out)
