"""The texts of notices (`notices.yaml`): read, checked against `tickets.notices.kinds`, filled in."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from hotline.errors import ConfigurationError, InvalidInputError
from tickets.datafile import Table, load_data_file
from tickets.notices.kinds import KINDS, UNCUT, Channel

SITE = "site"  # may be named in every text
SITE_CHARACTERS = 20
MAX_SUBJECT = 200
SINGLE_UNITS, PART_UNITS = 70, 67  # UTF-16 code units of a short message, and of a part of a long one (3GPP TS 23.040)
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class EmailText(Table):
    """A letter."""

    subject: str = Field(min_length=1, max_length=100, pattern=r"^[^\r\n]+$")
    text: str = Field(min_length=1, max_length=2000)


class KindTexts(Table):
    """The texts of one kind; a channel without one is not used for it. `keep_h`: later than this it is of no use."""

    sms: str = Field("", max_length=500, pattern=r"^[^\r\n]*$")
    wecom: str = Field("", max_length=1000)
    email: EmailText | None = None
    keep_h: float | None = Field(None, gt=0, le=24 * 30)


class NoticeFile(Table):
    """The file as it stands. `edition`: which texts these are, noted with each notice."""

    version: Literal[1]
    edition: str = Field(min_length=1, max_length=32)
    kinds: dict[str, KindTexts]


@dataclass(frozen=True)
class Text:
    """What is sent. `subject` is empty where the channel has none."""

    subject: str
    body: str


@dataclass(frozen=True)
class Templates:
    """The file, checked."""

    edition: str
    kinds: dict[str, KindTexts]

    def has(self, kind: str, channel: Channel) -> bool:
        """Whether there is a text of that kind for the channel."""
        return getattr(self.kinds[kind], channel.value) not in ("", None)

    def render(self, kind: str, channel: Channel, values: Mapping[str, str], *, site: str) -> Text:
        """The text with its values, each on one line and as long as it may be.

        Raises `InvalidInputError` for a value that is missing, not the kind's, or may not be cut and is too long.
        """
        limits = KINDS[kind].values
        if set(values) != set(limits):
            raise InvalidInputError(f"a notice {kind} has the values {sorted(limits)}, not {sorted(values)}")
        fitted = {name: _fit(name, text, limits[name]) for name, text in values.items()}
        fitted[SITE] = _fit(SITE, site, SITE_CHARACTERS)
        texts = self.kinds[kind]
        if channel is Channel.EMAIL and texts.email is not None:
            return Text(fill(texts.email.subject, fitted), fill(texts.email.text, fitted))
        return Text("", fill(texts.sms if channel is Channel.SMS else texts.wecom, fitted))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with `{name}` replaced; values are never read as templates themselves."""
    return PLACEHOLDER.sub(lambda match: values[match[1]], text)


def segments(text: str) -> int:
    """How many short messages a text is sent, and paid, as: UCS-2, 70 characters in one or 67 in each of several.

    >>> segments("路" * 70), segments("路" * 71), segments("😀" * 35)
    (1, 2, 1)
    """
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= SINGLE_UNITS else math.ceil(units / PART_UNITS)


def longest(kind: str, text: str) -> str:
    """The longest that a text of that kind may become."""
    limits = {**KINDS[kind].values, SITE: SITE_CHARACTERS}
    return fill(text, {name: "路" * limit for name, limit in limits.items()})


def longest_sms(kind: str, text: str) -> int:
    """The short messages that the text of that kind may become at most."""
    return segments(longest(kind, text))


def load_templates(path: Path, *, max_segments: int) -> Templates:
    """Reads the file; raises `ConfigurationError` naming the file and what is wrong with which text."""
    file = load_data_file(path, NoticeFile)
    if missing := sorted(set(KINDS) - set(file.kinds)):
        raise ConfigurationError(f"{path}: kinds: there are no texts for {', '.join(missing)}")
    for kind, texts in file.kinds.items():
        if kind not in KINDS:
            raise ConfigurationError(f"{path}: kinds: no notice is named {kind}", hint=f"there are {', '.join(KINDS)}")
        email = texts.email
        for where, text in (
            ("sms", texts.sms),
            ("wecom", texts.wecom),
            ("email.subject", email.subject if email else ""),
            ("email.text", email.text if email else ""),
        ):
            _check(path, kind, where, text)
        if email and len(longest(kind, email.subject)) > MAX_SUBJECT:
            raise ConfigurationError(f"{path}: {kind}.email.subject may become longer than {MAX_SUBJECT} characters")
        if (count := longest_sms(kind, texts.sms)) > max_segments:
            raise ConfigurationError(
                f"{path}: {kind}.sms may become {count} short messages, more than notices.sms_max_segments"
                f" ({max_segments})"
            )
    return Templates(file.edition, dict(file.kinds))


def _check(path: Path, kind: str, where: str, text: str) -> None:
    known = {*KINDS[kind].values, SITE}
    named = PLACEHOLDER.findall(text)
    if unknown := sorted(set(named) - known):
        raise ConfigurationError(
            f"{path}: {kind}.{where}: unknown placeholder {{{unknown[0]}}}",
            hint=f"there are {', '.join(f'{{{name}}}' for name in sorted(known))}",
        )
    if "{" in PLACEHOLDER.sub("", text) or "}" in PLACEHOLDER.sub("", text):
        raise ConfigurationError(f"{path}: {kind}.{where}: a brace that is no placeholder")


def _fit(name: str, text: str, limit: int) -> str:
    line = _UNPRINTABLE.sub(" ", text).strip()
    if len(line) <= limit:
        return line
    if name in UNCUT:
        raise InvalidInputError(f"the {name} of a notice has {len(line)} characters, more than {limit}")
    return f"{line[: limit - 1]}…"
