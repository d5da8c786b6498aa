"""What can be asked of a call, a seat or the exchange: one frozen dataclass each, checked; docs/call-control.md."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_type_hints

from hotline.commands import Command
from hotline.errors import ConfigurationError, InvalidInputError
from ivr.announcements.prompts import PromptLibrary
from ivr.media.mixer import CALLER, Supervision

MAX_ITEMS = 20
MAX_NAMES = 50
MAX_VARIABLES = 50
MAX_VALUE = 1000

Check = Callable[[object], Any]
"""Returns the value in its form; raises `ValueError` saying what it should be."""


def _text(pattern: str, meaning: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(meaning)
        return value

    return check


def _several(item: Check, container: Callable[[list[Any]], Any], *, least: int, most: int, meaning: str) -> Check:
    def check(value: object) -> Any:
        if not isinstance(value, list | tuple | frozenset) or not least <= len(value) <= most:
            raise ValueError(meaning)
        return container([item(each) for each in value])

    return check


def _supervision(value: object) -> Supervision:
    if isinstance(value, Supervision):
        return value
    modes = {mode.name.lower(): mode for mode in Supervision}
    if not isinstance(value, str) or value not in modes:
        raise ValueError(f"one of {', '.join(modes)}")
    return modes[value]


def _variables(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) > MAX_VARIABLES:
        raise ValueError(f"at most {MAX_VARIABLES} names with texts")
    for name, text in value.items():
        if not isinstance(name, str) or not name.isidentifier() or len(name) > 64:
            raise ValueError("its names are words of at most 64 letters, digits and _")
        if not isinstance(text, str) or len(text) > MAX_VALUE:
            raise ValueError(f"its texts have at most {MAX_VALUE} characters")
    return dict(value)


_name = _text(r"[\w-]{1,32}", "a word of at most 32 letters, digits, - and _")
_item = _text(
    r"[A-Za-z_][A-Za-z0-9_]{0,63}|(say|count|ordinal):[0-9A-Za-z -]{1,64}", "a prompt or say:, count:, ordinal:"
)

CallId = Annotated[str, _text(r"[A-Za-z0-9_-]{1,32}", "a call's id: 1 to 32 letters, digits, - and _")]
Party = Annotated[str, _text(r"[0-9A-Za-z+*#._/-]{1,64}", "caller, an extension, or the number that was rung")]
Target = Annotated[str, _text(r"[0-9A-Za-z+*#._-]{1,64}", "an extension or a number, at most 64 characters")]
Extension = Annotated[str, _text(r"[0-9A-Za-z][0-9A-Za-z_-]{1,31}", "an extension: 2 to 32 letters, digits, - and _")]
Number = Annotated[str, _text(r"\+?[0-9*#]{1,31}", "a number: digits, * and #, after a + or not, at most 32")]
Digits = Annotated[str, _text(r"[0-9A-D*#]{1,32}", "1 to 32 of 0-9, A-D, * and #")]
Name = Annotated[str, _name]
Names = Annotated[tuple[str, ...], _several(_name, tuple, least=1, most=MAX_NAMES, meaning="a list of 1 to 50 names")]
Skills = Annotated[
    frozenset[str], _several(_name, frozenset, least=0, most=MAX_NAMES, meaning="a list of at most 50 names")
]
Items = Annotated[tuple[str, ...], _several(_item, tuple, least=1, most=MAX_ITEMS, meaning="a list of 1 to 20 items")]
Variables = Annotated[Mapping[str, str], _variables]
Mode = Annotated[Supervision, _supervision]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all: raises `InvalidInputError` naming the argument that is not what it should be."""

    def __post_init__(self) -> None:
        for name, check in _checks(type(self)).items():
            try:
                object.__setattr__(self, name, check(getattr(self, name)))
            except ValueError as error:
                raise InvalidInputError(f"{name}: {error}") from error


def _checks(kind: type[Request]) -> Mapping[str, Check]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in fields(kind)}


@dataclass(frozen=True, kw_only=True)
class OnCall(Request):
    """Base of what is asked of a call."""

    call_id: CallId


@dataclass(frozen=True, kw_only=True)
class Answer(OnCall):
    """Takes an inbound call that still rings."""


@dataclass(frozen=True, kw_only=True)
class HangUp(OnCall):
    """A party leaves; the caller: the whole call ends."""

    party: Party = CALLER


@dataclass(frozen=True, kw_only=True)
class Hold(OnCall):
    """The party hears music."""

    party: Party


@dataclass(frozen=True, kw_only=True)
class Resume(OnCall):
    """The held party is back."""

    party: Party


@dataclass(frozen=True, kw_only=True)
class Mute(OnCall):
    """The party hears and is not heard."""

    party: Party


@dataclass(frozen=True, kw_only=True)
class Unmute(OnCall):
    """The party is heard again."""

    party: Party


@dataclass(frozen=True, kw_only=True)
class Transfer(OnCall):
    """Blind: `party` leaves, `target` is rung for the others."""

    party: Party
    target: Target


