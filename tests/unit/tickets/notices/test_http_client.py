"""One bounded exchange with a far end that may be slow, hostile, or where it should not be."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from http_receiver import Receiver, answer, run_receiver
from hypothesis import given
from hypothesis import strategies as st

from console.certificates import ensure_certificates, server_context
from hotline.errors import InvalidInputError
from hotline.settings import Settings
from tickets.notices.delivery import DelayedError, UnsureError
from tickets.notices.http_client import (
    MAX_ANSWER_BYTES,
    Answer,
    exchange,
    is_public,
    parse_http_url,
    public_or_within,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


def post(url: str, *, timeout_s: float = 5, **options: object) -> Answer:
    return exchange("POST", url, headers={"X-Test": "1"}, body=b"{}", timeout_s=timeout_s, **options)  # type: ignore[arg-type]


def test_a_request_arrives_whole_and_its_answer_comes_back(receiver: Receiver) -> None:
    receiver.answers = [answer(201, b"made", Retry_After="7")]
    got = post(f"{receiver.url}/a?b=c")
    assert (got.status, got.body, got.complete, got.headers["retry-after"]) == (201, b"made", True, "7")
    [request] = receiver.received
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b"{}")
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["x-test"] == "1"
    assert request.headers["content-length"] == "2"


def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver) -> None:
    receiver.answers = [answer(307, b"", Location=f"{receiver.url}/elsewhere")]
    assert post(receiver.url).status == 307
    assert len(receiver.received) == 1


def test_a_huge_answer_is_read_only_so_far(receiver: Receiver) -> None:
    receiver.answers = [answer(200, b"x" * (4 * MAX_ANSWER_BYTES))]
    got = post(receiver.url)
    assert (len(got.body), got.complete) == (MAX_ANSWER_BYTES, False)


def test_headers_without_end_are_given_up(receiver: Receiver) -> None:
    receiver.answers = [b"HTTP/1.1 200 x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(50_000))]
    with pytest.raises(UnsureError):
        post(receiver.url)


@pytest.mark.parametrize(
    "text", [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nab"]
)
def test_a_far_end_that_breaks_off_or_speaks_something_else_may_have_it(receiver: Receiver, text: bytes) -> None:
    receiver.answers = [text]
    with pytest.raises(UnsureError, match="请求已发出"):
        post(receiver.url)
    assert len(receiver.received) == 1


def test_a_far_end_that_is_silent_may_have_it(receiver: Receiver) -> None:
    receiver.silent = True
    with pytest.raises(UnsureError):
        post(receiver.url, timeout_s=0.2)


def test_an_octet_now_and_then_does_not_hold_us_for_ever(receiver: Receiver) -> None:
    receiver.drip = True
    receiver.answers = [answer(200, b"x" * 10_000)]
    with pytest.raises(UnsureError, match="timed out"):
        post(receiver.url, timeout_s=0.3)


def test_a_far_end_that_is_not_there_has_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DelayedError) as caught:
        post(f"http://127.0.0.1:{port}/secret-path?key=geheim")
    assert caught.value.whole
    assert "geheim" not in caught.value.message


def test_a_name_without_an_address_is_tried_later() -> None:
    with pytest.raises(DelayedError, match=r"nowhere\.invalid"):
        post("http://nowhere.invalid/")


def test_an_address_that_is_not_allowed_gets_no_connection(receiver: Receiver) -> None:
    with pytest.raises(DelayedError, match=r"127\.0\.0\.1 is not an address that may be sent to"):
        post(receiver.url, check=public_or_within(()))
    with pytest.raises(DelayedError, match="is not an address that may be sent to"):
        post(f"http://localhost:{receiver.port}", check=public_or_within([ip_network("10.0.0.0/8")]))
    assert receiver.received == []
    assert post(receiver.url, check=public_or_within([ip_network("127.0.0.0/8")])).status == 200


def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert post(receiver.url).status == 200


def test_https_needs_a_certificate_that_we_trust(settings: Settings) -> None:
    files = ensure_certificates(settings, now=datetime.now(UTC))
    with run_receiver(server_context(files)) as receiver:
        trusting = ssl.create_default_context(cafile=str(files.authority))
        assert post(receiver.url, tls=trusting).status == 200
        with pytest.raises(DelayedError, match="certificate verify failed"):
            post(receiver.url)
        assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2400:3200::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_a_private_network_that_is_allowed_is_so_in_ipv6_clothes_too() -> None:
    check = public_or_within([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert check(ip_address("::ffff:10.0.0.1"))
    assert check(ip_address("fd00::1"))
    assert not check(ip_address("192.168.0.1"))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://a.example.cn/x?y=1@2", ("https", "a.example.cn")),
        ("http://10.0.0.1:8080", ("http", "10.0.0.1")),
        ("https://[fd00::1]:443/", ("https", "fd00::1")),
    ],
)
def test_addresses_that_can_be_sent_to(url: str, parts: tuple[str, str]) -> None:
    assert parse_http_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example.cn",
        "ftp://a.example.cn",
        "file:///etc/passwd",
        "https://",
        "https://user:pass@a.example.cn/",
        "https://a.example.cn\\@evil.example/",
        "https://a.example.cn/ x",
        "https://a.example.cn/\r\nX: y",
        "https://a.example.cn/#x",
        "https://路灯.cn/",
        "https://a.example.cn:0/",
        "https://a.example.cn:99999/",
        "https://[::1/",
    ],
)
def test_addresses_that_cannot(url: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_http_url(url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        scheme, host = parse_http_url(text)
    except InvalidInputError:
        return
    assert scheme in ("http", "https")
    assert host
