"""Who hears whom in a call: a gain matrix made from what each party is and does. Pure; `bridge.py` applies it to audio.

| hearer \\ source | caller | seat | supervisor listening | whispering | barging in |
|---|---|---|---|---|---|
| caller | | x | | | x |
| seat | x | x | | x | x |
| supervisor | x | x | | x | x |
| recording | | x | | x | x |

Nobody hears himself. A party on hold hears nobody and nobody hears it; a muted one hears and is not heard. The
recording's row is its right channel, "all others unmuted": a whisper is no part of what the caller hears, but part of
the record. A supervisor without a mode listens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

Mix = Mapping[tuple[str, str], float]
"""(hearer, source) -> gain 0-1; pairs that are not there are silent."""

CALLER: Final = "caller"
"""The name of the caller's leg."""
RECORDING: Final = "recording"
"""A hearer that is no leg: the recording's right channel. Its left one is the caller alone, whatever the mix."""


class Role(Enum):
    """What a party is in the call."""

    CALLER = auto()
    SEAT = auto()
    SUPERVISOR = auto()


class Supervision(Enum):
    """How far a supervisor takes part."""

    LISTEN = auto()
    WHISPER = auto()
    BARGE = auto()


@dataclass(frozen=True)
class Party:
    """One leg as the mix sees it. Only a supervisor has `supervision`; raises ValueError else."""

    role: Role
    muted: bool = False
    held: bool = False
    supervision: Supervision | None = None

    def __post_init__(self) -> None:
        if self.supervision is not None and self.role is not Role.SUPERVISOR:
            raise ValueError(f"a {self.role.name.lower()} does not supervise")


Voice = Role | Supervision
"""A source as the table knows it: its role, and of a supervisor how far it takes part."""

_AUDIBLE: Mapping[Role | None, frozenset[Voice]] = {
    Role.CALLER: frozenset({Role.SEAT, Supervision.BARGE}),
    Role.SEAT: frozenset({Role.CALLER, Role.SEAT, Supervision.WHISPER, Supervision.BARGE}),
    Role.SUPERVISOR: frozenset({Role.CALLER, Role.SEAT, Supervision.WHISPER, Supervision.BARGE}),
    None: frozenset({Role.SEAT, Supervision.WHISPER, Supervision.BARGE}),  # the recording
}


def mix_of(parties: Mapping[str, Party]) -> Mix:
    """The matrix of `parties` by name: the pairs that hear each other, at full gain."""
    sources = {name: _voice(party) for name, party in parties.items() if not party.held and not party.muted}
    hearers: dict[str, Role | None] = {name: party.role for name, party in parties.items() if not party.held}
    hearers[RECORDING] = None
    return {
        (hearer, source): 1.0
        for hearer, role in hearers.items()
        for source, voice in sources.items()
        if hearer != source and voice in _AUDIBLE[role]
    }


def _voice(party: Party) -> Voice:
    return (party.supervision or Supervision.LISTEN) if party.role is Role.SUPERVISOR else party.role
