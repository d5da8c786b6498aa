"""Whether a datagram is a SIP message fit for the stack (RFC 3261 sections 7, 8.1.1, 18.3, 20 and 25). Pure.

What is fit leaves here in one form, so that the stack meets few corners of the grammar: lines unfolded, no white space
around the separators of Via, From, To and Contact, addresses in angle brackets, a body as long as Content-Length says.
What is not fit is refused by a name that can be counted and, where it is a request, by a response without state
(section 8.2.7). Liberal where RFC 4475 allows it: spaces in the request line, a missing Max-Forwards, names unquoted.
"""

import contextlib
import hashlib
import re
from dataclasses import dataclass

DEFAULT_PORT = 5060
MAX_CSEQ = 2**31 - 1
SCHEMES = ("sip", "sips", "tel")
SDP_TYPES = ("application/sdp", "application/*", "*/*")
COMPACT = {
    "c": "content-type",
    "f": "from",
    "i": "call-id",
    "l": "content-length",
    "m": "contact",
    "t": "to",
    "v": "via",
}
REQUIRED = ("via", "from", "to", "call-id", "cseq")
SINGLE = (*REQUIRED[1:], "content-length", "content-type", "expires", "max-forwards")
ASCII_ONLY = bytes(range(128)) + b"?" * 128

_TOKEN = r"[\w.!%*+`'~-]+"  # noqa: S105 - a token of the grammar
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_HOST = r"\[[0-9A-Fa-f:.]+\]|[\w.-]+"
_GAP = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_REQUEST_LINE = re.compile(rf"({_TOKEN}) +(\S(?:.*\S)?) +SIP/(\d+\.\d+) *", re.ASCII | re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 [1-6]\d\d(?: .*)?", re.ASCII)
_HEADER = re.compile(rf"({_TOKEN})[ \t]*:[ \t]*(.*?)[ \t]*", re.ASCII | re.DOTALL)
_LINE_BREAK = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # what str.splitlines takes for one
_SURROGATE = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of an octet that is no UTF-8
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*):", re.ASCII)
_SIP_URI = re.compile(rf"sips?:(?:[^\s<>@\"]+@)?(?:{_HOST})(?::(\d{{1,5}}))?(?:[;?][^\s<>\"]*)?", re.I | re.A)
_LIST_ITEM = re.compile(rf"((?:{_QUOTED}|<[^<>]*>|[^\",<>])*)(?:,|$)", re.DOTALL)
_NAME_ADDR = re.compile(rf"({_QUOTED}\s*|[^<>\",;:]*)<([^<>\s]+)>(.*)", re.DOTALL)
_ADDR_SPEC = re.compile(r"()([^<>\s;,\"?]+)(.*)", re.DOTALL)
_PARAMETER = re.compile(rf"\s*;\s*({_TOKEN})(?:\s*=\s*({_QUOTED}|[^\s;,\"<>]*))?\s*", re.ASCII | re.DOTALL)
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({_TOKEN})\s+({_HOST})\s*(?::\s*(\d{{1,5}}))?(.*)", re.ASCII | re.IGNORECASE | re.DOTALL
)
_MEDIA_TYPE = re.compile(rf"{_TOKEN}\s*/\s*{_TOKEN}(?:\s*;\s*{_TOKEN}\s*=\s*(?:{_QUOTED}|{_TOKEN}))*", re.A | re.S)
_CSEQ = re.compile(rf"(\d{{1,10}})\s+({_TOKEN})", re.ASCII)

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Refusal:
    """Not fit. `response` goes to `port` of the sender's address; empty: nothing is answered."""

    reason: str
    response: bytes = b""
    port: int = DEFAULT_PORT


