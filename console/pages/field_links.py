"""Links for repair crews: made and ended on the ticket's page, shown once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from console import auth
from console.context import client_address, context_of
from console.rendering import render
from tickets.attachments.links import make_link, revoke_link, send_link
from tickets.commands import Desk
from tickets.repository import lock_ticket
from tickets.unit_repository import unit_by_code

router = APIRouter()


@router.post("/tickets/{number}/links", dependencies=[Depends(auth.check_csrf)])
def make(
    request: Request,
    principal: auth.Reader,
    number: str,
    crew: Annotated[str, Form(max_length=64)] = "",
    phone: Annotated[str, Form(max_length=32)] = "",
) -> Response:
    """Makes a link and shows it, this once; sends it where a phone is given."""
    context = context_of(request)
    desk: Desk = request.app.state.desk
    with context.database.transaction() as session:
        ticket = lock_ticket(session, number, principal.viewer)
        link, token = make_link(
            session,
            ticket,
            crew=crew,
            phone=phone,
            actor=principal.actor(client_address(request)),
            limits=context.settings.field,
            now=context.clock.now(),
        )
        address = f"{(context.settings.field.public_url or str(request.base_url)).rstrip('/')}/f/{token}"
        until = f"{link.expires_at.astimezone(context.settings.zone):%Y-%m-%d %H:%M}"
        unit = unit_by_code(session, link.unit).name
        sent = send_link(session, ticket, link, address=address, unit=unit, until=until, plan=desk.notices)
    values = {"number": number, "crew": link.crew, "address": address, "until": until, "sent": sent}
    return render(request, "field_link.html", {**values, "phone": link.phone, "code": qr_code(address)})


@router.post("/tickets/{number}/links/{link_id}/revoke", dependencies=[Depends(auth.check_csrf)])
def revoke(request: Request, principal: auth.Reader, number: str, link_id: int) -> Response:
    """Ends a link."""
    context = context_of(request)
    known = link_id if 0 < link_id < 2**31 else 0
    with context.database.transaction() as session:
        ticket = lock_ticket(session, number, principal.viewer)
        actor = principal.actor(client_address(request))
        revoke_link(session, ticket, known, actor=actor, now=context.clock.now())
    return RedirectResponse(f"/tickets/{number}#links", status_code=303)


def qr_code(text: str) -> str:
    """A QR code (ISO/IEC 18004) as SVG without styles, so that it stands in a page."""
    import segno

    return segno.make(text, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True)
