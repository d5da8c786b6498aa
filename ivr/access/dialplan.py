"""Who may reach what: a trunk our numbers, an extension what the plan lets it, nobody anything else. Pure.

Patterns are Asterisk's: X is a digit, Z one from 1 to 9, N one from 2 to 9, [1-5] one of these; at the end . stands for
one or more characters and ! for any number of them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hotline.errors import ConfigurationError

MAX_NUMBER = 64
_PART = re.compile(r"[0-9+*#a-zA-WYyz_-]|X|Z|N|\[[0-9-]+\]")
_CLASSES = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]"}
_TAILS = {".": ".+", "!": ".*"}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression; raises `ConfigurationError`."""
    body, tail = (pattern[:-1], pattern[-1]) if pattern[-1:] in _TAILS else (pattern, "")
    parts, position = [], 0
    while position < len(body):
        found = _PART.match(body, position)
        if found is None:
            break
        part = found[0]
        parts.append(_CLASSES.get(part) or (part if part.startswith("[") else re.escape(part)))
        position = found.end()
    if not pattern or position < len(body):
        raise ConfigurationError(
            f"{pattern!r} is no pattern of numbers", hint='"12345", "1XXX" (any digit), "139." (anything further)'
        )
    try:
        return re.compile("".join(parts) + _TAILS.get(tail, ""))
    except re.error as error:
        raise ConfigurationError(f"{pattern!r} is no pattern of numbers: {error}") from error


@dataclass(frozen=True)
class Trunk:
    """A call that came from a trunk's address. `name` is empty where the address alone is allowed."""

    name: str = ""


@dataclass(frozen=True)
class Extension:
    """A call of a phone that signed in."""

    name: str


Origin = Trunk | Extension


@dataclass(frozen=True)
class ToNumber:
    """One of our numbers: the menu answers."""

    called: str


@dataclass(frozen=True)
class ToExtension:
    """Another extension."""

    name: str


@dataclass(frozen=True)
class ToTrunk:
    """A number outside."""

    called: str


Route = ToNumber | ToExtension | ToTrunk


@dataclass(frozen=True)
class Refusal:
    """403, counted by `reason`."""

    reason: str


class DialPlan:
    """`from_trunk`: our numbers. `from_extension`: our numbers that extensions may ring. `outgoing`: what they may ring
    outside, in the one form that `canonical` gives a number, so that no other spelling gets past it. `is_extension`
    tells who is one; `between_extensions`: whether they may ring each other.
    """

    def __init__(
        self,
        *,
        from_trunk: Iterable[str] = ("!",),
        from_extension: Iterable[str] = (),
        outgoing: Iterable[str] = (),
        between_extensions: bool = False,
        is_extension: Callable[[str], bool] = lambda _name: False,
        canonical: Callable[[str], str] = str,
    ) -> None:
        self._from_trunk = tuple(map(compile_pattern, from_trunk))
        self._from_extension = tuple(map(compile_pattern, from_extension))
        self._outgoing = tuple(map(compile_pattern, outgoing))
        self._between = between_extensions
        self.is_extension = is_extension
        self._canonical = canonical
        self.counters: Counter[str] = Counter()

    def decide(self, origin: Origin, called: str) -> Route | Refusal:
        """Where a call to `called` (the user part of the Request-URI) goes."""
        route = self._decide(origin, called)
        if isinstance(route, Refusal):
            self.counters[f"refused_{route.reason}"] += 1
        return route

    def _decide(self, origin: Origin, called: str) -> Route | Refusal:
        if len(called) > MAX_NUMBER:
            return Refusal("not_our_number")
        match origin:
            case Trunk():  # never to another trunk: no open relay; nor past the menu to a desk
                return ToNumber(called) if _any(self._from_trunk, called) else Refusal("not_our_number")
            case Extension(name):
                if _any(self._from_extension, called):
                    return ToNumber(called)
                if self._between and called != name and self.is_extension(called):
                    return ToExtension(called)
                outside = self._canonical(called)
                return ToTrunk(outside) if _any(self._outgoing, outside) else Refusal("not_in_plan")


def _any(patterns: tuple[re.Pattern[str], ...], called: str) -> bool:
    return any(pattern.fullmatch(called) for pattern in patterns)
