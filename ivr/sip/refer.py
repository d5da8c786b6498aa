"""REFER within a dialog (RFC 3515), both ways: the far end's with our NOTIFYs, ours with theirs."""

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


class Transfers:
    """The transfers of one dialog: at most one each way at a time."""

    def __init__(self, dialog: "SipDialog") -> None:
        self._dialog = dialog
        self._asked: int | None = None  # CSeq of the far end's REFER that we tell about
        self._asking = False  # a REFER of ours is under way

    def on_refer(self, request: Any) -> Any:
        """The far end asks for a transfer."""
        given = values(request, "refer-to")
        if len(given) != 1:
            return respond(request, 400, "One Refer-To is wanted")
        if self._asked is not None:
            return respond(request, 491)
        try:
            referred_by = next(iter(values(request, "referred-by")), "")[:255]
            target = TransferTarget.parse(given[0], referred_by=referred_by)
            self._dialog.handler.on_transfer(target)
        except HotlineError as error:
            return respond(request, _refusal(error))
        self._asked = request.getHFBody("cseq").getCSeqNum()
        self.progress(100)
        return respond(request, 202)

    def progress(self, code: int) -> None:
        """A NOTIFY with the transfer's status; after the 202, and none once one was final."""
        if self._asked is not None:
            sequence, self._asked = self._asked, self._asked if code < 200 else None
            self._dialog.later(lambda: self._notify(sequence, code))

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
