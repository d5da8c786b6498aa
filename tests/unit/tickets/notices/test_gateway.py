"""Gateways that a file describes, spoken to for real."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import yaml
from http_receiver import Receiver, answer, run_receiver

from hotline.errors import ConfigurationError, HotlineError
from hotline.settings_sections import PACKAGE_ROOT
from tickets.notices.channel import MemoryChannel, Message, NoticeChannel
from tickets.notices.delivery import DelayedError, RefusedError, UnsureError
from tickets.notices.gateway import GatewayChannel, load_gateway

BUNDLED = PACKAGE_ROOT / "tickets/data/gateways"
MESSAGE = Message(
    key="received:YQ20260105000011:2:sms:abc",
    kind="received",
    recipient="13800138000",
    subject="",
    text='您的诉求已受理，"工单号"{code}\\',
    values={"number": "YQ20260105000011", "code": "482913"},
    created_at=datetime(2026, 1, 5, 1, 30, tzinfo=UTC),
)
SECRETS = {"token": "geheim", "host": "sms.example.cn", "key": "k", "account": "a", "password": "p&w"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


def gateway(path: Path, receiver: Receiver, folder: Path, **changes: object) -> GatewayChannel:
    """A bundled file as it is, but for its address."""
    content = yaml.safe_load(path.read_text("utf-8")) | {"url": f"{receiver.url}/send?key={{secret.key}}"} | changes
    target = folder / path.name
    target.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return GatewayChannel(load_gateway(target, SECRETS, timeout_s=2))


def attempt(channel: NoticeChannel) -> HotlineError | None:
    try:
        channel.deliver(MESSAGE)
    except HotlineError as error:
        return error
    return None


def test_a_json_gateway_gets_the_message_and_an_identity_that_stays(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [answer(200, b'{"code": 0}')]
    channel = gateway(BUNDLED / "sms_json.yaml", receiver, tmp_path)
    channel.check()
    assert attempt(channel) is None
    assert attempt(channel) is None
    first, second = receiver.received
    body = json.loads(first.body)
    assert body["to"] == "13800138000"
    assert body["content"] == MESSAGE.text  # what a text holds is never read as a placeholder
    assert first.headers["authorization"] == "Bearer geheim"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == body["client_id"]
    assert len(body["client_id"]) == 32
    assert "YQ20260105000011" not in body["client_id"]


def test_a_form_gateway_gets_its_templates_number_and_the_values(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [answer(200, b'{"status": "0"}')]
    assert attempt(gateway(BUNDLED / "sms_form.yaml", receiver, tmp_path)) is None
    form = {name: values[0] for name, values in parse_qs(receiver.received[0].body.decode()).items()}
    assert form["template"] == "100001"
    assert form["password"] == "p&w"
    assert json.loads(form["params"]) == {"number": "YQ20260105000011", "code": "482913"}


def test_a_notice_without_a_template_number_is_refused_here(receiver: Receiver, tmp_path: Path) -> None:
    channel = gateway(BUNDLED / "sms_form.yaml", receiver, tmp_path, templates={"done": "1"})
    assert isinstance(attempt(channel), RefusedError)
    assert receiver.received == []


def test_a_wecom_robot_says_in_json_whether_it_has_it(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [
        answer(200, b'{"errcode":0,"errmsg":"ok"}'),
        answer(200, b'{"errcode":45009,"errmsg":"api freq out of limit"}'),
        answer(200, b'{"errcode":93000,"errmsg":"invalid webhook url"}'),
    ]
    channel = gateway(BUNDLED / "wecom_robot.yaml", receiver, tmp_path)
    assert not channel.repeats
    assert attempt(channel) is None
    assert json.loads(receiver.received[0].body)["text"]["mentioned_mobile_list"] == ["13800138000"]
    assert receiver.received[0].target == "/send?key=k"
    assert isinstance(attempt(channel), DelayedError)
    refused = attempt(channel)
    assert isinstance(refused, RefusedError)
    assert "errcode=93000" in refused.message


@pytest.mark.parametrize(
    ("text", "kind", "whole"),
    [
        (answer(200, b'{"code": "0"}'), None, False),
        (answer(200, b'{"code": 1}'), RefusedError, False),
        (answer(200, b'{"result": {"code": 0}}'), RefusedError, False),
        (answer(200, b'{"code": {"a": 1}}'), RefusedError, False),
        (answer(200, b'{"code": 429}'), DelayedError, True),
        (answer(200, b"<html>"), UnsureError, False),
        (answer(200, b"\xff\xfe"), UnsureError, False),
        (answer(200, b"[" * 60_000), UnsureError, False),
        (answer(200, b'{"code": 0, "x": "' + b"x" * 200_000 + b'"}'), UnsureError, False),
        (answer(400, b'{"code": 0}'), RefusedError, False),
        (answer(302, b"", Location="http://127.0.0.1:1/"), DelayedError, True),
        (answer(401), DelayedError, True),
        (answer(404), DelayedError, True),
        (answer(429, b"", Retry_After="120"), DelayedError, True),
        (answer(503), DelayedError, True),
        (answer(500), UnsureError, False),
        (answer(504), UnsureError, False),
        (b"", UnsureError, False),
    ],
)
def test_what_an_answer_means(
    receiver: Receiver, tmp_path: Path, text: bytes, kind: type[HotlineError] | None, whole: bool
) -> None:
    receiver.answers = [text]
    error = attempt(gateway(BUNDLED / "sms_json.yaml", receiver, tmp_path))
    assert type(error) is (kind or type(None))
    assert getattr(error, "whole", False) is whole
    assert getattr(error, "retry_after_s", 0) == (120 if b"120" in text else 0)
    assert error is None or "geheim" not in error.message


@pytest.mark.parametrize("name", ["sms_json.yaml", "sms_form.yaml", "wecom_robot.yaml"])
def test_the_bundled_files_load(name: str) -> None:
    load_gateway(BUNDLED / name, SECRETS)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"json": {"a": ["{secret.nothing}"]}}, r"\{secret.nothing\} is not among the secrets"),
        ({"json": {"a": {"b": "{phone}"}}}, r"unknown placeholder \{phone\}"),
        ({"json": {"a": "{value.parcel}"}}, r"unknown placeholder \{value.parcel\}"),
        ({"json": {"a": "{text.__class__}"}}, "unknown placeholder"),
        ({"url": "ftp://x.example.cn/"}, "url: not an address"),
        ({"url": "x"}, "url: not an address"),
        ({"form": {"a": "b"}}, "either json or form"),
        ({"json": None}, "either json or form"),
        ({"templates": {"parcel": "1"}}, "no notice is named parcel"),
        ({"method": "GET"}, "Input should be 'POST' or 'PUT'"),
        ({"follow": True}, "Extra inputs"),
        ({"version": 2}, "Input should be 1"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    content = yaml.safe_load((BUNDLED / "sms_json.yaml").read_text("utf-8")) | changes
    target = tmp_path / "gateway.yaml"
    target.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(ConfigurationError, match=problem):
        load_gateway(target, SECRETS)


def test_secrets_are_in_no_representation(receiver: Receiver) -> None:
    assert "geheim" not in repr(load_gateway(BUNDLED / "sms_json.yaml", SECRETS))


def test_the_in_memory_channel_keeps_what_it_is_given() -> None:
    channel = MemoryChannel(answers=[DelayedError("busy"), None])
    channel.check()
    assert isinstance(attempt(channel), DelayedError)
    assert attempt(channel) is None
    assert channel.sent == [MESSAGE]
