"""What the hotline tells whom: the contract between the code that tells and the texts of the site. Pure.

A caller's texts never hold the demand: a phone is read by others too.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum

from asr.masking import mask_phone
from hotline.errors import InvalidInputError

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_WECOM = re.compile(r"@all|[A-Za-z0-9_.@+-]{1,64}")
MAX_ADDRESS = 128


class Channel(StrEnum):
    """A way to people."""

    SMS = "sms"
    EMAIL = "email"
    WECOM = "wecom"

    @property
    def label(self) -> str:
        """What people see."""
        return {"sms": "短信", "email": "邮件", "wecom": "企业微信"}[self.value]


class Audience(StrEnum):
    """Who is told. Only callers have hours of rest and may opt out."""

    CALLER = "caller"
    UNIT = "unit"
    CREW = "crew"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Kind:
    """One occasion. `values`: what its texts may name, and the longest of each in characters; longer ones are cut.

    `secret`: the text opens something, so it is forgotten as soon as it is sent.
    """

    label: str
    audience: Audience
    values: dict[str, int] = field(default_factory=dict)
    secret: bool = False


NUMBER, DUE, REASON, UNIT, TITLE, LINK, CODE = 16, 16, 40, 20, 30, 120, 6
UNCUT = frozenset({"link", "number", "code"})  # half of it is worth nothing
KINDS: dict[str, Kind] = {
    "received": Kind("诉求已受理", Audience.CALLER, {"number": NUMBER, "code": CODE}),
    "dispatched": Kind("已派单", Audience.CALLER, {"number": NUMBER, "unit": UNIT}),
    "extended": Kind("办理延期", Audience.CALLER, {"number": NUMBER, "due": DUE, "reason": REASON}),
    "suspended": Kind("暂缓办理", Audience.CALLER, {"number": NUMBER, "reason": REASON}),
    "done": Kind("已办理", Audience.CALLER, {"number": NUMBER, "unit": UNIT}),
    "rate": Kind("请评价", Audience.CALLER, {"number": NUMBER, "link": LINK}, secret=True),
    "to_sign": Kind("新工单待签收", Audience.UNIT, {"number": NUMBER, "title": TITLE, "tier": 12, "due": DUE}),
    "reminder": Kind("时限提醒", Audience.UNIT, {"number": NUMBER, "step": 8, "percent": 3, "due": DUE}),
    "overdue": Kind("超期", Audience.UNIT, {"number": NUMBER, "step": 8, "due": DUE}),
    "supervised": Kind("督办", Audience.UNIT, {"number": NUMBER, "reason": REASON, "due": DUE}),
    "redo": Kind("重办", Audience.UNIT, {"number": NUMBER, "reason": REASON, "due": DUE}),
    "sent_back": Kind("退回修改", Audience.UNIT, {"number": NUMBER, "reason": REASON}),
    "return_decided": Kind("退单审核结果", Audience.UNIT, {"number": NUMBER, "decision": 4, "reason": REASON}),
    "extension_decided": Kind("延期审核结果", Audience.UNIT, {"number": NUMBER, "decision": 4, "due": DUE}),
    "repair_link": Kind(
        "维修人员链接", Audience.CREW, {"number": NUMBER, "unit": UNIT, "link": LINK, "until": DUE}, secret=True
    ),
    "webhook_disabled": Kind("接口停用", Audience.OPERATOR, {"name": 64, "days": 3, "error": 120}),
    "test": Kind("测试", Audience.OPERATOR, {}),
}


@dataclass(frozen=True)
class Recipient:
    """Where a notice goes: a mobile number, an e-mail address, a member of a WeCom group (`@all`: all of them).

    Raises `InvalidInputError` for an address that is none.
    """

    channel: Channel
    address: str

    def __post_init__(self) -> None:
        form = {Channel.SMS: re.compile(r"\+?[0-9]{5,20}"), Channel.EMAIL: _EMAIL, Channel.WECOM: _WECOM}[self.channel]
        if not form.fullmatch(self.address) or len(self.address) > MAX_ADDRESS:
            raise InvalidInputError(f"不是{self.channel.label}的收件地址（{len(self.address)} 个字符）")

    @property
    def masked(self) -> str:
        """For logs and pages."""
        return masked(self.channel, self.address)

    @property
    def digest(self) -> str:
        """Stands for the address in keys."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:12]


def masked(channel: str, address: str) -> str:
    """An address of which only its owner recognises enough.

    >>> masked("sms", "13812345678"), masked("email", "zhang@example.cn")
    ('138****5678', 'z***@example.cn')
    """
    name, at, host = address.rpartition("@")
    if at and name:
        return f"{name[:1]}***@{host}"
    return address if address == "@all" else mask_phone(address)
