"""What signalling and the call layer say to each other: invitations, handlers and dialogs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ivr.sdp import Offer


@dataclass(frozen=True)
class Invitation:
    """An INVITE that may become a call. `caller` is empty where the number is withheld or no number."""

    sip_call_id: str
    caller: str
    called: str
    peer: str
    local_host: str
    offer: Offer


class CallHandler(Protocol):
    """A call, as signalling sees it. Called on the SIP thread."""

    def on_update(self, offer: Offer) -> str:
        """A re-INVITE; returns the SDP answer or raises `InvalidInputError` (488, the call stays as it was)."""
        ...

    def on_ended(self) -> None:
        """The far end hung up, or never acknowledged."""
        ...


class Dialog(Protocol):
    """Our end of the signalling."""

    def hang_up(self) -> None: ...


class Timer(Protocol):
    """A pending call_later."""

    def cancel(self) -> None: ...


AnswerCall = Callable[[Invitation, Dialog], tuple[CallHandler, str]]
