"""SIP signalling: the only package that knows sippy."""

from ivr.sip.causes import CallEnd, EndReason
from ivr.sip.server import SipServer
from ivr.sip.session_timer import SessionPolicy
from ivr.sip.transfer import Replaces, TransferTarget
from ivr.sip.types import AnswerCall, CallHandler, Dialog, Invitation, OutgoingHandler, SipTarget, Timer

__all__ = [
    "AnswerCall",
    "CallEnd",
    "CallHandler",
    "Dialog",
    "EndReason",
    "Invitation",
    "OutgoingHandler",
    "Replaces",
    "SessionPolicy",
    "SipServer",
    "SipTarget",
    "Timer",
    "TransferTarget",
]
