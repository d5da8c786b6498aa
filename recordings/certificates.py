"""Deletion certificates: what was deleted by which rule, when and by whom, each sealing those before it. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One deletion. `files`: name, SHA-256 and size of each as the store held it; of rows, their digest and number.

    It names calls and tickets by id and holds nothing that a caller said or is called.
    """

    number: int
    """1 for the first; no gaps."""
    at: datetime
    kind: str
    call_id: str
    ticket: str
    rule: str
    due_at: datetime
    actor: str
    files: list[dict[str, Any]]
    previous: str
    digest: str


def sealed(certificate: Certificate) -> Certificate:
    """The certificate with the SHA-256 of everything it says and of the digest before it."""
    fields = asdict(certificate)
    del fields["digest"]
    fields |= {name: fields[name].isoformat(timespec="microseconds") for name in ("at", "due_at")}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return replace(certificate, digest=hashlib.sha256(text.encode()).hexdigest())


def faults(certificates: Iterable[Certificate]) -> Iterator[tuple[int, str]]:
    """The numbers of certificates that do not follow from those before them, and what is wrong."""
    number, previous = 0, GENESIS
    for certificate in certificates:
        if certificate.number != number + 1:
            yield certificate.number, f"certificates {number + 1} to {certificate.number - 1} are gone"
        elif certificate.previous != previous:
            yield certificate.number, "the certificate before it is not the one that it was added to"
        elif sealed(certificate).digest != certificate.digest:
            yield certificate.number, "its row was changed"
        number, previous = certificate.number, certificate.digest


def as_text(certificate: Certificate) -> str:
    """A page to print."""
    lines = [
        f"删除证书 第 {certificate.number} 号",
        "",
        f"删除时间：{certificate.at.isoformat(timespec='seconds')}",
        f"删除内容：{KINDS.get(certificate.kind, certificate.kind)}",
        *([f"通话编号：{certificate.call_id}"] if certificate.call_id else []),
        *([f"工单编号：{certificate.ticket}"] if certificate.ticket else []),
        f"依据规则：{certificate.rule}",
        f"到期时间：{certificate.due_at.isoformat(timespec='seconds')}",
        f"执行人：{certificate.actor}",
        "",
        *(f"{item['name']}  {item['size_bytes']}  SHA-256 {item['sha256']}" for item in certificate.files),
        "",
        f"前一证书摘要：{certificate.previous}",
        f"本证书摘要：{certificate.digest}",
    ]
    return "\n".join(lines) + "\n"


AUDIO, ACCESS_LOG = "audio", "access_log"
KINDS = {AUDIO: "通话录音（含波形与分轨）", ACCESS_LOG: "访问日志"}
