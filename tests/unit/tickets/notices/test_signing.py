"""Signatures of webhooks: the specification's own example, and what a receiver must refuse."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from tickets.notices.signing import derive_secret, format_secret, headers, message_id, parse_secret, sign, verify

# The example of the specification's reference libraries.
SECRET = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def accepted(
    signatures: str = SIGNATURE,
    *,
    body: bytes = BODY,
    late_s: float = 0,
    timestamp: str = "1614265330",
    message: str = MESSAGE,
    secret: bytes = SECRET,
) -> bool:
    now = AT + timedelta(seconds=late_s)
    return verify(secret, message=message, timestamp=timestamp, signatures=signatures, body=body, now=now)


def test_the_example_of_the_specification() -> None:
    assert sign(SECRET, message=MESSAGE, at=AT, body=BODY) == SIGNATURE
    assert accepted()


def test_a_receiver_refuses_what_was_changed_replayed_or_signed_by_somebody_else() -> None:
    assert not accepted(body=BODY + b" ")
    assert not accepted(message="msg_other")
    assert not accepted(timestamp="1614265331")
    assert not accepted(secret=bytes(24))
    assert not accepted(late_s=301)
    assert not accepted(late_s=-301)
    assert not accepted(timestamp="now")
    assert not accepted(timestamp="9" * 40)
    assert not accepted("")
    assert not accepted("v1,路")


def test_one_of_several_signatures_is_enough() -> None:
    new = derive_secret(bytes(32), "00" * 32)
    sent = headers([new, SECRET], message=MESSAGE, at=AT, body=BODY)
    assert sent["webhook-id"] == MESSAGE
    assert sent["webhook-timestamp"] == "1614265330"
    assert accepted(sent["webhook-signature"])
    assert accepted(sent["webhook-signature"], secret=new)


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_is_read_as_it_is_written(secret: bytes) -> None:
    assert parse_secret(format_secret(secret)) == secret


def test_what_is_no_secret_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        parse_secret("whsec_路灯")


def test_secrets_of_two_subscriptions_or_two_sites_differ() -> None:
    made = {derive_secret(key, salt) for key in (bytes(32), b"1" * 32) for salt in ("00" * 32, "01" * 32)}
    assert len(made) == 4
    assert all(len(secret) == 32 for secret in made)


def test_an_identity_has_no_full_stop_and_is_the_keys_own() -> None:
    assert message_id("a:1:2") == message_id("a:1:2") != message_id("a:1:3")
    assert "." not in message_id("a.b")
