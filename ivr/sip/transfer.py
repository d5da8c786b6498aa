"""Transfers: Replaces (RFC 3891), Refer-To (RFC 3515) and the sipfrag that tells how it goes (RFC 3420). Pure."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from hotline.errors import InvalidInputError
from ivr.sip.causes import phrase

MAX_REFER_TO = 1024
TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"  # noqa: S105 - RFC 3261's token
WORD = r"[A-Za-z0-9.!%*_+`'~()<>:\\\"/\[\]?{}-]+"
SIP_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@<>\s;?]+)(?:;[^@<>\s?]*)?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>\d{1,5}))?(?P<parameters>(?:;[^\s<>?]*)?)"
)


@dataclass(frozen=True)
class Replaces:
    """The dialog to be replaced, as its user agent that receives this names it: `to_tag` is that agent's own tag."""

    sip_call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> "Replaces":
        """Raises `InvalidInputError` for what is no Replaces."""
        call_id, *parameters = [part.strip() for part in value.split(";")]
        given = dict(part.partition("=")[::2] for part in parameters if "=" in part)
        to_tag, from_tag = given.get("to-tag", ""), given.get("from-tag", "")
        known = re.fullmatch(f"{WORD}(?:@{WORD})?", call_id) and re.fullmatch(TOKEN, to_tag)
        if not known or not re.fullmatch(TOKEN, from_tag) or len(value) > MAX_REFER_TO:
            raise InvalidInputError("Replaces names no dialog")
        return cls(call_id, to_tag, from_tag, early_only="early-only" in parameters)

    def serialize(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.sip_call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


@dataclass(frozen=True)
class TransferTarget:
    """Where a REFER wants the call to go: a URI without headers; `replaces` makes it an attended transfer."""

    uri: str
    user: str
    host: str
    replaces: Replaces | None = None
    referred_by: str = ""

    @classmethod
    def parse(cls, value: str, *, referred_by: str = "") -> "TransferTarget":
        """Reads the value of Refer-To; raises `InvalidInputError` for what is no SIP URI or asks for another method."""
        if len(value) > MAX_REFER_TO:
            raise InvalidInputError("Refer-To is too long")
        bracketed = re.fullmatch(r'(?:"(?:[^"\\]|\\.)*"|[^<"]*)\s*<([^<>]*)>.*', value.strip())
        text = bracketed[1] if bracketed else value.strip().partition(";")[0]
        address, _, headers = text.partition("?")
        found = SIP_URI.fullmatch(address)
        if found is None or not 0 < int(found["port"] or 5060) < 65536:
            raise InvalidInputError("Refer-To is no SIP address")
        if re.search(r";\s*method\s*=\s*(?!INVITE\b)", found["parameters"], re.IGNORECASE):
            raise InvalidInputError("Refer-To asks for another method than INVITE")
        given = {name.lower(): unquote(body) for name, _, body in (item.partition("=") for item in headers.split("&"))}
        replaces = Replaces.parse(given["replaces"]) if "replaces" in given else None
        return cls(address, unquote(found["user"] or ""), found["host"], replaces, referred_by)

    def serialize(self) -> str:
        """The value of a Refer-To."""
        replaces = f"?Replaces={quote(self.replaces.serialize(), safe='')}" if self.replaces else ""
        return f"<{self.uri}{replaces}>"


def write_sipfrag(code: int) -> str:
    """The body of a NOTIFY: the status line alone."""
    return f"SIP/2.0 {code} {phrase(code)}\r\n"


def parse_sipfrag(body: str) -> int:
    """The status code of a sipfrag; raises `InvalidInputError` where there is none."""
    found = re.match(r"SIP/2\.0 ([1-6]\d\d)(?: |\r?\n|$)", body)
    if found is None:
        raise InvalidInputError("no status line in the message/sipfrag")
    return int(found[1])
