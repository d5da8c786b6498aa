"""How a trunk is, as the operator sees it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class TrunkState(StrEnum):
    """`UP`: it can be called and needs no registration. `DOWN`: no call goes out by it."""

    REGISTERED = "registered"
    REGISTERING = "registering"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Trouble:
    """What went wrong last, which may be long over."""

    text: str
    at: datetime


@dataclass(frozen=True)
class TrunkStatus:
    """`servers`: HOST:PORT, in the order in which they are tried; `silent`: those of them that are down;
    `registered_at`: the one that has us."""

    name: str
    state: TrunkState
    servers: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    registered_at: str = ""
    last_error: Trouble | None = None

    def to_data(self) -> dict[str, Any]:
        """As JSON values."""
        error = self.last_error
        return {
            "trunk": self.name,
            "state": self.state.value,
            "servers": list(self.servers),
            "silent": list(self.silent),
            "registered_at": self.registered_at,
            "last_error": "" if error is None else error.text,
            "last_error_at": "" if error is None else error.at.isoformat(),
        }
