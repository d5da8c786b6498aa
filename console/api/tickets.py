"""Reading tickets: lists, one, its history, evidence and transcript."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from asr.masking import digits_in
from asr.repository import latest_transcript
from console.api import auth, schemas, views
from console.api.cursors import LENGTH, format_cursor, parse_cursor
from console.api.problems import documented
from console.api.scopes import Scope
from console.context import context_of
from hotline.errors import InvalidInputError, NotFoundError
from tickets import list_repository
from tickets.lifecycle import State
from tickets.list_repository import Place, TicketQuery
from tickets.models import Ticket
from tickets.taxonomy import Tier

router = APIRouter(prefix="/tickets", tags=["tickets"])
MAX_DIGITS = 2  # a search with more is for a number: the texts hold hidden ones
_ETAG = {"ETag": {"description": "工单的版本", "schema": {"type": "string"}, "example": '"3"'}}
_NEXT = {"Link": {"description": '下一页：<…>; rel="next"', "schema": {"type": "string"}}}
Unmask = Annotated[
    schemas.Reason | None,
    Query(description="给出原因则返回完整个人信息；需要权限 personal，每次读取记入审计日志"),
]


class Filters(BaseModel):
    """What a ticket must match, and which page."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field([], max_length=len(State), description="可多次给出")
    category: str = Field("", max_length=64, description="一级，或一级/二级")
    unit: str = Field("", max_length=32, description="主办单位代码")
    town: str = Field("", max_length=64)
    tier: Tier | None = None
    channel: str = Field("", max_length=16)
    flag: str = Field("", pattern=r"^[a-z_]{0,32}$")
    created_from: schemas.Moment | None = None
    created_before: schemas.Moment | None = None
    due_before: schemas.Moment | None = Field(None, description="截止时间早于此刻")
    q: str = Field("", max_length=100, description="标题、内容、属地、地址的一部分；不能按号码查找")
    limit: int | None = Field(None, ge=1, description="一页几条；不给则用 api.page_size，最多 api.max_page_size")
    cursor: str = Field("", max_length=LENGTH, description="上一页的 next")

    def wanted(self) -> TicketQuery:
        """As the repository takes it; raises `InvalidInputError`."""
        text = self.q.strip()
        if digits_in(text) > MAX_DIGITS:
            raise InvalidInputError("不能按号码查找内容", hint="按工单编号读取请用 /tickets/{number}")
        return TicketQuery(
            states=tuple(state.value for state in self.state),
            category=self.category,
            unit=self.unit,
            town=self.town,
            tier=self.tier or "",
            channel=self.channel,
            flag=self.flag,
            created_from=self.created_from,
            created_before=self.created_before,
            due_before=self.due_before,
            text=text,
        )

    def given(self) -> str:
        """The filters as a query, without the page."""
        plain = self.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_defaults=True)
        return urlencode(plain, doseq=True)


@router.get(
    "",
    summary="工单列表，新的在前",
    responses={200: {"headers": _NEXT}, **documented(400)},
)
def list_tickets(
    request: Request, response: Response, client: auth.Reader, filters: Annotated[Filters, Query()]
) -> schemas.TicketPage:
    """Those that the key may see; personal numbers masked."""
    context = context_of(request)
    bounds = context.settings.api
    limit = min(filters.limit or bounds.page_size, bounds.max_page_size)
    given = filters.given()
    after = parse_cursor(filters.cursor, given)
    with context.database.reading() as session:
        found = list_repository.list_tickets(session, client.viewer, filters.wanted(), after=after, limit=limit + 1)
        items = [views.summary(ticket) for ticket in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
    following = format_cursor(Place(last.created_at, last.id), given) if last else None
    if following:
        page = urlencode({"limit": limit, "cursor": following})
        response.headers["Link"] = f'</api/v1/tickets?{f"{given}&" if given else ""}{page}>; rel="next"'
    return schemas.TicketPage(items=items, next=following)


@router.get(
    "/{number}",
    summary="一张工单",
    response_model=schemas.TicketDetail,
    responses={
        200: {"headers": _ETAG},
        304: {"description": "没有变化（If-None-Match）", "headers": _ETAG},
        **documented(404),
    },
)
def read_ticket(request: Request, client: auth.Reader, number: schemas.Number, unmask: Unmask = None) -> Any:
    """Personal data masked, or in full with a reason."""
    context = context_of(request)
    if unmask is None:
        with context.database.reading() as session:
            shown = _detail(session, client, number, full=False)
    else:
        client.check(Scope.PERSONAL)
        with context.database.transaction() as session:
            shown = _detail(session, client, number, full=True)
            auth.log_unmasking(session, context, client, subject=number, reason=unmask)
    etag = f'"{shown.version}"'
    if unmask is None and matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(shown.model_dump_json(), headers={"ETag": etag}, media_type="application/json")


@router.get("/{number}/events", summary="工单的经过", responses=documented(404))
def read_events(request: Request, client: auth.Reader, number: schemas.Number) -> list[schemas.TicketEventOut]:
    """Everything that was done, in order."""
    with context_of(request).database.reading() as session:
        return [views.event(item) for item in visible(session, client, number).events]


@router.get("/{number}/evidence", summary="自动要素的依据", responses=documented(404))
def read_evidence(request: Request, client: auth.Reader, number: schemas.Number) -> list[schemas.EvidenceOut]:
    """Why each automatic field has its value; of who stays anonymous nothing is told."""
    with context_of(request).database.reading() as session:
        ticket = visible(session, client, number)
        return [views.evidence(item) for item in ticket.evidence if views.may_tell(ticket, item.field)]


@router.get("/{number}/transcript", summary="通话转写", responses=documented(404))
def read_transcript(
    request: Request, client: auth.Listener, number: schemas.Number, unmask: Unmask = None
) -> schemas.TranscriptOut:
    """The version that counts; personal numbers masked, or in full with a reason."""
    context = context_of(request)
    if unmask is None:
        with context.database.reading() as session:
            return _transcript(session, client, number, full=False)
    client.check(Scope.PERSONAL)
    with context.database.transaction() as session:
        shown = _transcript(session, client, number, full=True)
        auth.log_unmasking(session, context, client, subject=number, reason=unmask)
        return shown


def visible(session: Session, client: auth.ApiClient, number: str) -> Ticket:
    """The ticket, where the key may see it; raises `NotFoundError`."""
    ticket = list_repository.visible_ticket(session, client.viewer, number)
    if ticket is None:
        raise NotFoundError("没有这个工单", hint="请核对工单编号，以及密钥的角色和单位")
    return ticket


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match or If-Match header names `etag` (RFC 9110, section 13.1): `*`, or a list of tags."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag in tags


def _detail(session: Session, client: auth.ApiClient, number: str, *, full: bool) -> schemas.TicketDetail:
    ticket = visible(session, client, number)
    parent = list_repository.number_of_ticket(session, client.viewer, ticket.parent_id) if ticket.parent_id else None
    return views.detail(ticket, merged_into=parent, full=full)


def _transcript(session: Session, client: auth.ApiClient, number: str, *, full: bool) -> schemas.TranscriptOut:
    ticket = visible(session, client, number)
    found = latest_transcript(session, ticket.call_id) if ticket.call_id else None
    if found is None:
        raise NotFoundError("此工单没有通话转写")
    return views.transcript(found, full=full)
