"""Changing tickets: new ones, and commands to those there are."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from sqlalchemy.orm import Session

from console.api import auth, schemas
from console.api.once import REPLAYED, Answer, answer, answer_once, digest
from console.api.problems import ChangedError, VersionRequiredError, documented
from console.api.tickets import matches
from console.context import ConsoleContext, context_of
from hotline.bus import Event
from tickets import repository
from tickets.commands import CHANGED, CommandRequest, Desk, Outcome, perform
from tickets.intake import Demand, take_demand
from tickets.lifecycle import State
from tickets.models import Ticket

router = APIRouter(prefix="/tickets", tags=["changes"])
IdempotencyKey = Annotated[
    schemas.Key | None,
    Header(description="同一个值的请求只生效一次，再次发送得到同样的回答；保留 api.idempotency_hours 小时"),
]
IfMatch = Annotated[str | None, Header(description="所依据的版本，即工单的 ETag；* 为任何版本", max_length=200)]
_REPLAYED = {REPLAYED: {"description": "true：先前的回答", "schema": {"type": "string"}}}
_ETAG = {"ETag": {"description": "工单的版本", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "新工单的地址", "schema": {"type": "string"}}}


@router.post(
    "",
    summary="登记工单",
    status_code=201,
    response_model=schemas.TicketMade,
    responses={201: {"headers": _LOCATION | _ETAG | _REPLAYED}, **documented(400, 409, 413)},
)
def create_ticket(
    request: Request, client: auth.Creator, body: schemas.TicketIn, idempotency_key: IdempotencyKey = None
) -> Any:
    """Of a demand that did not come by telephone; it gets a number and waits for dispatch."""
    context = context_of(request)
    desk: Desk = request.app.state.desk
    said = {name: value for name, value in body.model_dump().items() if value is not None}
    demand, made = Demand(**said), list[Ticket]()

    def act(session: Session) -> Answer:
        settings = context.settings
        ticket = take_demand(
            session,
            demand,
            actor=client.actor,
            desk=desk,
            prefix=settings.tickets.number_prefix,
            zone=settings.zone,
            now=context.clock.now(),
        )
        made.append(ticket)
        told = schemas.TicketMade(
            number=ticket.number, lookup_code=ticket.lookup_code, state=State(ticket.state), version=ticket.version
        )
        return answer(201, told, Location=f"/api/v1/tickets/{ticket.number}", ETag=f'"{ticket.version}"')

    response = answer_once(
        context, client, key=idempotency_key, request=digest("create", body.model_dump_json()), act=act
    )
    for ticket in made:
        publish_created(context, ticket)
    return response


@router.post(
    "/{number}/commands",
    summary="办理工单",
    response_model=schemas.CommandDone,
    responses={200: {"headers": _ETAG | _REPLAYED}, **documented(400, 404, 409, 412, 413, 428)},
)
def command_ticket(
    request: Request,
    client: auth.Commander,
    number: schemas.Number,
    body: schemas.CommandIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """One command, as far as the key's role and unit may, on the version that If-Match names."""
    context, outcomes = context_of(request), list[Outcome]()
    desk: Desk = request.app.state.desk

    def act(session: Session) -> Answer:
        ticket = repository.lock_ticket(session, number, client.viewer)
        if if_match is None:
            raise VersionRequiredError("须用 If-Match 头给出所依据的版本", hint="先读取工单，取其 ETag")
        if not matches(if_match, f'"{ticket.version}"'):
            raise _changed(ticket)
        asked = CommandRequest(
            body.command,
            body.arguments,
            body.reason,
            key=digest(str(client.key_id), idempotency_key) if idempotency_key else None,
        )
        outcome = perform(session, ticket, asked, actor=client.actor, desk=desk, now=context.clock.now())
        outcomes.append(outcome)
        told = schemas.CommandDone(number=number, state=State(ticket.state), version=ticket.version)
        return answer(200, told, ETag=f'"{ticket.version}"')

    text = digest("command", number, body.model_dump_json())
    response: Response = answer_once(context, client, key=idempotency_key, request=text, act=act)
    for outcome in outcomes:
        if not outcome.repeated:
            _publish_changed(context, outcome)
    return response


def publish_created(context: ConsoleContext, ticket: Ticket) -> None:
    """Tells pages and rules of a new ticket, after its transaction."""
    data = {"ticket_id": ticket.id, "number": ticket.number, "call_id": None, "confidential": ticket.confidential}
    context.bus.publish(Event(name="ticket.created", at=context.clock.now(), data=data))


def _publish_changed(context: ConsoleContext, outcome: Outcome) -> None:
    ticket = outcome.ticket
    data = {"number": ticket.number, "ticket_id": ticket.id, "command": outcome.event.kind, "state": ticket.state}
    context.bus.publish(Event(name=CHANGED, at=context.clock.now(), data=data))


def _changed(ticket: Ticket) -> ChangedError:
    error = ChangedError("工单已被他人更新", hint="请重新读取工单，再决定是否办理")
    error.version = ticket.version
    return error
