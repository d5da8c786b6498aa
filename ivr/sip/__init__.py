"""SIP signalling: the only package that knows sippy."""

from ivr.sip.server import SipServer
from ivr.sip.types import AnswerCall, CallHandler, Dialog, Invitation, Timer

__all__ = ["AnswerCall", "CallHandler", "Dialog", "Invitation", "SipServer", "Timer"]
