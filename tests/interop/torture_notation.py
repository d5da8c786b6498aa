"""How RFC 4475 writes its messages (section 2), and how they go over the wire.

`<hex>` stands for octets that can't be printed, `<repeat count=N>` for long repetitions, `<allOneLine>` for a line too
long for the page.
"""

import re

_BODY = """
v=0
o=mhandley 29739 7272939 IN IP4 {host}
s=-
c=IN IP4 {host}
t={start} 0
m=audio 49217 RTP/AVP 0 12
m=video 3227 RTP/AVP 31
a=rtpmap:31 LPC
"""


def sdp(host: str, start: str = "0") -> str:
    """The session description that most of the messages carry."""
    return _BODY.format(host=host, start=start)


def octets(text: str) -> bytes:
    """The message on the wire: notations resolved, lines ended by CRLF."""
    text = re.sub(r"<allOneLine>\n(.*?)\n</allOneLine>", lambda found: found[1].replace("\n", ""), text, flags=re.S)
    text = re.sub(r"<repeat count=(\d+)>(.*?)</repeat>", lambda found: int(found[1]) * found[2], text)
    parts = re.split(r"<hex>([0-9A-F\s]+)</hex>", text.removeprefix("\n"))
    return b"".join(
        bytes.fromhex(part) if index % 2 else part.replace("\n", "\r\n").encode("ascii")
        for index, part in enumerate(parts)
    )
