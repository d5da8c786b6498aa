"""Notices through an HTTP interface that a YAML file describes: SMS gateways, group robots.

Placeholders, in the address, the headers and the strings of the body: `{recipient}`, `{text}`, `{kind}`, `{key}` (the
identity of the message, 32 hexadecimal digits), `{template}` (what `templates` gives for the kind), `{values}` (the
values as a JSON object), `{value.NAME}` (one, empty where the kind has none), `{secret.NAME}` (from the settings).
"""

import hashlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from hotline.errors import ConfigurationError
from tickets.datafile import Table, load_data_file
from tickets.notices.channel import Message
from tickets.notices.delivery import DelayedError, RefusedError, UnsureError
from tickets.notices.http_client import Answer, exchange, parse_http_url
from tickets.notices.kinds import KINDS
from tickets.notices.templates import PLACEHOLDER, fill

NAMES = frozenset({"recipient", "text", "kind", "key", "template", "values"})
OURS = frozenset({401, 402, 403, 404, 405})  # our account or address is wrong: nothing gets through
BUSY = frozenset({408, 425, 429, 503})
Scalar = str | int | float | bool | None


class SuccessRule(Table):
    """When the far end has taken a message: its status, and what stands at these places of its JSON (`result.code`)."""

    status: tuple[int, ...] = (200, 201, 202, 204)
    answer: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict)


class GatewayFile(Table):
    """The file as it stands. `retry`: answers that mean "later", in the form of `success.answer`.

    `unsure`: what to do where the far end may have taken a message and did not say.
    """

    version: Literal[1]
    method: Literal["POST", "PUT"] = "POST"
    url: str
    headers: dict[str, str] = Field(default_factory=dict)
    json_body: dict[str, Any] | None = Field(None, alias="json")
    form: dict[str, str] | None = None
    success: SuccessRule = SuccessRule()
    retry: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    templates: dict[str, str] = Field(default_factory=dict)
    unsure: Literal["repeat", "hold"] = "repeat"


@dataclass(frozen=True)
class Gateway:
    """A gateway's description and what it needs of the settings."""

    file: GatewayFile
    secrets: Mapping[str, str] = field(repr=False)
    timeout_s: float = 20.0
    ca_file: Path | None = None


class GatewayChannel:
    """The adapter."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.repeats = gateway.file.unsure == "repeat"

    def deliver(self, message: Message) -> None:
        file = self._gateway.file
        if file.templates and message.kind not in file.templates:
            raise RefusedError(f"网关文件的 templates 里没有 {message.kind}")
        values = self._values(message)
        url = fill(file.url, {name: quote(text, safe="") for name, text in values.items()})
        headers = {name: _header(fill(text, values)) for name, text in file.headers.items()}
        if file.form is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            body = urlencode({name: fill(text, values) for name, text in file.form.items()}).encode()
        else:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
            body = json.dumps(_filled(file.json_body or {}, values), ensure_ascii=False).encode()
        answer = exchange(
            file.method,
            url,
            headers=headers,
            body=body,
            timeout_s=self._gateway.timeout_s,
            tls=tls_context(self._gateway.ca_file),
        )
        judge(answer, file)

    def check(self) -> None:
        """Nothing can be seen without sending: the file and the secrets were checked when they were read."""

    def _values(self, message: Message) -> dict[str, str]:
        named = {name: "" for kind in KINDS.values() for name in kind.values} | dict(message.values)
        return {
            "recipient": message.recipient,
            "text": message.text,
            "kind": message.kind,
            "key": hashlib.sha256(message.key.encode()).hexdigest()[:32],
            "template": self._gateway.file.templates.get(message.kind, ""),
            "values": json.dumps(dict(message.values), ensure_ascii=False),
            **{f"value.{name}": text for name, text in named.items()},
            **{f"secret.{name}": text for name, text in self._gateway.secrets.items()},
        }


def load_gateway(
    path: Path, secrets: Mapping[str, str], *, timeout_s: float = 20.0, ca_file: Path | None = None
) -> Gateway:
    """Reads and checks the file; raises `ConfigurationError` naming what is wrong."""
    file = load_data_file(path, GatewayFile)
    if (file.json_body is None) == (file.form is None):
        raise ConfigurationError(f"{path}: a gateway has either json or form")
    known = NAMES | {f"value.{name}" for kind in KINDS.values() for name in kind.values}
    texts = [file.url, *file.headers.values(), *_strings(file.json_body), *(file.form or {}).values()]
    for name in (name for text in texts for name in PLACEHOLDER.findall(text)):
        if name.startswith("secret."):
            if name.removeprefix("secret.") not in secrets:
                raise ConfigurationError(
                    f"{path}: {{{name}}} is not among the secrets of this channel",
                    hint="set it in notices.sms_secrets, notices.wecom_secrets or notices.secrets_file",
                )
        elif name not in known:
            raise ConfigurationError(
                f"{path}: unknown placeholder {{{name}}}", hint=f"there are {', '.join(sorted(known))}, secret.NAME"
            )
    try:
        parse_http_url(PLACEHOLDER.sub("x", file.url))
    except Exception as error:
        raise ConfigurationError(f"{path}: url: not an address that starts with https:// or http://") from error
    if unknown := sorted(set(file.templates) - set(KINDS)):
        raise ConfigurationError(f"{path}: templates: no notice is named {unknown[0]}")
    return Gateway(file, dict(secrets), timeout_s, ca_file)


def judge(answer: Answer, file: GatewayFile) -> None:
    """Returns where `answer` says that the message was taken; raises what else it says."""
    status = answer.status
    if status in file.success.status:
        if not file.success.answer:
            return
        content = _parsed(answer)
        if content is None:
            raise UnsureError(f"网关答复 {status}，但内容不是可读的 JSON")
        if all(_at(content, place) in wanted for place, wanted in file.success.answer.items()):
            return
        said = "、".join(f"{place}={_at(content, place)!r}" for place in file.success.answer)
        if any(_at(content, place) in listed for place, listed in file.retry.items()):
            raise DelayedError(f"网关要求稍后再试：{said}"[:300], whole=True)
        raise RefusedError(f"网关拒绝：{said}"[:300])
    if status in OURS or 300 <= status < 400:
        kind = "要求转到别的地址（不跟随）" if status < 400 else "不接受我们的账号或地址"
        raise DelayedError(f"网关{kind}：{status}", whole=True)
    if status in BUSY:
        raise DelayedError(f"网关暂不可用：{status}", whole=True, retry_after_s=retry_after(answer))
    if status >= 500:  # it may have failed after the message had gone on its way
        raise UnsureError(f"网关出错：{status}")
    raise RefusedError(f"网关拒绝：{status}")


def retry_after(answer: Answer) -> float:
    """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3); a date or nonsense: none."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0


@lru_cache(maxsize=8)
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What a far end's certificate is checked by; raises `ConfigurationError`."""
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise ConfigurationError(f"ca_file {ca_file}: {error.strerror or error}") from error


def _parsed(answer: Answer) -> Any:
    if not answer.complete:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _at(content: Any, place: str) -> Scalar:
    for part in place.split("."):
        if isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        elif isinstance(content, dict):
            content = content.get(part)
        else:
            return None
    return content if isinstance(content, Scalar) else None


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    return value


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _strings(item)]


def _header(text: str) -> str:
    """A header's value is ASCII on one line; anything else is percent-encoded."""
    return text if text.isascii() and text.isprintable() else quote(text)
