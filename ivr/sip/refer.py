"""REFER within a dialog (RFC 3515), both ways: the far end's with our NOTIFYs, ours with theirs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sippy.MsgBody import MsgBody
from sippy.SipContentType import SipContentType

from hotline.errors import ForbiddenError, HotlineError, InvalidInputError, NotFoundError
from ivr.sip.headers import header, respond, values
from ivr.sip.transfer import Replaces, TransferTarget, parse_sipfrag, write_sipfrag

if TYPE_CHECKING:
    from ivr.sip.dialog import SipDialog

SUBSCRIPTION_S = 60
SIPFRAG = "message/sipfrag"


@dataclass
class _Waiting:
    """What may only follow the answer to a REFER: its NOTIFYs, then the rest."""

    codes: list[int]
    functions: list[Callable[[], None]] = field(default_factory=list)


class Transfers:
    """The transfers of one dialog: at most one each way at a time."""

    def __init__(self, dialog: "SipDialog") -> None:
        self._dialog = dialog
        self._asked: int | None = None  # CSeq of the far end's REFER that we tell about
        self._asking = False  # a REFER of ours is under way
        self._waiting: _Waiting | None = None  # while a REFER is looked at

    def on_refer(self, request: Any) -> Any:
        """The far end asks for a transfer."""
        given = values(request, "refer-to")
        if len(given) != 1:
            return respond(request, 400, "One Refer-To is wanted")
        if self._asked is not None:
            return respond(request, 491)
        self._asked = sequence = request.getHFBody("cseq").getCSeqNum()
        self._waiting = waiting = _Waiting([100])
        self._dialog.later(lambda: self._go_on(sequence, waiting))  # before any answer to what the handler sends
        try:
            referred_by = next(iter(values(request, "referred-by")), "")[:255]
            target = TransferTarget.parse(given[0], referred_by=referred_by)
            self._dialog.handler.on_transfer(target)
        except HotlineError as error:
            self._asked = None
            waiting.codes.clear()
            return respond(request, _refusal(error))
        finally:
            self._waiting = None
        return respond(request, 202)

    def _go_on(self, sequence: int, waiting: "_Waiting") -> None:
        for code in waiting.codes:
            self._notify(sequence, code)
        for function in waiting.functions:
            function()

    def progress(self, code: int) -> None:
        """A NOTIFY with the transfer's status; after the 202, and none once one was final."""
        if self._asked is None:
            return
        sequence, self._asked = self._asked, self._asked if code < 200 else None
        if self._waiting is not None:
            self._waiting.codes.append(code)
        else:
            self._notify(sequence, code)

    def after_answer(self, function: Callable[[], None]) -> None:
        """Runs `function` when the REFER that is looked at is answered and told of; at once where there is none."""
        if self._waiting is not None:
            self._waiting.functions.append(function)
        else:
            function()

    def _notify(self, sequence: int, code: int) -> None:
        if not self._dialog.ua.isConnected():
            return
        state = f"active;expires={SUBSCRIPTION_S}" if code < 200 else "terminated;reason=noresource"
        content_type = SipContentType(f"{SIPFRAG};version=2.0")
        content_type.parse()
        self._dialog.ua.send(
            "NOTIFY",
            headers=(header("Event", f"refer;id={sequence}"), header("Subscription-State", state)),
            body=MsgBody(write_sipfrag(code), content_type),
        )

    def refer(self, target: str, replaces: Replaces | None) -> None:
        """Asks the far end to call `target`; raises `InvalidInputError` for what is no SIP address."""
        wanted = TransferTarget.parse(f"<{target}>")
        refer_to = TransferTarget(wanted.uri, wanted.user, wanted.host, replaces).serialize()
        ua = self._dialog.ua
        self._asking = True
        ua.send(
            "REFER",
            headers=(header("Refer-To", refer_to), header("Referred-By", f"<{ua.lUri.getUrl()}>")),
            on_response=self._on_response,
        )

    def _on_response(self, response: Any) -> None:
        code = response.getSCode()[0]
        if code >= 300:
            self._result(code)

    def on_notify(self, request: Any) -> Any:
        """The far end tells how the transfer we asked for goes."""
        event = next(iter(values(request, "event")), "").partition(";")[0].strip().lower()
        if event != "refer":
            return respond(request, 489, Allow_Events="refer")
        if not self._asking:
            return respond(request, 481)
        body = request.getBody()
        try:
            code = parse_sipfrag(str(body)) if body is not None and body.getType() == SIPFRAG else 100
        except InvalidInputError as error:
            return respond(request, 400, error.message)
        over = any(value.strip().lower().startswith("terminated") for value in values(request, "subscription-state"))
        if code >= 200 or over:
            self._dialog.later(lambda: self._result(code if code >= 200 else 487))
        return respond(request, 200)

    def _result(self, code: int) -> None:
        if self._asking:
            self._asking = False
            self._dialog.tell(lambda handler: handler.on_transfer_result(code))


def _refusal(error: HotlineError) -> int:
    if isinstance(error, ForbiddenError):
        return 403
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, InvalidInputError) else 503
