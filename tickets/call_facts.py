"""What happened in a call, as far as it decides whether the call becomes a ticket and how that is flagged. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recordings.models import FLOW, INBOUND, Call

CALL_BACK_REQUESTED = "call_back_requested"
ABANDONED = "abandoned"
EMERGENCY = "emergency"
SEAT = "seat"
PROGRESS_VARIABLE = "ticket_number"


@dataclass(frozen=True)
class CallFacts:
    """`demand`: the caller told one. `talked`: with a person at a seat. `abandoned`: hung up while waiting for one.

    `asked_progress`: the caller gave a ticket's number.
    """

    inbound_flow: bool = True
    demand: bool = False
    talked: bool = False
    call_back: bool = False
    abandoned: bool = False
    asked_progress: bool = False
    alarm_words: tuple[str, ...] = ()

    @classmethod
    def of_call(cls, call: Call) -> "CallFacts":
        """The facts of a call's row."""
        return cls.of_entries(
            call.details["entries"],
            inbound_flow=call.direction == INBOUND and call.purpose == FLOW,
            caller=call.caller_number,
        )

    @classmethod
    def of_entries(cls, entries: Sequence[Mapping[str, Any]], *, inbound_flow: bool, caller: str) -> "CallFacts":
        """The facts of a journal's entries."""
        kinds = {entry["kind"] for entry in entries}
        talked = any(entry["kind"] == "joined" and entry.get("role") == SEAT for entry in entries)
        demand, call_back = "demand" in kinds, "call_back" in kinds
        words = [str(word) for entry in entries if entry["kind"] == "alarm" for word in entry.get("words") or ()]
        return cls(
            inbound_flow=inbound_flow,
            demand=demand,
            talked=talked,
            call_back=call_back,
            abandoned=bool(caller) and "queued" in kinds and not (demand or talked or call_back),
            asked_progress=any(
                entry["kind"] == "variable" and entry.get("name") == PROGRESS_VARIABLE for entry in entries
            ),
            alarm_words=tuple(dict.fromkeys(words)),
        )

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the call's ticket."""
        found = {
            EMERGENCY: bool(self.alarm_words),
            CALL_BACK_REQUESTED: self.call_back,
            ABANDONED: self.abandoned,
        }
        return tuple(flag for flag, holds in found.items() if holds)

    def becomes_ticket(self, *, numbered: bool, spoke: bool) -> bool:
        """Whether the call is somebody's demand.

        `numbered`: it has a ticket's number, which is a promise. `spoke`: the caller said something; that is a demand
        too where no more is known (a caller who never pressed a key), but not from one who asked how a ticket stands.
        """
        if not self.inbound_flow:
            return False
        if numbered or self.demand or self.talked or self.call_back or self.alarm_words or self.abandoned:
            return True
        return spoke and not self.asked_progress
