"""What signalling and the call layer say to each other: invitations, handlers and dialogs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ivr.access.dialplan import Route
from ivr.sdp import Offer
from ivr.sip.causes import CallEnd
from ivr.sip.transfer import Replaces, TransferTarget


@dataclass(frozen=True)
class Invitation:
    """An INVITE that may become a call.

    `caller` is empty where the number is withheld or no number, `offer` None where the far end wants ours (late
    offer). `extension`: who placed it, an authenticated extension; `trunk`: the trunk it came by. `privacy`: the
    number is known to us and must not be shown on (RFC 3323). `replaces`: a call that this one takes over; signalling
    has seen that it is there. `route`: where the dial plan lets it go.
    """

    sip_call_id: str
    caller: str
    called: str
    peer: str
    local_host: str
    offer: Offer | None
    extension: str | None = None
    trunk: str | None = None
    privacy: bool = False
    display_name: str = ""
    replaces: Replaces | None = None
    route: Route | None = None


@dataclass(frozen=True)
class SipTarget:
    """Whom to ring. `hop`: the numeric address the INVITE goes to, None where the URI's host is one itself.

    `username` and `password` answer a 401 or 407 of that hop. `routes`: the way there, each as in a Route header (a
    registered phone's Path, RFC 3327). `trunk`: the carrier's name, whose limits hold; `domain` stands in its From and
    `caller_id` in place of the caller's number. `asserted`: it is trusted with the caller's identity (RFC 3325).
    `patience_s`: a hop that says nothing at all for so long is unreachable; 0: as RFC 3261 has it (32 s).
    """

    uri: str
    hop: tuple[str, int] | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    routes: tuple[str, ...] = ()
    trunk: str = ""
    domain: str = ""
    caller_id: str = ""
    asserted: bool = False
    patience_s: float = 0.0


class CallHandler(Protocol):
    """A call, as signalling sees it. Called on the SIP thread."""

    def on_update(self, offer: Offer | None) -> str:
        """A re-INVITE or UPDATE; returns the SDP answer, or our offer where the far end wants one (None).

        Raises `InvalidInputError` (488, the call stays as it was).
        """
        ...

    def on_answer(self, sdp: str) -> None:
        """The far end's answer to an offer of ours within the call; may repeat what is known.

        Raises `InvalidInputError` (the call is hung up).
        """
        ...

    def on_digit(self, digit: str) -> None:
        """A digit in SIP INFO."""
        ...

    def on_transfer(self, target: TransferTarget) -> None:
        """The far end asks us to call somebody else; progress is told by `Dialog.transfer_progress`.

        Raises `ForbiddenError` (403), `NotFoundError` (404), `InvalidInputError` (400) or `UnavailableError` (503).
        """
        ...

    def on_transfer_result(self, code: int) -> None:
        """How our own REFER ended: the final status of the call that the far end placed, or of its refusal."""
        ...

    def on_ended(self, end: CallEnd) -> None:
        """The call is over, and not because we hung up."""
        ...


class OutgoingHandler(CallHandler, Protocol):
    """A call that we place."""

    def on_ringing(self, sdp: str | None) -> None:
        """180 or 183; with SDP there is early media."""
        ...

    def on_answered(self, sdp: str) -> None:
        """The far end took the call. Raises `InvalidInputError` (the call is hung up)."""
        ...


class Dialog(Protocol):
    """Our end of the signalling. Only from the SIP thread; what the dialog's state does not allow does nothing."""

    @property
    def sip_call_id(self) -> str: ...

    def is_named(self, replaces: Replaces) -> bool:
        """Whether a Replaces that came to us names this dialog."""
        ...

    def answer(self, sdp: str) -> None:
        """Takes an inbound call: `sdp` answers the invitation's offer, or is our offer where it had none."""
        ...

    def ring(self, sdp: str | None = None) -> None:
        """180, or 183 with SDP (early media)."""
        ...

    def reject(self, code: int, *, retry_after_s: int | None = None) -> None:
        """Refuses an inbound call with a status from 300 to 699."""
        ...

    def hang_up(self, *, code: int = 200, q850: int | None = None) -> None:
        """BYE, CANCEL or a failure, by state; `code` or `q850` becomes its Reason (RFC 3326)."""
        ...

    def update(self, sdp: str) -> None:
        """A re-INVITE of ours; the answer comes to `on_answer`. Crossing ones (491) are tried again."""
        ...

    def refer(self, target: str, *, replaces: "Dialog | None" = None) -> None:
        """Asks the far end to call the URI `target`, or the far end of `replaces` in its stead."""
        ...

    def transfer_progress(self, code: int) -> None:
        """Tells the far end how the transfer it asked for goes; from 200 on it is finished."""
        ...


class Timer(Protocol):
    """A pending call_later."""

    def cancel(self) -> None: ...


AnswerCall = Callable[[Invitation, Dialog], tuple[CallHandler, str | None]]
"""Makes the handler of an invitation and the SDP to answer with at once; None: it answers by the dialog later."""