@dataclass(frozen=True, kw_only=True)
class Consult(OnCall):
    """Attended transfer: the others hear music while `party` and `target` talk."""

    party: Party
    target: Target


@dataclass(frozen=True, kw_only=True)
class CompleteTransfer(OnCall):
    """`party`, who consults, leaves; whom it consulted talks to the others."""

    party: Party


@dataclass(frozen=True, kw_only=True)
class CancelConsultation(OnCall):
    """Whom `party` consulted leaves; it is back with the others."""

    party: Party


@dataclass(frozen=True, kw_only=True)
class TransferToQueue(OnCall):
    """`party` leaves; the caller waits for a seat of the queue."""

    party: Party
    queue: Name


@dataclass(frozen=True, kw_only=True)
class Conference(OnCall):
    """`target` is rung and joins."""

    target: Target


@dataclass(frozen=True, kw_only=True)
class Supervise(OnCall):
    """A supervisor is rung and listens, whispers or barges in; where he is there already, the mode changes."""

    extension: Extension
    mode: Mode


@dataclass(frozen=True, kw_only=True)
class Play(OnCall):
    """Plays prompts, or spelled texts, to a party."""

    items: Items
    to: Party = CALLER


@dataclass(frozen=True, kw_only=True)
class SendDigits(OnCall):
    """Presses keys towards a party."""

    digits: Digits
    to: Party = CALLER


@dataclass(frozen=True, kw_only=True)
class PauseRecording(OnCall):
    """The recording gets silence."""


@dataclass(frozen=True, kw_only=True)
class ResumeRecording(OnCall):
    """The recording gets audio again."""


@dataclass(frozen=True, kw_only=True)
class DialOut(OnCall):
    """Click to dial: rings the extension, then the number. `call_id`: the new call's."""

    extension: Extension
    number: Number


@dataclass(frozen=True, kw_only=True)
class StartFlow(OnCall):
    """Rings the number, which enters the flow. `call_id`: the new call's."""

    flow: Name
    number: Number
    variables: Variables


@dataclass(frozen=True, kw_only=True)
class SeatSignIn(Request):
    """The seat takes calls of these queues."""

    seat: Extension
    queues: Names
    skills: Skills = frozenset()


@dataclass(frozen=True, kw_only=True)
class SeatSignOut(Request):
    """The seat is gone; a conversation of its goes on."""

    seat: Extension


@dataclass(frozen=True, kw_only=True)
class SeatReady(Request):
    """The seat takes calls again."""

    seat: Extension


@dataclass(frozen=True, kw_only=True)
class SeatAway(Request):
    """The seat takes no calls for now."""

    seat: Extension


REQUESTS: Mapping[str, type[Request]] = {
    "answer": Answer,
    "hang_up": HangUp,
    "hold": Hold,
    "resume": Resume,
    "mute": Mute,
    "unmute": Unmute,
    "transfer": Transfer,
    "consult": Consult,
    "complete_transfer": CompleteTransfer,
    "cancel_consultation": CancelConsultation,
    "transfer_to_queue": TransferToQueue,
    "conference": Conference,
    "supervise": Supervise,
    "play": Play,
    "send_digits": SendDigits,
    "pause_recording": PauseRecording,
    "resume_recording": ResumeRecording,
    "dial_out": DialOut,
    "start_flow": StartFlow,
    "seat_sign_in": SeatSignIn,
    "seat_sign_out": SeatSignOut,
    "seat_ready": SeatReady,
    "seat_away": SeatAway,
}


def arguments_of(kind: type[Request]) -> Mapping[str, bool]:
    """The arguments of a command and whether each has to be given; the call's id is no argument."""
    return {
        field.name: field.default is MISSING and field.default_factory is MISSING
        for field in fields(kind)
        if field.name != "call_id"
    }


def parse(command: Command, *, prompts: PromptLibrary) -> Request:
    """What a command asks for; raises `InvalidInputError` saying what is wrong with it."""
    kind = REQUESTS.get(command.name)
    if kind is None:
        raise InvalidInputError(f"no command named {command.name}")
    known = arguments_of(kind)
    strange = sorted(name for name in command.arguments if name not in known)
    if strange:
        raise InvalidInputError(f"{command.name} takes no {strange[0][:40]!r}")
    missing = [name for name, required in known.items() if required and name not in command.arguments]
    if missing:
        raise InvalidInputError(f"{command.name} needs {', '.join(missing)}")
    whose = {"call_id": command.call_id} if issubclass(kind, OnCall) else {}
    request = kind(**command.arguments, **whose)
    if isinstance(request, Play):
        for item in request.items:
            _require(prompts, item)
    return request


def _require(prompts: PromptLibrary, item: str) -> None:
    """Raises `InvalidInputError` unless the item can be played."""
    try:
        prompts.require(prompts.expand(item))
    except ConfigurationError as error:
        raise InvalidInputError(f"items: {error.message}") from error
