"""SDP policing and answers."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from ivr.media.types import PTIMES_MS, Codec, RtpAddress
from ivr.sdp import Direction, SessionVersion, parse_answer, parse_offer, write_answer, write_offer

OFFER = """\
v=0
o=- 1 1 IN IP4 127.0.0.2
s=-
c=IN IP4 127.0.0.2
t=0 0
m=audio 4000 RTP/AVP 8 0 101
a=rtpmap:101 telephone-event/8000
a=sendrecv
""".replace("\n", "\r\n")


def test_an_a_law_offer_is_understood() -> None:
    offer = parse_offer(OFFER)
    assert offer.remote.address == RtpAddress("127.0.0.2", 4000)
    assert offer.remote.codec is Codec.PCMA
    assert offer.remote.telephone_event == 101
    assert offer.remote.send
    assert offer.remote.receive


def test_the_offerer_s_first_codec_wins() -> None:
    assert parse_offer(OFFER.replace("8 0 101", "0 8 101")).remote.codec is Codec.PCMU
    assert parse_offer(OFFER.replace("8 0 101", "9 18 0 101")).remote.codec is Codec.PCMU


def test_a_call_in_progress_keeps_its_codec_wherever_it_is_listed() -> None:
    reordered = OFFER.replace("8 0 101", "0 8 101")
    assert parse_offer(reordered, keep=Codec.PCMA).remote.codec is Codec.PCMA
    assert parse_offer(OFFER.replace("8 0 101", "0 101"), keep=Codec.PCMA).remote.codec is Codec.PCMU


def test_the_media_section_s_address_wins() -> None:
    offer = parse_offer(OFFER + "c=IN IP4 127.0.0.9\r\n")
    assert offer.remote.address.host == "127.0.0.9"


def answered(*, offer_text: str, direction: Direction = Direction.SENDRECV) -> str:
    return write_answer(
        parse_offer(offer_text), host="127.0.0.1", port=20000, session_id=1, version=1, direction=direction
    )


@pytest.mark.parametrize(
    ("attribute", "send", "receive", "expected"),
    [
        ("sendonly", False, True, "recvonly"),
        ("recvonly", True, False, "sendonly"),
        ("inactive", False, False, "inactive"),
        ("sendrecv", True, True, "sendrecv"),
    ],
)
def test_directions_are_answered(attribute: str, send: bool, receive: bool, expected: str) -> None:
    offer = parse_offer(OFFER.replace("sendrecv", attribute))
    assert (offer.remote.send, offer.remote.receive) == (send, receive)
    assert f"a={expected}\r\n" in answered(offer_text=OFFER.replace("sendrecv", attribute))


@pytest.mark.parametrize(
    "text",
    [
        OFFER.replace("c=IN IP4 127.0.0.2", "c=IN IP4 0.0.0.0"),
        OFFER.replace("c=IN IP4 127.0.0.2", "c=IN IP6 ::"),
        OFFER.replace("c=IN IP4 127.0.0.2", "c=IN IP6 0:0:0:0:0:0:0:0"),
        OFFER + "c=IN IP4 0.0.0.0\r\n",
        OFFER.replace("sendrecv", "sendonly") + "c=IN IP4 0.0.0.0\r\n",
    ],
    ids=["session", "IPv6", "IPv6 in full", "media", "with a direction"],
)
def test_a_zero_address_is_a_hold(text: str) -> None:
    offer = parse_offer(text)
    assert offer.direction is Direction.INACTIVE
    assert (offer.remote.send, offer.remote.receive) == (False, False)
    assert "a=inactive\r\n" in answered(offer_text=text)


def test_a_session_s_direction_holds_where_the_media_says_none() -> None:
    session = OFFER.replace("a=sendrecv\r\n", "").replace("t=0 0", "a=sendonly\r\nt=0 0")
    assert parse_offer(session).direction is Direction.SENDONLY
    assert parse_offer(session + "a=recvonly\r\n").direction is Direction.RECVONLY
    assert parse_offer(OFFER.replace("a=sendrecv\r\n", "")).direction is Direction.SENDRECV


@pytest.mark.parametrize(
    ("offered", "ours", "expected"),
    [
        ("sendrecv", Direction.SENDONLY, "sendonly"),
        ("sendonly", Direction.SENDONLY, "inactive"),
        ("recvonly", Direction.SENDONLY, "sendonly"),
        ("inactive", Direction.SENDRECV, "inactive"),
    ],
)
def test_a_call_that_we_hold_stays_held_when_the_far_end_offers(offered: str, ours: Direction, expected: str) -> None:
    assert f"a={expected}\r\n" in answered(offer_text=OFFER.replace("sendrecv", offered), direction=ours)


def test_g722_is_taken_only_where_the_caller_of_the_function_speaks_it() -> None:
    text = OFFER.replace("8 0 101", "9 8 101") + "a=rtpmap:9 G722/8000\r\n"
    assert parse_offer(text).remote.codec is Codec.PCMA
    offer = parse_offer(text, codecs=(Codec.PCMA, Codec.G722))
    assert offer.remote.codec is Codec.G722
    answer = write_answer(offer, host="127.0.0.1", port=20000, session_id=1, version=1)
    assert "m=audio 20000 RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\n" in answer


def test_a_codec_is_known_by_its_name_under_any_dynamic_payload_type() -> None:
    text = OFFER.replace("8 0 101", "18 96 101") + "a=rtpmap:96 pcma/8000/1\r\n"
    remote = parse_offer(text).remote
    assert (remote.codec, remote.audio_type) == (Codec.PCMA, 96)
    assert "m=audio 20000 RTP/AVP 96 101\r\na=rtpmap:96 PCMA/8000\r\n" in answered(offer_text=text)
    assert parse_offer(OFFER).remote.audio_type == 8
    assert parse_answer(text, offered=(Codec.PCMA,)).audio_type == 96


@pytest.mark.parametrize("name", ["", "PCMA/16000", "PCMA/8000/2", "PCMX/8000"])
def test_a_codec_of_another_name_is_none_of_ours(name: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER.replace("8 0 101", "96 101") + f"a=rtpmap:96 {name}\r\n")


@pytest.mark.parametrize("payload_type", [96, 97, 100, 127, 35])
def test_digits_come_under_whatever_payload_type_names_them(payload_type: int) -> None:
    text = OFFER.replace("101", str(payload_type)).replace("telephone-event", "Telephone-Event")
    assert parse_offer(text).remote.telephone_event == payload_type
    answer = answered(offer_text=text)
    assert f"m=audio 20000 RTP/AVP 8 {payload_type}\r\n" in answer
    assert f"a=rtpmap:{payload_type} telephone-event/8000\r\n" in answer


@pytest.mark.parametrize(("old", "new"), [("8 0 101", "8 0"), ("telephone-event/8000", "telephone-event/16000")])
def test_digits_of_another_clock_or_not_listed_are_not_agreed(old: str, new: str) -> None:
    assert parse_offer(OFFER.replace(old, new)).remote.telephone_event is None
    assert "telephone-event" not in answered(offer_text=OFFER.replace(old, new))


def test_comfort_noise_is_agreed_where_it_is_offered() -> None:
    assert not parse_offer(OFFER).remote.comfort_noise
    text = OFFER.replace("8 0 101", "8 13 101")
    assert parse_offer(text).remote.comfort_noise
    assert "m=audio 20000 RTP/AVP 8 13 101\r\n" in answered(offer_text=text)


@pytest.mark.parametrize(
    ("attributes", "ptime_ms"),
    [
        ("", 20),
        ("a=ptime:10", 10),
        ("a=ptime:30", 30),
        ("a=ptime:60", 60),
        ("a=ptime:200", 60),
        ("a=ptime:25", 20),
        ("a=ptime:5", 10),
        ("a=ptime:0", 20),
        ("a=ptime:-20", 20),
        ("a=ptime:2e1", 20),
        ("a=ptime:", 20),
        ("a=ptime:999999999999999999999999", 60),
        ("a=maxptime:10", 10),
        ("a=maxptime:40", 20),
        ("a=maxptime:many", 20),
        ("a=ptime:40\r\na=maxptime:30", 30),
        ("a=ptime:30\r\na=maxptime:150", 30),
    ],
)
def test_packets_are_as_long_as_the_far_end_wants_and_we_can(attributes: str, ptime_ms: int) -> None:
    assert parse_offer(OFFER + attributes).remote.ptime_ms == ptime_ms


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("a=rtcp:53020", RtpAddress("127.0.0.2", 53020)),
        ("a=rtcp:53020 IN IP4 127.0.0.9", RtpAddress("127.0.0.9", 53020)),
        ("a=rtcp:53020 IN IP6 ::1", RtpAddress("::1", 53020)),
        ("a=rtcp:0", None),
        ("a=rtcp:x", None),
        ("a=rtcp:53020 IN IP4 pbx.example.com", None),
        ("a=rtcp:53020 IN IP4", None),
        ("a=rtcp-mux", None),
    ],
)
def test_reports_go_where_the_far_end_wants_them(attribute: str, expected: RtpAddress | None) -> None:
    assert parse_offer(OFFER + attribute).remote.rtcp == expected


def test_one_port_for_media_and_reports_is_not_agreed() -> None:
    assert "rtcp" not in answered(offer_text=OFFER + "a=rtcp-mux\r\na=rtcp:4000\r\n")


def test_the_first_audio_that_suits_is_taken() -> None:
    secure = "m=audio 4002 RTP/SAVP 8\r\n"
    foreign = "m=audio 4004 RTP/AVP 18\r\na=sendonly\r\n"
    named = "m=audio 4006 RTP/AVP 8\r\nc=IN IP4 pbx.example.com\r\n"
    closed = "m=audio 0 RTP/AVP 8\r\n"
    second = "m=audio 4008 RTP/AVP 0\r\n"
    text = OFFER.replace("m=audio", secure + foreign + named + closed + "m=audio") + second
    offer = parse_offer(text)
    assert (offer.audio_index, offer.remote.address.port, offer.direction) == (4, 4000, Direction.SENDRECV)
    ports = [line.split()[1] for line in answered(offer_text=text).split("\r\n") if line.startswith("m=")]
    assert ports == ["0", "0", "0", "0", "20000", "0"]


def test_ipv6_is_spoken() -> None:
    offer = parse_offer(OFFER.replace("c=IN IP4 127.0.0.2", "c=IN IP6 2001:db8::2"))
    assert offer.remote.address == RtpAddress("2001:db8::2", 4000)
    answer = write_answer(offer, host="2001:db8::1", port=20000, session_id=1, version=1)
    assert "o=hotline 1 1 IN IP6 2001:db8::1\r\n" in answer
    assert "c=IN IP6 2001:db8::1\r\n" in answer


def test_other_media_lines_are_answered_with_port_zero_in_order() -> None:
    text = OFFER.replace("m=audio", "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio")
    answer = write_answer(parse_offer(text), host="127.0.0.1", port=20000, session_id=1, version=1)
    lines = [line for line in answer.split("\r\n") if line.startswith("m=")]
    assert lines == ["m=video 0 RTP/AVP 96", "m=audio 20000 RTP/AVP 8 101"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=audio 4000", "m=audio 0"),
        ("m=audio 4000", "m=audio 70000"),
        ("m=audio 4000", "m=audio -1"),
        ("m=audio 4000", "m=audio 9999999999999999999999"),
        ("m=audio 4000", "m=audio ４０００"),
        ("RTP/AVP", "RTP/SAVP"),
        ("8 0 101", "18 9 101"),
        ("8 0 101", "8 0 x"),
        ("8 0 101", ""),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 pbx.example.com"),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 999.1.1.1"),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 224.0.0.1"),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 255.255.255.255"),
        ("c=IN IP4 127.0.0.2", "c=IN IP6 ff02::1"),
        ("c=IN IP4 127.0.0.2", "c=IN IP6 fe80::1%lo"),
        ("c=IN IP4 127.0.0.2", "c=IN IP6 127.0.0.2"),
        ("c=IN IP4 127.0.0.2", "c=IN IP4 ::1"),
        ("c=IN IP4 127.0.0.2", "c=IN"),
        ("c=IN IP4 127.0.0.2\r\n", ""),
        ("m=audio 4000 RTP/AVP 8 0 101", "k=none"),
        ("v=0\r\n", ""),
        ("s=-", "nonsense"),
        ("a=rtpmap:101", "a=rtpmap:1000"),
    ],
)
def test_what_cannot_work_is_refused(old: str, new: str) -> None:
    assert old in OFFER
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER.replace(old, new, 1))


def test_an_endless_offer_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER + "a=x\r\n" * 300)
    with pytest.raises(InvalidInputError):
        parse_offer(OFFER + "a=" + "x" * 9000)


# --- what we offer, and the answer to it ---


def test_our_offer_is_what_a_telephone_expects() -> None:
    assert write_offer(host="127.0.0.1", port=20000, session_id=7, version=3) == (
        "v=0\r\no=hotline 7 3 IN IP4 127.0.0.1\r\ns=hotline\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_the_first_codec_of_an_answer_counts() -> None:
    assert parse_answer(OFFER).codec is Codec.PCMA
    assert parse_answer(OFFER.replace("8 0 101", "0 8 101")).codec is Codec.PCMU
    assert parse_answer(OFFER.replace("8 0 101", "9 0"), offered=(Codec.G722, Codec.PCMA)).codec is Codec.G722


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("8 0 101", "0 101"),
        ("8 0 101", "101"),
        ("m=audio 4000", "m=audio 0"),
        ("m=audio 4000", "m=video 4000"),
        ("RTP/AVP", "RTP/SAVP"),
        ("c=IN IP4 127.0.0.2\r\n", ""),
        ("m=audio 4000 RTP/AVP 8 0 101", "k=none"),
    ],
    ids=["a codec not offered", "digits alone", "refused", "video", "encryption", "no address", "no media"],
)
def test_an_answer_that_does_not_answer_our_offer_is_refused(old: str, new: str) -> None:
    assert old in OFFER
    with pytest.raises(InvalidInputError):
        parse_answer(OFFER.replace(old, new, 1), offered=(Codec.PCMA,))


@pytest.mark.parametrize(
    ("theirs", "ours", "send", "receive"),
    [
        ("sendrecv", Direction.SENDRECV, True, True),
        ("recvonly", Direction.SENDONLY, True, False),
        ("inactive", Direction.SENDONLY, False, False),
        ("sendrecv", Direction.SENDONLY, True, False),
        ("sendrecv", Direction.INACTIVE, False, False),
    ],
)
def test_an_answer_gives_no_more_than_we_offered(theirs: str, ours: Direction, send: bool, receive: bool) -> None:
    remote = parse_answer(OFFER.replace("sendrecv", theirs), direction=ours)
    assert (remote.send, remote.receive) == (send, receive)


def test_the_version_rises_only_with_a_change() -> None:
    versions = SessionVersion()

    def offered(direction: Direction) -> str:
        return versions.describe(
            lambda version: write_offer(
                host="127.0.0.1", port=20000, session_id=7, version=version, direction=direction
            )
        )

    first = offered(Direction.SENDRECV)
    assert "o=hotline 7 1 IN" in first
    assert offered(Direction.SENDRECV) == first
    assert "o=hotline 7 2 IN" in (held := offered(Direction.SENDONLY))
    assert offered(Direction.SENDONLY) == held
    assert "o=hotline 7 3 IN" in offered(Direction.SENDRECV)


hosts = st.one_of(st.just("192.0.2.7"), st.ip_addresses(v=6).map(str)).filter(
    lambda host: not ip_address(host).is_multicast and not ip_address(host).is_unspecified
)
codec_lists = st.lists(st.sampled_from(Codec), min_size=1, unique=True)


@given(hosts, st.integers(1, 65535), codec_lists, st.none() | st.integers(96, 127), st.sampled_from(Direction))
def test_what_we_offer_is_understood_as_it_was_meant(
    host: str, port: int, codecs: list[Codec], telephone_event: int | None, direction: Direction
) -> None:
    text = write_offer(
        host=host,
        port=port,
        session_id=1,
        version=1,
        codecs=codecs,
        telephone_event=telephone_event,
        direction=direction,
    )
    offer = parse_offer(text, codecs=list(Codec))
    assert offer.remote.address == RtpAddress(str(ip_address(host)), port)
    assert (offer.remote.codec, offer.remote.telephone_event) == (codecs[0], telephone_event)
    assert offer.direction is direction
    answer = write_answer(offer, host="192.0.2.1", port=20000, session_id=2, version=1)
    remote = parse_answer(answer, offered=codecs, direction=direction)
    assert (remote.codec, remote.telephone_event) == (codecs[0], telephone_event)
    assert (remote.send, remote.receive) == (direction.sends, direction.receives)


# --- garbage ---


@given(st.text(max_size=300))
def test_garbage_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_offer(text)
    with pytest.raises(InvalidInputError):
        parse_answer(text)


rough_numbers = st.integers(-1, 2**70).map(str) | st.sampled_from(["", "x", "٣", "1.5", "0x10"])
rough_lines = st.one_of(
    st.sampled_from([*OFFER.split("\r\n"), "m=audio 1 RTP/AVP 0", "a=rtpmap:", "c=IN IP6 ::1", "c=IN IP4 0.0.0.0"]),
    st.builds("m=audio {} RTP/AVP {} {}".format, rough_numbers, rough_numbers, rough_numbers),
    st.builds("a={}:{} {}".format, st.sampled_from(["rtpmap", "ptime", "maxptime", "rtcp"]), rough_numbers, st.text()),
    st.builds("c=IN IP{} {}".format, st.sampled_from("46"), st.ip_addresses() | st.text(max_size=9)),
    st.builds("{}={}".format, st.characters(), st.text(max_size=20)),
)


@given(st.lists(rough_lines, max_size=20))
def test_rough_lines_are_understood_or_refused(lines: list[str]) -> None:
    text = "\r\n".join(["v=0", *lines])
    try:
        offer = parse_offer(text, codecs=list(Codec))
    except InvalidInputError:
        return
    assert offer.lines[offer.audio_index].kind == "audio"
    assert offer.remote.ptime_ms in PTIMES_MS
    again = parse_offer(write_answer(offer, host="127.0.0.1", port=2, session_id=1, version=1), codecs=list(Codec))
    assert again.remote.codec is offer.remote.codec


@given(st.lists(rough_lines, max_size=20))
def test_rough_answers_are_understood_or_refused(lines: list[str]) -> None:
    try:
        assert parse_answer("\r\n".join(["v=0", *lines])).codec in (Codec.PCMA, Codec.PCMU)
    except InvalidInputError:
        return
