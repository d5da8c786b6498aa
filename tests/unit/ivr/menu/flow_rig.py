"""The shipped flows, to be walked without audio in virtual time."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from ivr.announcements.prompts import PromptLibrary
from ivr.menu.events import NumberAssigned
from ivr.menu.loader import load_flow
from ivr.menu.simulator import Simulation

FLOWS = Path(__file__).resolve().parents[4] / "ivr/flows"
PROMPTS = PromptLibrary.load(FLOWS.parent / "prompts/zh")
NAMES = ("intake", "menu", "after_hours", "queue", "survey", "emergency")
LOADED = {name: load_flow(FLOWS / f"{name}.yaml", prompts=frozenset(PROMPTS.names)) for name in NAMES}
NUMBER = NumberAssigned("YQ20260105000018", "123456")
SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICE = datetime(2026, 1, 5, 9, 30, tzinfo=SHANGHAI)  # a Monday
NIGHT = datetime(2026, 1, 5, 22, 0, tzinfo=SHANGHAI)
HOLIDAY = datetime(2026, 10, 1, 9, 30, tzinfo=SHANGHAI)
WORKED_SUNDAY = datetime(2026, 9, 20, 9, 30, tzinfo=SHANGHAI)


def call(name: str = "menu", at: datetime | None = OFFICE, **answered: object) -> Simulation:
    simulation = Simulation(LOADED[name], at=at)
    simulation.answer(**answered)  # type: ignore[arg-type]
    return simulation


def chosen(key: str, at: datetime = OFFICE, **answered: object) -> Simulation:
    """In the main menu, after this key."""
    simulation = call(at=at, **answered)
    simulation.listen()
    simulation.press(key)
    return simulation
