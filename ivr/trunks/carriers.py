"""What a carrier is to us: which numbers it carries, how it wants them written, and who we say that we are. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from ivr.access.dialplan import compile_pattern
from ivr.access.numbers import NumberKind, TelephoneNumber, normalise


class NumberForm(StrEnum):
    """How a carrier wants a number: as one dials it in the country, +8613800138000, or as it was dialled."""

    NATIONAL = "national"
    E164 = "e164"
    DIALLED = "dialled"


@dataclass(frozen=True)
class Numbering:
    """Where we are, so that a number has one form."""

    region: str = "CN"
    area_code: str = ""

    def parse(self, raw: str) -> TelephoneNumber:
        return normalise(raw, region=self.region, area_code=self.area_code)

    def canonical(self, raw: str) -> str:
        """The number in its one form; what is no number stays as it is."""
        return self.parse(raw).canonical or raw


@dataclass(frozen=True)
class Carrier:
    """A trunk, as one entry of `[[trunks]]` sets it.

    `servers`: HOST or HOST:PORT in order; none: DNS SRV of `domain`. `registers`: we sign in there with REGISTER, else
    it knows our address; `contact`: HOST or HOST:PORT where it shall call us, empty: where we are. After a round in
    which no server let us sign in we wait for `backoff_s`, doubled each time up to `backoff_max_s`. `options_s`: an
    OPTIONS keepalive so often (0: none), down after `max_missed` without an answer. `patience_s`: how long a server may
    say nothing.

    `carries`: patterns of the numbers, in canonical form, that go out by it. A number is written in `number_form`,
    loses `strip` characters and gets `prefix`. `transfers`: it puts its own callers through (REFER).
    """

    name: str
    domain: str
    servers: tuple[str, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    registers: bool = False
    expires_s: int = 600
    options_s: float = 30.0
    max_missed: int = 3
    patience_s: float = 4.0
    backoff_s: float = 5.0
    backoff_max_s: float = 120.0
    contact: str = ""
    carries: tuple[re.Pattern[str], ...] = ()
    number_form: NumberForm = NumberForm.NATIONAL
    strip: int = 0
    prefix: str = ""
    caller_id: str = ""
    asserted_identity: bool = False
    transfers: bool = False

    @property
    def shown(self) -> str:
        """The number that calls by this carrier show, empty where it takes any."""
        return self.caller_id or (self.username if re.fullmatch(r"\+?[0-9]{3,20}", self.username) else "")

    def carries_number(self, number: TelephoneNumber) -> bool:
        """Whether calls to `number` go out by this carrier."""
        return any(pattern.fullmatch(number.canonical or number.raw) for pattern in self.carries)

    def dialled(self, number: TelephoneNumber) -> str:
        """`number` as this carrier wants it in the Request-URI."""
        match self.number_form:
            case NumberForm.NATIONAL:
                text = _national(number)
            case NumberForm.E164:
                text = number.e164 or number.canonical
            case NumberForm.DIALLED:
                text = number.raw
        return self.prefix + (text or number.raw)[self.strip :]


def _national(number: TelephoneNumber) -> str:
    """A foreign number as one dials it from here: 00 in place of +."""
    foreign = number.kind is NumberKind.FOREIGN
    return "00" + number.canonical.removeprefix("+") if foreign else number.canonical


def patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Patterns of numbers as the dial plan has them; raises `ConfigurationError`."""
    return tuple(map(compile_pattern, texts))