class _UnfitError(Exception):
    def __init__(self, reason: str, status: str = "400 Bad Request") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def check(datagram: bytes, *, source: tuple[str, int]) -> bytes | Refusal:
    """The message in the form described above, or why it is not handed on. `source`: the sender's address and port."""
    parts = _GAP.split(datagram.lstrip(b"\r\n"), maxsplit=1)
    head = _FOLD.sub(" ", parts[0].decode("utf-8", "surrogateescape"))
    start, *lines = re.split(r"\r?\n", head)
    request = _REQUEST_LINE.fullmatch(start)
    if request is None and not _STATUS_LINE.fullmatch(start):
        return Refusal("status_line" if start.startswith("SIP/") else "no_sip")
    headers: Headers = []
    try:
        if len(parts) == 1:
            raise _UnfitError("cut_off")
        if any(_LINE_BREAK.search(line) for line in (start, *lines)):
            raise _UnfitError("control_character")
        if _SURROGATE.search(head):
            raise _UnfitError("no_utf8")
        headers += _headers(lines)
        if request is not None:
            method, uri, version = request.groups()
            _check_request(method, uri, version, headers)
            start = f"{method} {uri} SIP/2.0"
        elif start[8] != "2":
            headers = _readable_contacts(headers)
        return _normal(start, headers, parts[1])
    except _UnfitError as unfit:
        if request is None or request[1] == "ACK":
            return Refusal(unfit.reason)
        raw = headers or [found for line in lines if (found := _header(line))]
        return Refusal(unfit.reason, _response(unfit.status, raw, source), _response_port(raw, source))


def _headers(lines: list[str]) -> Headers:
    """Names in lower case and in full. Raises `_UnfitError` where a line is no header field."""
    found = [_header(line) for line in lines]
    headers = [header for header in found if header is not None]
    if len(headers) != len(found):
        raise _UnfitError("header_line")
    names = [name for name, _ in headers]
    if any(name not in names for name in REQUIRED):
        raise _UnfitError("missing_header")
    if any(names.count(name) > 1 for name in SINGLE):
        raise _UnfitError("repeated_header")
    return headers


def _header(line: str) -> tuple[str, str] | None:
    found = _HEADER.fullmatch(line)
    return None if found is None else (COMPACT.get(name := found[1].lower(), name), found[2])


def _readable_contacts(headers: Headers) -> Headers:
    """Where a redirection or failure points is advice (a web page, say): what is no SIP address is left out."""

    def readable(value: str) -> str:
        kept = []
        with contextlib.suppress(_UnfitError):
            for item in _items(value, "contact"):
                with contextlib.suppress(_UnfitError):
                    kept.append(_address(item, "contact"))
        return ", ".join(kept)

    read = [(name, readable(value) if name == "contact" else value) for name, value in headers]
    return [(name, value) for name, value in read if value or name != "contact"]


def _check_request(method: str, uri: str, version: str, headers: Headers) -> None:
    if version != "2.0":
        raise _UnfitError("version", "505 Version Not Supported")
    scheme = _SCHEME.match(uri)
    if scheme is None:
        raise _UnfitError("request_uri")
    if scheme[1].lower() not in SCHEMES:
        raise _UnfitError("uri_scheme", "416 Unsupported URI Scheme")
    if not uri.isascii():
        raise _UnfitError("request_uri")
    _check_uri(uri, "request_uri")
    values = dict(headers)
    if (cseq := _CSEQ.fullmatch(values["cseq"])) is None or int(cseq[1]) > MAX_CSEQ or cseq[2] != method:
        raise _UnfitError("cseq")
    if not re.fullmatch(r"\d{1,9}", hops := values.get("max-forwards", "70"), re.ASCII) or int(hops) > 255:
        raise _UnfitError("max_forwards")
    if not re.fullmatch(r"\d{1,10}", expires := values.get("expires", "0"), re.ASCII) or int(expires) >= 2**32:
        raise _UnfitError("expires")
    if not _MEDIA_TYPE.fullmatch(values.get("content-type", "application/sdp")):
        raise _UnfitError("content_type")
    accepted = [kind for name, value in headers if name == "accept" for kind in value.lower().split(",")] or ["*/*"]
    if method == "INVITE" and not {kind.partition(";")[0].strip() for kind in accepted} & set(SDP_TYPES):
        raise _UnfitError("accept", "406 Not Acceptable")


def _check_uri(uri: str, reason: str) -> None:
    if uri[:4].lower() == "tel:":
        return
    found = _SIP_URI.fullmatch(uri)
    if found is None or not 1 <= int(found[1] or DEFAULT_PORT) <= 65535:
        raise _UnfitError(reason)


