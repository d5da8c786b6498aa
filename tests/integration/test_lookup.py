"""How a ticket stands: found by number and code, and not to be guessed."""

from pathlib import Path

import pytest
from ingest_rig import CALL_ID, Site, leave_call, make_site

from hotline.db import Database
from hotline.errors import InvalidInputError
from hotline.jobs import URGENT
from hotline.settings import Settings
from tickets.models import LookupFailures, Ticket

CALLER = "13800005678"


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    made = make_site(database, settings, tmp_path)
    leave_call(made)
    made.ingest()
    return made


def known(site: Site) -> Ticket:
    ticket = site.ticket()
    assert ticket is not None
    return ticket


def ask(site: Site, number: str, code: str, *, caller: str = CALLER, call_id: str = "c1") -> dict[str, str] | None:
    values = {"ticket_number": number, "ticket_code": code, "caller": caller}
    site.worker().look_up(call_id, "ticket_progress", values)
    event = site.bus.published[-1]
    assert (event.name, event.data["call_id"]) == ("lookup.done", call_id)
    found: dict[str, str] | None = event.data["values"]
    return found


def wrong(ticket: Ticket) -> str:
    return "000000" if ticket.lookup_code != "000000" else "000001"


def test_number_and_code_tell_the_status(site: Site) -> None:
    ticket = known(site)
    assert ask(site, ticket.number[2:], ticket.lookup_code) == {"status": "to_dispatch"}
    assert site.count(LookupFailures) == 2
    assert "look_up" in URGENT


def test_a_number_told_a_moment_ago_is_being_accepted(site: Site) -> None:
    site.worker().assign_number("other")
    told = site.bus.published[-1].data
    assert ask(site, told["number"][2:], told["lookup_code"]) == {"status": "accepting"}


def test_a_wrong_code_an_unknown_ticket_and_a_slip_find_nothing(site: Site) -> None:
    number = known(site).number[2:]
    assert ask(site, number, wrong(known(site))) is None
    assert ask(site, "20260105000026", "123456") is None
    assert ask(site, number[:-1] + str((int(number[-1]) + 1) % 10), known(site).lookup_code) is None
    assert ask(site, "", "") is None
    assert ask(site, number, "") is None


def test_a_caller_who_guesses_finds_nothing_any_more_for_a_while(site: Site) -> None:
    ticket = known(site)
    for _ in range(site.settings.tickets.lookup_failures_per_caller):
        assert ask(site, ticket.number[2:], wrong(ticket)) is None
    assert ask(site, ticket.number[2:], ticket.lookup_code) is None
    assert ask(site, ticket.number[2:], ticket.lookup_code, caller="13700001111") == {"status": "to_dispatch"}
    site.clock.advance(site.settings.tickets.lookup_window_s + 1)
    assert ask(site, ticket.number[2:], ticket.lookup_code) == {"status": "to_dispatch"}
    assert site.count(LookupFailures) == 2


def test_many_callers_cannot_guess_one_ticket(site: Site) -> None:
    ticket = known(site)
    for guess in range(site.settings.tickets.lookup_failures_per_ticket):
        assert ask(site, ticket.number[2:], wrong(ticket), caller=f"1390000{guess:04}") is None
    assert ask(site, ticket.number[2:], ticket.lookup_code) is None


def test_callers_without_a_number_do_not_spend_one_anothers_bound(site: Site) -> None:
    ticket = known(site)
    for _ in range(site.settings.tickets.lookup_failures_per_caller):
        ask(site, ticket.number[2:], wrong(ticket), caller="", call_id="c1")
    assert ask(site, ticket.number[2:], ticket.lookup_code, caller="", call_id="c1") is None
    assert ask(site, ticket.number[2:], ticket.lookup_code, caller="", call_id="c2") is not None


def test_unknown_tickets_leave_no_rows_of_their_own(site: Site) -> None:
    for serial in range(20):
        ask(site, f"2026020500{serial:04}", "123456")
    assert site.count(LookupFailures) <= 1


def test_what_cannot_be_looked_up_is_refused(site: Site) -> None:
    with pytest.raises(InvalidInputError, match="look up"):
        site.worker().look_up(CALL_ID, "weather", {})
    with pytest.raises(InvalidInputError, match="call id"):
        site.worker().look_up("../x", "ticket_progress", {})
