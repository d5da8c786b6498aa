"""The SIP of the load generator (RFC 3261): requests from one template, of what arrives only what a call needs."""

import re
from dataclasses import dataclass

T1_S, T2_S, TIMEOUT_S = 0.5, 4.0, 32.0

_HEADERS = (
    "Via: SIP/2.0/UDP {host}:{port};rport;branch={branch}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:{caller}@{host}:{port}>;tag=load{caller}\r\n"
    "To: <sip:12345@{server}>{to_tag}\r\n"
    "Call-ID: {call_id}\r\n"
    "CSeq: {sequence} {method}\r\n"
    "Contact: <sip:{caller}@{host}:{port}>\r\n"
)
_SDP = (
    "v=0\r\no=- {number} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {rtp_port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
_CALL_ID = re.compile(rb"^(?:call-id|i)\s*:\s*(\S+)", re.I | re.M)
_CSEQ = re.compile(rb"^cseq\s*:\s*(\d+)\s+([A-Z]+)", re.I | re.M)
_TO_TAG = re.compile(rb"^(?:to|t)\s*:.*?;\s*tag=([^;\s]+)", re.I | re.M)
_CONTACT = re.compile(rb"^(?:contact|m)\s*:.*?(sip:[^>\s]+)", re.I | re.M)
_ROUTE = re.compile(rb"^record-route\s*:\s*(.+?)\s*$", re.I | re.M)
_AUDIO_HOST = re.compile(rb"^c=IN IP4 ([\d.]+)", re.M)
_AUDIO_PORT = re.compile(rb"^m=audio (\d+) ", re.M)
_COPIED = re.compile(rb"^(?:via|v|from|f|to|t|call-id|i|cseq|record-route)\s*:.*\r\n", re.I | re.M)


@dataclass(frozen=True)
class Message:
    """What the generator reads of a message: `status` 0 for a request."""

    status: int
    method: str
    call_id: str
    to_tag: str
    contact: str
    routes: str  # the route set in our order (RFC 3261 section 12.1.2), as one header's value
    audio_host: str
    audio_port: int
    data: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Message | None":
        """None for what is no SIP message."""
        call_id, cseq = _CALL_ID.search(data), _CSEQ.search(data)
        if call_id is None or cseq is None:
            return None
        tag, contact = _TO_TAG.search(data), _CONTACT.search(data)
        host, port = _AUDIO_HOST.search(data), _AUDIO_PORT.search(data)
        return cls(
            status=int(data[8:11]) if data.startswith(b"SIP/2.0 ") else 0,
            method=cseq[2].decode(),
            call_id=call_id[1].decode("ascii", "replace"),
            to_tag=tag[1].decode("ascii", "replace") if tag else "",
            contact=contact[1].decode("ascii", "replace") if contact else "",
            routes=", ".join(reversed(b",".join(_ROUTE.findall(data)).decode("ascii", "replace").split(","))),
            audio_host=host[1].decode() if host else "",
            audio_port=int(port[1]) if port else 0,
            data=data,
        )

    def ok(self) -> bytes:
        """The 200 of a request."""
        return b"SIP/2.0 200 OK\r\n" + b"".join(_COPIED.findall(self.data)) + b"Content-Length: 0\r\n\r\n"


@dataclass
class Dialog:
    """One call's signalling; writes requests and remembers what the far end chose."""

    call_id: str
    caller: str
    number: int
    host: str
    port: int
    rtp_port: int
    server: str
    to_tag: str = ""
    target: str = ""
    routes: str = ""

    def request(self, method: str, sequence: int) -> bytes:
        """INVITE, its ACK (same sequence number) or BYE. The INVITE's ACK and BYE go to the far end's Contact."""
        body = ""
        if method == "INVITE":
            body = _SDP.format(number=self.number, host=self.host, rtp_port=self.rtp_port)
        headers = _HEADERS.format(
            host=self.host,
            port=self.port,
            caller=self.caller,
            server=self.server,
            branch=f"z9hG4bK{method}{self.call_id}",
            to_tag=f";tag={self.to_tag}" if self.to_tag else "",
            call_id=self.call_id,
            sequence=sequence,
            method=method,
        )
        routes = f"Route: {self.routes}\r\n" if self.routes else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        start = f"{method} {self.target or 'sip:12345@' + self.server} SIP/2.0\r\n"
        return f"{start}{headers}{routes}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def refused(self) -> bytes:
        """The ACK of a refusal, which belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3)."""
        return self.request("ACK", 1).replace(b"branch=z9hG4bKACK", b"branch=z9hG4bKINVITE", 1)
