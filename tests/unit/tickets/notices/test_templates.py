"""The texts of notices."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hotline.errors import ConfigurationError, InvalidInputError
from hotline.settings import Settings
from tickets.notices.kinds import KINDS, Audience, Channel, Recipient, masked
from tickets.notices.templates import NoticeFile, Templates, fill, load_templates, longest_sms, segments

SITE = "延庆区12345热线"


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.notices.templates_path


@pytest.fixture
def templates(path: Path) -> Templates:
    return load_templates(path, max_segments=5)


def changed(path: Path, folder: Path, kind: str, **texts: object) -> Path:
    content = yaml.safe_load(path.read_text("utf-8"))
    content["kinds"][kind].update(texts)
    target = folder / "notices.yaml"
    target.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return target


def test_a_text_says_what_it_is_given(templates: Templates) -> None:
    text = templates.render("received", Channel.SMS, {"number": "YQ20260105000011", "code": "482913"}, site=SITE)
    assert text.body.startswith("您的诉求已受理，工单号YQ20260105000011，查询码482913。")
    letter = templates.render(
        "to_sign",
        Channel.EMAIL,
        {"number": "YQ20260105000011", "title": "路灯不亮", "tier": "T3 一般", "due": "2026-01-06 09:30"},
        site=SITE,
    )
    assert letter.subject == "新工单 YQ20260105000011 待签收（T3 一般）"
    assert f"{SITE}派来新工单" in letter.body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", Channel)
def test_every_text_of_the_bundled_file_can_be_filled_in(templates: Templates, kind: str, channel: Channel) -> None:
    if not templates.has(kind, channel):
        return
    text = templates.render(kind, channel, dict.fromkeys(KINDS[kind].values, "甲"), site=SITE)
    assert text.body
    assert "{" not in text.body + text.subject


def test_no_text_for_callers_holds_the_demand_and_every_kind_has_a_text(templates: Templates) -> None:
    for kind, contract in KINDS.items():
        assert any(templates.has(kind, channel) for channel in Channel), kind
        if contract.audience is Audience.CALLER:
            assert not {"title", "content", "address"} & set(contract.values)


def test_values_stay_on_their_line_and_are_never_read_as_templates(templates: Templates) -> None:
    values = {"number": "1", "title": "一\r\nBcc: x@y.cn\x00\u2028二{due}", "tier": "T3", "due": "明天"}
    letter = templates.render("to_sign", Channel.EMAIL, values, site=SITE)
    assert "标题：一 Bcc: x@y.cn 二{due}\n" in letter.body
    assert "\n" not in letter.subject


def test_a_long_value_is_cut_but_not_what_is_worth_nothing_by_half(templates: Templates) -> None:
    values = {"number": "1", "title": "路" * 31, "tier": "T3", "due": "明天"}
    assert f"{'路' * 29}…\n" in templates.render("to_sign", Channel.WECOM, values, site=SITE).body
    with pytest.raises(InvalidInputError, match="link of a notice has 121"):
        templates.render("rate", Channel.SMS, {"number": "1", "link": "x" * 121}, site=SITE)


def test_values_that_are_not_the_kinds_are_refused(templates: Templates) -> None:
    with pytest.raises(InvalidInputError, match=r"\['code', 'number'\], not \['number'\]"):
        templates.render("received", Channel.SMS, {"number": "1"}, site=SITE)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({"sms": "工单{nummer}"}, r"received.sms: unknown placeholder \{nummer\}"),
        ({"sms": "工单{number.__class__}"}, r"unknown placeholder \{number.__class__\}"),
        ({"sms": "工单{number!r}"}, r"unknown placeholder"),
        ({"sms": "工单{number"}, "a brace that is no placeholder"),
        ({"sms": "工单}"}, "a brace that is no placeholder"),
        ({"sms": "工单{}"}, "unknown placeholder"),
        ({"sms": "一\n二"}, "String should match pattern"),
        ({"sms": "路" * 336}, "received.sms may become 6 short messages"),
        ({"email": {"subject": "{code}\n", "text": "x"}}, "String should match pattern"),
        ({"email": {"subject": "{site}" * 16, "text": "x"}}, "email.subject may become longer than 200"),
        ({"email": {"subject": "x", "text": "{phone}"}}, r"received.email.text: unknown placeholder \{phone\}"),
        ({"keep_h": 0}, "greater than 0"),
        ({"fax": "x"}, "Extra inputs"),
    ],
)
def test_a_wrong_file_is_refused_naming_the_text(
    path: Path, tmp_path: Path, texts: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        load_templates(changed(path, tmp_path, "received", **texts), max_segments=5)


def test_a_file_without_a_kind_or_with_one_of_its_own_is_refused(path: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    content["kinds"]["parcel"] = content["kinds"].pop("redo")
    target = tmp_path / "notices.yaml"
    target.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(ConfigurationError, match="there are no texts for redo"):
        load_templates(target, max_segments=5)
    content["kinds"]["redo"] = content["kinds"]["parcel"]
    target.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(ConfigurationError, match="no notice is named parcel"):
        load_templates(target, max_segments=5)


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 1), ("路" * 70, 1), ("路" * 71, 2), ("路" * 134, 2), ("路" * 135, 3), ("a" * 70, 1), ("😀" * 36, 2)],
)
def test_short_messages_are_counted_in_utf16(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(max_size=500), st.text(max_size=50))
def test_a_longer_text_never_takes_fewer_messages(text: str, more: str) -> None:
    text, more = (part.encode("utf-16", "ignore").decode("utf-16") for part in (text, more))
    assert segments(text + more) >= segments(text)


@given(st.dictionaries(st.sampled_from(["number", "code"]), st.text(), min_size=2))
def test_filling_in_puts_each_value_once_and_reads_none(values: dict[str, str]) -> None:
    assert fill("{number}|{code}", values) == f"{values['number']}|{values['code']}"


def test_the_longest_message_of_a_kind_is_known_before_it_is_sent(templates: Templates) -> None:
    assert longest_sms("received", templates.kinds["received"].sms) == 1
    assert NoticeFile.model_fields["version"] is not None
    assert longest_sms("rate", templates.kinds["rate"].sms) == 3


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("sms", "13800138000"),
        ("sms", "+8613800138000"),
        ("email", "jing.wang@yanqing.example.cn"),
        ("wecom", "@all"),
        ("wecom", "zhang_san"),
    ],
)
def test_addresses_are_shown_masked(channel: str, address: str) -> None:
    recipient = Recipient(Channel(channel), address)
    assert address == "@all" or recipient.masked == masked(channel, address) != address
    assert len(recipient.digest) == 12


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("sms", ""),
        ("sms", "138-0013"),
        ("sms", "13800138000;13900139000"),
        ("email", "wang"),
        ("email", "a@b"),
        ("email", "a@b.cn\r\nBcc: c@d.cn"),
        ("email", "Wang <a@b.cn>"),
        ("email", f"{'a' * 64}@{'b' * 63}.{'c' * 63}"),
        ("wecom", "a b"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated_in_full(channel: str, address: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Recipient(Channel(channel), address)
    assert not address or address not in caught.value.message
