"""Replaces, Refer-To and sipfrag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import InvalidInputError
from ivr.sip.transfer import Replaces, TransferTarget, parse_sipfrag, write_sipfrag

TOKENS = st.text("abcXYZ019.-_~", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("value", "replaces"),
    [
        ("a@b;to-tag=1;from-tag=2", Replaces("a@b", "1", "2")),
        ("a ; from-tag=2 ; to-tag=1 ; early-only", Replaces("a", "1", "2", early_only=True)),
        ("a;x;to-tag=1;y=2;from-tag=2", Replaces("a", "1", "2")),
    ],
)
def test_a_replaces_is_read(value: str, replaces: Replaces) -> None:
    assert Replaces.parse(value) == replaces


@pytest.mark.parametrize(
    "value", ["", "a@b", "a;to-tag=1", "a;from-tag=1", "a b;to-tag=1;from-tag=2", "a;to-tag=;from-tag=2", "a" * 2000]
)
def test_what_names_no_dialog_is_no_replaces(value: str) -> None:
    with pytest.raises(InvalidInputError):
        Replaces.parse(value)


@given(TOKENS, TOKENS, TOKENS, st.booleans())
def test_an_attended_transfer_survives_the_header(call_id: str, to_tag: str, from_tag: str, early: bool) -> None:
    target = TransferTarget(
        "sip:1002@192.0.2.1:5062", "1002", "192.0.2.1", Replaces(f"{call_id}@x", to_tag, from_tag, early)
    )
    assert TransferTarget.parse(target.serialize()) == target


@pytest.mark.parametrize(
    ("value", "uri", "user", "host"),
    [
        ("<sip:1002@192.0.2.1>", "sip:1002@192.0.2.1", "1002", "192.0.2.1"),
        ("sip:1002@192.0.2.1;x=1", "sip:1002@192.0.2.1", "1002", "192.0.2.1"),
        ('"A <b>" <sips:%31@[::1]:5061;transport=tls>;p=1', "sips:%31@[::1]:5061;transport=tls", "1", "[::1]"),
        ("<sip:example.org;method=INVITE?Subject=x>", "sip:example.org;method=INVITE", "", "example.org"),
    ],
)
def test_a_refer_to_is_read(value: str, uri: str, user: str, host: str) -> None:
    target = TransferTarget.parse(value)
    assert (target.uri, target.user, target.host, target.replaces) == (uri, user, host, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<tel:110>",
        "<http://example.org>",
        "<sip:>",
        "<sip:a@b:0>",
        "<sip:a@b:99999>",
        "<sip:a@b c>",
        "<sip:a@b;method=BYE>",
        "<sip:a@b?Replaces=nonsense>",
        "<sip:" + "a" * 2000 + "@b>",
    ],
)
def test_what_cannot_be_called_is_refused(value: str) -> None:
    with pytest.raises(InvalidInputError):
        TransferTarget.parse(value)


@given(st.text())
def test_nothing_else_is_raised(value: str) -> None:
    for parse in (TransferTarget.parse, Replaces.parse, parse_sipfrag):
        try:
            parse(value)
        except InvalidInputError:
            continue


@pytest.mark.parametrize(
    ("body", "code"), [("SIP/2.0 100 Trying", 100), ("SIP/2.0 603 Decline\r\nTo: x\r\n", 603), ("SIP/2.0 200", 200)]
)
def test_a_sipfrag_is_read(body: str, code: int) -> None:
    assert parse_sipfrag(body) == code
    assert parse_sipfrag(write_sipfrag(code)) == code


@pytest.mark.parametrize("body", ["", "200 OK", "SIP/2.0 799 x", "SIP/2.0 2000", "INVITE sip:a@b SIP/2.0"])
def test_no_status_line_is_no_sipfrag(body: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_sipfrag(body)
