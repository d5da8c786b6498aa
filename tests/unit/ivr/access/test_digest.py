"""Digest authentication: the RFC's own examples, replays, guesses, and what is no header at all."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from ivr.access.digest import Algorithm, Credentials, DigestAuthenticator, Verdict, ha1

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
REALM = "hotline"
SECRETS = {each: ha1(each, username="8001", realm=REALM, password="right") for each in Algorithm}


def authenticator(**changes: int) -> DigestAuthenticator:
    return DigestAuthenticator(realm=REALM, secret=b"k" * 32, **changes)


def signed(
    nonce: str,
    *,
    password: str = "right",
    algorithm: Algorithm = Algorithm.SHA256,
    nc: int | None = 1,
    username: str = "8001",
    realm: str = REALM,
    method: str = "REGISTER",
) -> Credentials:
    counted = {} if nc is None else {"qop": "auth", "nc": f"{nc:08x}", "cnonce": "c"}
    unsigned = Credentials(username, realm, nonce, "sip:hotline", "", algorithm, **counted)
    secret = ha1(algorithm, username=username, realm=realm, password=password)
    response = unsigned.expected(secret, method=method)
    return Credentials(username, realm, nonce, "sip:hotline", response, algorithm, **counted)


def nonce_of(digest: DigestAuthenticator, now: datetime = NOW) -> str:
    return digest.challenges(now)[0].split('nonce="')[1].split('"')[0]


def verify(digest: DigestAuthenticator, credentials: Credentials, now: datetime = NOW) -> Verdict:
    return digest.verify(credentials, method="REGISTER", secrets=SECRETS, now=now)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm: Algorithm, response: str) -> None:
    header = (
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        f"algorithm={algorithm}, "
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
        f'response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    credentials = Credentials.parse(header)
    secret = ha1(algorithm, username="Mufasa", realm="http-auth@example.org", password="Circle of Life")
    assert credentials.expected(secret, method="GET") == credentials.response == response


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_the_right_secret_is_granted_and_the_wrong_one_refused(algorithm: Algorithm) -> None:
    digest = authenticator()
    nonce = nonce_of(digest)
    assert verify(digest, signed(nonce, algorithm=algorithm, password="wrong")) is Verdict.REFUSED
    assert verify(digest, signed(nonce, algorithm=algorithm)) is Verdict.GRANTED


def test_the_secret_of_one_request_does_not_sign_another() -> None:
    digest = authenticator()
    assert verify(digest, signed(nonce_of(digest), method="INVITE")) is Verdict.REFUSED


def test_a_message_that_was_listened_to_works_no_second_time() -> None:
    digest = authenticator()
    nonce = nonce_of(digest)
    first, second = signed(nonce, nc=1), signed(nonce, nc=2)
    assert [verify(digest, each) for each in (first, second, second, first)] == [
        Verdict.GRANTED,
        Verdict.GRANTED,
        Verdict.STALE,
        Verdict.STALE,
    ]


def test_without_a_counter_a_nonce_works_once() -> None:
    digest = authenticator()
    old_phone = signed(nonce_of(digest), nc=None, algorithm=Algorithm.MD5)
    assert verify(digest, old_phone) is Verdict.GRANTED
    assert verify(digest, old_phone) is Verdict.STALE
    assert verify(digest, signed(old_phone.nonce, nc=9)) is Verdict.STALE


def test_an_old_nonce_is_stale_and_one_of_the_future_too() -> None:
    digest = authenticator()
    credentials = signed(nonce_of(digest))
    assert verify(digest, credentials, NOW + timedelta(seconds=301)) is Verdict.STALE
    assert verify(digest, credentials, NOW - timedelta(seconds=10)) is Verdict.STALE
    assert "stale=true" in digest.challenges(NOW, stale=True)[0]


def test_a_nonce_of_another_process_is_stale_only_for_who_knows_the_secret() -> None:
    other = DigestAuthenticator(realm=REALM, secret=b"o" * 32)
    nonce = nonce_of(other)
    assert verify(authenticator(), signed(nonce)) is Verdict.STALE
    assert verify(authenticator(), signed(nonce, password="wrong")) is Verdict.REFUSED
    assert verify(authenticator(), signed("*not base64*")) is Verdict.STALE


def test_nobody_signs_in_as_one_who_does_not_exist() -> None:
    digest = authenticator()
    for password in ("", "right", "wrong"):
        credentials = signed(nonce_of(digest), username="9999", password=password)
        assert digest.verify(credentials, method="REGISTER", secrets=None, now=NOW) is Verdict.REFUSED


def test_another_realm_is_refused() -> None:
    digest = authenticator()
    assert verify(digest, signed(nonce_of(digest), realm="elsewhere")) is Verdict.REFUSED


def test_an_algorithm_that_is_not_offered_is_refused() -> None:
    digest = DigestAuthenticator(realm=REALM, secret=b"k" * 32, algorithms=(Algorithm.SHA256,))
    assert verify(digest, signed(nonce_of(digest), algorithm=Algorithm.MD5)) is Verdict.REFUSED


def test_what_is_remembered_is_bounded_and_a_forgotten_nonce_is_not_usable_again() -> None:
    digest = authenticator(max_nonces=3)
    nonces = [nonce_of(digest, NOW + timedelta(milliseconds=each)) for each in range(5)]
    later = NOW + timedelta(seconds=1)
    assert [verify(digest, signed(nonce), later) for nonce in nonces] == [Verdict.GRANTED] * 5
    assert [verify(digest, signed(nonce), later) for nonce in nonces] == [Verdict.STALE] * 5
    assert len(digest._counts) == 3
    verify(digest, signed(nonce_of(digest, NOW + timedelta(seconds=400))), NOW + timedelta(seconds=400))
    assert len(digest._counts) == 1


def test_the_best_algorithm_is_offered_first() -> None:
    first, second = authenticator().challenges(NOW)
    assert "algorithm=SHA-256" in first
    assert "algorithm=MD5" in second
    assert 'qop="auth"' in first


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic YTpi",
        "Digest",
        'Digest username="a"',
        'Digest username="a", username="b", realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a, realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth-int, nc=00000001, cnonce="c"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, nc=1, cnonce="c"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", algorithm=MD5-sess',
        f'Digest username="{"a" * 2000}", realm="r", nonce="n", uri="u", response="x"',
    ],
)
def test_what_is_no_digest_is_refused(header: str) -> None:
    with pytest.raises(InvalidInputError):
        Credentials.parse(header)


def test_quotes_and_commas_within_quotes_are_part_of_the_value() -> None:
    parsed = Credentials.parse(r'digest username="a\"b,c",realm="r", nonce="n",uri="sip:x;y=z" , response="AB"')
    assert (parsed.username, parsed.uri, parsed.response) == ('a"b,c', "sip:x;y=z", "ab")


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for header in (text, f"Digest {text}"):
        try:
            Credentials.parse(header)
        except InvalidInputError:
            continue


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_any_credentials_get_a_verdict(nonce: str, username: str, response: str) -> None:
    credentials = Credentials(username, REALM, nonce, "u", response, Algorithm.MD5)
    assert verify(authenticator(), credentials) is Verdict.REFUSED
