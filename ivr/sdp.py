"""SDP offers and answers (RFC 3264): what of the far end's audio we take, and what we write. Pure.

Only what a telephone needs is understood: one audio stream over RTP/AVP with a codec of ours, telephone-event
(RFC 4733) at any payload type, comfort noise (RFC 3389). Anything else is refused with `InvalidInputError`, which the
signalling answers with 488. RTP and RTCP on one port (RFC 5761) is not ours: an offer of it goes unanswered, and the
offerer keeps two ports.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from hotline.errors import InvalidInputError
from ivr.media.rtp import COMFORT_NOISE
from ivr.media.types import Codec, RemoteMedia, RtpAddress
from ivr.sdp_text import DEFAULT_PTIME_MS, STATIC_NAMES, Direction, MediaLine, MediaSection, parse_sections

__all__ = ["Direction", "MediaLine", "Offer", "SessionVersion", "parse_answer", "parse_offer"]
__all__ += ["write_answer", "write_offer"]

DEFAULT_CODECS = (Codec.PCMA, Codec.PCMU)
TELEPHONE_EVENT = 101
"""The payload type that we offer for digits; customary, of the dynamic range."""


@dataclass(frozen=True)
class Offer:
    """An acceptable offer: `remote` says how to talk to the far end, `lines` what must be answered, in order."""

    remote: RemoteMedia
    direction: Direction
    lines: tuple[MediaLine, ...]
    audio_index: int


class SessionVersion:
    """The version of our o= line: one higher exactly when what we say has changed (RFC 3264 section 8)."""

    def __init__(self) -> None:
        self._version = 1
        self._last = ""

    def describe(self, write: Callable[[int], str]) -> str:
        """The description that `write(version)` makes, with the version that is due."""
        text = write(self._version)
        if self._last and text != self._last:
            self._version += 1
            text = write(self._version)
        self._last = text
        return text


def parse_offer(text: str, *, keep: Codec | None = None, codecs: Sequence[Codec] = DEFAULT_CODECS) -> Offer:
    """Reads and polices an offer; raises `InvalidInputError` saying what is wrong with it.

    The first audio stream that has one of our `codecs` is taken, the others are refused when it is answered. Of its
    codecs the offerer's first counts, or in a re-INVITE the call's present one, `keep`, wherever it is listed.
    """
    sections = parse_sections(text)
    lines = tuple(section.line for section in sections)
    problem = InvalidInputError("no RTP/AVP audio offered")
    for index, section in enumerate(sections):
        line = section.line
        if (line.kind, line.protocol) == ("audio", "RTP/AVP") and line.port != 0:
            try:
                remote, direction = _remote(section, codecs, keep), section.direction()
            except InvalidInputError as error:
                problem = error
            else:
                return Offer(remote=remote, direction=direction, lines=lines, audio_index=index)
    raise problem


def parse_answer(
    text: str, *, offered: Sequence[Codec] = DEFAULT_CODECS, direction: Direction = Direction.SENDRECV
) -> RemoteMedia:
    """Reads the answer to our offer of one audio stream in `direction`; raises `InvalidInputError`.

    It may list several of the codecs `offered`: the first counts. Port 0 refuses the stream.
    """
    section = parse_sections(text)[0]
    line = section.line
    if (line.kind, line.protocol) != ("audio", "RTP/AVP"):
        raise InvalidInputError(f"SDP answer of {line.kind[:20]} over {line.protocol[:20]} to an offer of audio")
    if line.port == 0:
        raise InvalidInputError("the far end refused the audio stream")
    return _remote(section, offered, None, ours=direction)


def write_offer(
    *,
    host: str,
    port: int,
    session_id: int,
    version: int,
    codecs: Sequence[Codec] = DEFAULT_CODECS,
    telephone_event: int | None = TELEPHONE_EVENT,
    direction: Direction = Direction.SENDRECV,
) -> str:
    """Our offer of one audio stream at the numeric `host` and RTP `port`, the codec we like best first."""
    types = {codec.value: codec for codec in codecs}
    audio = _audio(port, types, telephone_event=telephone_event, comfort_noise=False, direction=direction)
    return _session(host, session_id, version, audio)


def write_answer(
    offer: Offer,
    *,
    host: str,
    port: int,
    session_id: int,
    version: int,
    direction: Direction = Direction.SENDRECV,
) -> str:
    """The answer to `offer` with our numeric `host` and RTP `port`: as much of our `direction` as the offer allows."""
    media = []
    for index, line in enumerate(offer.lines):
        if index != offer.audio_index:
            media.append(f"m={line.kind} 0 {line.protocol} {' '.join(line.formats)}")
            continue
        media += _audio(
            port,
            {offer.remote.audio_type: offer.remote.codec},
            telephone_event=offer.remote.telephone_event,
            comfort_noise=offer.remote.comfort_noise,
            direction=Direction.of(
                sends=direction.sends and offer.direction.receives,
                receives=direction.receives and offer.direction.sends,
            ),
        )
    return _session(host, session_id, version, media)


def _remote(
    section: MediaSection, codecs: Sequence[Codec], keep: Codec | None, *, ours: Direction = Direction.SENDRECV
) -> RemoteMedia:
    """What a section that carries audio asks of us, we taking part as `ours` says."""
    types, names = section.payload_types(), section.names()
    listed = [(item, codec) for item in types for codec in codecs if names.get(item) == STATIC_NAMES[codec.value]]
    if not listed:
        raise InvalidInputError(f"none of {', '.join(codec.name for codec in codecs)} in {types}")
    payload_type, codec = next((pair for pair in listed if pair[1] is keep), listed[0])
    theirs = section.direction()
    try:
        address = RtpAddress(section.host(), section.line.port)
    except ValueError as error:
        raise InvalidInputError(f"SDP port {section.line.port}") from error
    return RemoteMedia(
        address=address,
        codec=codec,
        telephone_event=next((item for item in types if names.get(item) == "TELEPHONE-EVENT/8000"), None),
        send=theirs.receives and ours.sends,
        receive=theirs.sends and ours.receives,
        ptime_ms=section.ptime_ms(),
        comfort_noise=COMFORT_NOISE in types,
        rtcp=section.rtcp(),
        payload_type=None if payload_type == codec.value else payload_type,
    )


def _session(host: str, session_id: int, version: int, media: Sequence[str]) -> str:
    address = f"IN IP{ip_address(host).version} {host}"
    lines = ["v=0", f"o=hotline {session_id} {version} {address}", "s=hotline", f"c={address}", "t=0 0", *media]
    return "\r\n".join(lines) + "\r\n"


def _audio(
    port: int,
    codecs: Mapping[int, Codec],
    *,
    telephone_event: int | None,
    comfort_noise: bool,
    direction: Direction,
) -> list[str]:
    names = {payload_type: STATIC_NAMES[codec.value] for payload_type, codec in codecs.items()}
    if comfort_noise:
        names[COMFORT_NOISE] = STATIC_NAMES[COMFORT_NOISE]
    if telephone_event is not None:
        names[telephone_event] = "telephone-event/8000"
    events = [] if telephone_event is None else [f"a=fmtp:{telephone_event} 0-15"]
    return [
        f"m=audio {port} RTP/AVP {' '.join(str(item) for item in names)}",
        *(f"a=rtpmap:{item} {name}" for item, name in names.items()),
        *events,
        f"a=ptime:{DEFAULT_PTIME_MS}",
        f"a={direction.value}",
    ]


def unknown_remote(peer: str, codec: Codec) -> RemoteMedia:
    """A far end that has not yet said where it listens, nor that it speaks our first `codec`: nothing is sent to it."""
    return RemoteMedia(
        address=RtpAddress(peer.strip("[]") or "127.0.0.1", 9), codec=codec, telephone_event=None, send=False
    )
