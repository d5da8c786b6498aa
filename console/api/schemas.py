"""What the interface says and takes: models with examples."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from tickets.lifecycle import Command, State
from tickets.taxonomy import TicketType, Tier


def _in_range(moment: datetime) -> datetime:
    if not 1900 <= moment.year <= 2200:
        raise ValueError("no such year")
    return moment.astimezone(UTC)


def _written(value: object) -> object:
    """Only the form of RFC 3339: the library would take numbers as seconds since 1970 as well."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value):
        raise ValueError("not of the form 2026-01-05T09:30:00+08:00")
    return value


def _encodable(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value, ensure_ascii=False).encode()  # a half of a surrogate pair is no text: a ValueError
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_range)]
Number = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}[0-9]{14}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{8,64}$")]
_NUMBER, _TIME = "YQ20260105000011", "2026-01-05T01:30:00Z"


class Out(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class TicketSummary(Out):
    """A line of the list; personal numbers are always masked."""

    number: str = Field(examples=[_NUMBER])
    state: State = Field(examples=["handling"])
    title: str = Field(examples=["张山营镇煤改电设备故障"])
    category: str = Field(description="一级/二级", examples=["供暖/煤改电设备"])
    type: str = Field(examples=["help"])
    tier: str = Field(description="时限等级 T1 至 T4", examples=["T2"])
    channel: str = Field(examples=["phone"])
    flags: list[str] = Field(examples=[["emergency"]])
    confidential: bool
    unit: str = Field(description="主办单位代码，未派单时为空", examples=["T07"])
    town: str = Field(examples=["张山营镇"])
    place: str = Field(examples=["张山营镇"])
    due_step: str = Field(description="等待的环节", examples=["sign_in"])
    due_at: datetime | None = Field(description="该环节的截止时间；没有或暂停计时为 null", examples=[_TIME])
    created_at: datetime = Field(examples=[_TIME])
    updated_at: datetime = Field(examples=[_TIME])
    closed_at: datetime | None = Field(examples=[None])
    version: int = Field(description="每次改变加一；也是 ETag", examples=[3])


class TicketPage(Out):
    """A page of the list."""

    items: list[TicketSummary]
    next: str | None = Field(description="下一页的 cursor；最后一页为 null", examples=[None])


class Petitioner(Out):
    """Who asks. Masked unless a reason was given; of who stays anonymous nothing is told without one."""

    kind: str = Field(description="person 或 enterprise", examples=["person"])
    name: str = Field(examples=["张先生"])
    phone: str = Field(examples=["138****8000"])
    anonymous: bool
    details: dict[str, Any] | None = Field(description="企业名称、共同诉求人等；仅在完整读取时给出", examples=[None])


class TicketDetail(TicketSummary):
    """All of a ticket but its history."""

    content: str = Field(examples=["家里煤改电设备坏了，电话 138****8000。"])
    caller: Petitioner
    address: str = Field(examples=["张山营镇某村 3 号"])
    community: str = Field(examples=[""])
    latitude: float | None = Field(examples=[40.46])
    longitude: float | None = Field(examples=[115.97])
    keywords: list[str] = Field(examples=[["煤改电"]])
    overlay: str = Field(description="专项时限", examples=["coal_to_electric"])
    co_units: list[str] = Field(description="协办单位代码", examples=[[]])
    handler: str = Field(examples=[""])
    merged_into: str | None = Field(description="并入的工单", examples=[None])
    passes: int = Field(description="办理轮次，重办加一", examples=[1])
    measures: str = Field(examples=["更换主板"])
    result: str = Field(examples=["已恢复供暖"])
    reply: str = Field(examples=[""])
    fee_cents: int | None = Field(description="收费，分", examples=[None])
    dispatched_at: datetime | None = Field(examples=[_TIME])
    signed_at: datetime | None = Field(examples=[_TIME])
    contacted_at: datetime | None = Field(examples=[None])
    on_site_at: datetime | None = Field(examples=[None])
    submitted_at: datetime | None = Field(examples=[None])
    has_call: bool = Field(description="有通话，可读 transcript")
    unmasked: bool = Field(description="个人信息是否完整")


class TicketEventOut(Out):
    """One event of the history."""

    sequence: int = Field(examples=[1])
    at: datetime = Field(examples=[_TIME])
    kind: str = Field(examples=["dispatch"])
    actor: str = Field(examples=["wang"])
    reason: str = Field(examples=[""])
    state_from: str = Field(description="改变了状态的事件才有", examples=["to_dispatch"])
    state_to: str = Field(examples=["to_sign"])


class EvidenceOut(Out):
    """Why an automatic field has its value."""

    field: str = Field(examples=["category"])
    value: str = Field(examples=["供暖/煤改电设备"])
    source: str = Field(examples=["transcript"])
    confidence: float = Field(examples=[0.93])
    quote: str = Field(examples=["煤改电设备坏了"])
    start_ms: int | None = Field(examples=[14200])
    end_ms: int | None = Field(examples=[16050])


class UtteranceOut(Out):
    """One sentence."""

    speaker: str = Field(description="caller、hotline 或 seat", examples=["caller"])
    start_ms: int = Field(examples=[14200])
    end_ms: int = Field(examples=[16050])
    text: str = Field(examples=["我家的煤改电设备坏了"])


class TranscriptOut(Out):
    """What was said in the ticket's call."""

    call_id: str = Field(examples=["c0ffee"])
    version: int = Field(examples=[1])
    origin: str = Field(examples=["live"])
    demo_model: bool = Field(description="由演示模型识别，不可信")
    utterances: list[UtteranceOut]


class UnitOut(Out):
    """Who handles tickets."""

    code: str = Field(examples=["T07"])
    name: str = Field(examples=["张山营镇"])
    kind: str = Field(description="town、department、company 或 office", examples=["town"])
    active: bool


class CategoryOut(Out):
    """A second-level category."""

    code: str = Field(description="稳定的代码，Open311 也用它", examples=["3f0c6a1e"])
    name: str = Field(examples=["供暖/煤改电设备"])
    matter: str = Field(examples=["煤改电设备故障"])
    tier: Tier
    type: TicketType


class CommandOut(Out):
    """A command, what it takes and who may give it."""

    command: Command
    label: str = Field(examples=["派单"])
    roles: list[str] = Field(examples=[["dispatcher"]])
    needs_reason: bool
    arguments: dict[str, Any] = Field(description="JSON Schema", examples=[{"type": "object"}])


class KeyOut(Out):
    """The key that asks."""

    name: str = Field(examples=["city-platform"])
    role: str = Field(examples=["dispatcher"])
    unit: str = Field(examples=[""])
    scopes: list[str] = Field(examples=[["read"]])


class CommandIn(BaseModel):
    """A command to a ticket."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"command": "dispatch", "arguments": {"unit": "T07", "basis": "direct"}, "reason": ""}]
        },
    )

    command: Command
    arguments: Annotated[dict[str, Any], AfterValidator(_encodable)] = Field(
        {}, description="见 GET /commands", max_length=30
    )
    reason: str = Field("", max_length=1000)


Channel = Literal["web", "app", "wechat", "visit", "letter", "transfer"]


class TicketIn(BaseModel):
    """A new ticket of another channel than the telephone. What is not given is taken from `content` if it is said."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "channel": "web",
                    "content": "永宁镇和平街路灯不亮一周了，晚上看不见路。",
                    "caller_name": "李女士",
                    "phone": "13900139000",
                    "town": "永宁镇",
                }
            ]
        },
    )

    channel: Channel
    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=4, max_length=10_000)]
    title: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    category: str = Field("", max_length=64, description="一级/二级，见 GET /categories；空则自动判断")
    type: TicketType | None = None
    tier: Tier | None = None
    caller_name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""
    phone: str = Field("", pattern=r"^[0-9+\- ]{0,32}$")
    caller_kind: Literal["person", "enterprise"] = "person"
    anonymous: bool = False
    confidential: bool = False
    place: str = Field("", max_length=64)
    address: str = Field("", max_length=200)
    town: str = Field("", max_length=64)
    community: str = Field("", max_length=64)
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class TicketMade(Out):
    """What the petitioner is told."""

    number: str = Field(examples=[_NUMBER])
    lookup_code: str = Field(description="查询码，只告诉诉求人", examples=["482913"])
    state: State = Field(examples=["to_dispatch"])
    version: int = Field(examples=[1])


class CommandDone(Out):
    """The ticket after a command."""

    number: str = Field(examples=[_NUMBER])
    state: State = Field(examples=["to_sign"])
    version: int = Field(examples=[4])
