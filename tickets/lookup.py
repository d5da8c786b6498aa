"""How a ticket stands, for a caller who has its number and lookup code. Never commits.

The code has six digits, so guessing is bounded: after so many wrong codes of one caller, or for one ticket, nothing is
found for a while, whatever is asked. An unknown ticket, a wrong code and a spent bound look the same from outside.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from hotline.errors import InvalidInputError
from hotline.settings_sections import TicketSettings
from tickets import repository
from tickets.lifecycle import State
from tickets.numbering import parse_number

SUBJECT = "ticket_progress"


def ticket_progress(
    session: Session, values: Mapping[str, str], *, call_id: str, bounds: TicketSettings, now: datetime
) -> dict[str, str] | None:
    """The ticket's `status`, a state of `tickets.lifecycle`; None where nothing fits or the bound is spent.

    `values`: `ticket_number` (the 14 digits, without the site's letters), `ticket_code`, `caller` (may be empty).
    """
    number = f"{bounds.number_prefix}{values.get('ticket_number', '')}"
    try:
        parse_number(number)
    except InvalidInputError:
        return None  # a slip of the finger: the check digit says so to everybody
    repository.forget_failures(session, now - timedelta(seconds=bounds.lookup_window_s))
    ticket = repository.find_ticket(session, number)
    given = repository.find_number(session, number) if ticket is None else None
    asker = f"caller:{values.get('caller') or call_id}"[:80]
    spent = [(repository.lock_failures(session, asker, now), bounds.lookup_failures_per_caller)]
    if ticket is not None or given is not None:
        spent.append((repository.lock_failures(session, f"ticket:{number}", now), bounds.lookup_failures_per_ticket))
    if any(row.failures >= bound for row, bound in spent):
        return None
    code = ticket.lookup_code if ticket else given.lookup_code if given else ""
    if code and secrets.compare_digest(code.encode(), values.get("ticket_code", "").encode()):
        return {"status": ticket.state if ticket else State.ACCEPTING.value}
    for row, _ in spent:
        row.failures += 1
    session.flush()
    return None
