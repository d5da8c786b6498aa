"""Tickets with call-backs, as figures read them, for tests of rates and figures."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tickets.models import Ticket, Unit
from tickets.survey_models import Survey

NOVEMBER = datetime(2026, 11, 3, 4, tzinfo=UTC)
UNITS = (
    ("yn", "永宁镇", "town"),
    ("zsy", "张山营镇", "town"),
    ("cgw", "区城市管理委", "department"),
    ("rsj", "区人力资源和社会保障局", "department"),
)
GOOD, FAIR, BAD = ("yes", "yes", "satisfied"), ("yes", "yes", "basically"), ("yes", "no", "not_satisfied")
SILENT = ("", "", "")


def seed_units(session: Session) -> None:
    """Two towns and two departments."""
    session.add_all(Unit(code=code, name=name, kind=kind) for code, name, kind in UNITS)
    session.flush()


def seed_ticket(
    session: Session,
    serial: int,
    *answers: tuple[str, str, str],
    unit: str = "yn",
    town: str = "永宁镇",
    category: str = "供暖/煤改电设备",
    at: datetime = NOVEMBER,
    flags: tuple[str, ...] = (),
    **fields: object,
) -> Ticket:
    """A ticket that was called back with these answers, a pass each."""
    ticket = Ticket(
        number=f"YQ20261103{serial:05}0",
        lookup_code="123456",
        state="closed",
        channel="phone",
        type="complaint",
        tier="T3",
        category=category,
        title=f"诉求 {serial}",
        town=town,
        unit=unit,
        flags=list(flags),
        created_at=at,
        updated_at=at,
        **fields,
    )
    session.add(ticket)
    session.flush()
    for number, (contacted, solved, satisfied) in enumerate(answers, start=1):
        session.add(
            Survey(
                ticket_id=ticket.id,
                pass_number=number,
                phone="13800138000",
                state="completed" if satisfied else "not_reached",
                contacted=contacted,
                solved=solved,
                satisfied=satisfied,
                created_at=at,
                closed_at=at,
            )
        )
    session.flush()
    return ticket
