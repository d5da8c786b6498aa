"""The example of a district: its units and who handles what. For a first look and for demonstrations. Never commits."""

from datetime import datetime

from sqlalchemy.orm import Session

from hotline.settings import Settings
from hotline.settings_sections import PACKAGE_ROOT
from tickets.catalogue_service import add_version, put_in_force, read_catalogue, site_vocabulary
from tickets.sheets import read_sheet
from tickets.unit_service import import_bounds, import_units
from tickets.units import COLUMNS, parse_units

EXAMPLES = PACKAGE_ROOT / "tickets/data/examples"


def import_examples(session: Session, settings: Settings, *, actor: str, now: datetime) -> None:
    """Takes in the units and puts the catalogue in force; again, nothing changes but the catalogue's version."""
    table = parse_units(read_sheet((EXAMPLES / "units.csv").read_bytes(), COLUMNS, import_bounds(settings.tickets)))
    import_units(session, table.units)
    data = (EXAMPLES / "catalogue.csv").read_bytes()
    known = site_vocabulary(session, settings)
    entries = read_catalogue(data, known, settings.tickets).entries
    version = add_version(session, data, entries, source="catalogue.csv", actor=actor, now=now)
    put_in_force(session, version, known, effective_from=now, now=now)