def _normal(start: str, headers: Headers, body: bytes) -> bytes:
    """The message in one form. Raises `_UnfitError`."""
    out: Headers = []
    for name, value in headers:
        match name:
            case "via":
                out += [(name, _via(item)) for item in _items(value, name)]
            case "from" | "to":
                out.append((name, _address(value, name)))
            case "contact" if value != "*":
                out.append((name, ", ".join(_address(item, name) for item in _items(value, name))))
            case "call-id" if not re.fullmatch(r"\S+", value):
                raise _UnfitError("call_id")
            case "content-length":
                body = _cut(body, value)
            case _:
                out.append((name, value))
    # sippy counts Content-Length in characters; of a body we need nothing beyond ASCII
    body = body.translate(ASCII_ONLY)
    lines = [start, *(f"{name}: {value}" for name, value in out), f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _cut(body: bytes, length: str) -> bytes:
    """The body that Content-Length counts; what follows is noise (section 18.3). A last CRLF may be missing."""
    if not re.fullmatch(r"\d{1,9}", length, re.ASCII) or int(length) > len(body) + 2:
        raise _UnfitError("content_length")
    return body[: int(length)]


def _items(value: str, name: str) -> list[str]:
    """The members of a comma-separated list."""
    items, position = [], 0
    while position < len(value):
        found = _LIST_ITEM.match(value, position)
        if found is None:
            raise _UnfitError(name)
        items.append(found[1].strip())
        position = found.end()
    if not items or not all(items):
        raise _UnfitError(name)
    return items


def _address(value: str, name: str) -> str:
    """`name-addr` and `addr-spec` (section 25.1), both as `name <uri>;parameters`."""
    found = _NAME_ADDR.fullmatch(value) or _ADDR_SPEC.fullmatch(value)
    if found is None:
        raise _UnfitError(name)
    display, uri, rest = found.groups()
    scheme = _SCHEME.match(uri)
    if scheme is None or scheme[1].lower() not in SCHEMES:
        raise _UnfitError(name)
    _check_uri(uri, name)
    return f"{display.strip()} <{uri}>{_parameters(rest, name)}".lstrip()


def _via(value: str) -> str:
    found = _VIA.fullmatch(value)
    if found is None or not 1 <= int(found[3] or DEFAULT_PORT) <= 65535:
        raise _UnfitError("via")
    transport, host, port, rest = found.groups()
    return f"SIP/2.0/{transport} {host}{f':{port}' if port else ''}{_parameters(rest, 'via')}"


def _parameters(text: str, name: str) -> str:
    out, position = [], 0
    while position < len(text.rstrip()):
        found = _PARAMETER.match(text, position)
        if found is None:
            raise _UnfitError(name)
        out.append(f";{found[1]}" if found[2] is None else f";{found[1]}={found[2]}")
        position = found.end()
    return "".join(out)


def _response(status: str, headers: Headers, source: tuple[str, int]) -> bytes:
    """A response made of what the request has, the same each time it comes (section 8.2.7)."""
    lines = [f"SIP/2.0 {status}"]
    topmost = True
    for name, value in headers:
        if name == "via" and topmost:
            first, comma, rest = value.partition(",")
            first = re.sub(r";\s*rport\s*(?=;|$)", f";rport={source[1]}", first)
            lines.append(f"via: {first};received={source[0]}{comma}{rest}")
            topmost = False
        elif name == "to" and not re.search(r";\s*tag\s*=", value):
            tag = hashlib.sha256(repr(headers).encode("utf-8", "surrogateescape")).hexdigest()[:16]
            lines.append(f"to: {value};tag={tag}")
        elif name in REQUIRED:
            lines.append(f"{name}: {value}")
    text = "\r\n".join(_LINE_BREAK.sub(" ", line) for line in lines)
    return text.encode("utf-8", "surrogateescape") + b"\r\nContent-Length: 0\r\n\r\n"


def _response_port(headers: Headers, source: tuple[str, int]) -> int:
    """Where the topmost Via wants the response (section 18.2.2, RFC 3581); the sender's port where it can't be read."""
    value = next((value for name, value in headers if name == "via"), "")
    try:
        via = _via(_items(value, "via")[0])
    except (_UnfitError, IndexError):
        return source[1]
    found = re.search(r" (?:\[.*?\]|[^:;]+)(?::(\d+))?", via)
    if found is None or re.search(r";rport(;|$)", via):
        return source[1]
    return int(found[1] or DEFAULT_PORT)
