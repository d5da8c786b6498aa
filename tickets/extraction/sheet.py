"""All fields of a ticket from what was said, each with its evidence. Pure: the same words give the same ticket.

Every rule is general; what it knows of the site stands in the data files. A rule that is not sure gives nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from tickets.classification import Learned, classify
from tickets.extraction.addresses import find_address
from tickets.extraction.amounts import find_amounts
from tickets.extraction.feeling import find_feeling, find_vulnerable
from tickets.extraction.finding import Finding
from tickets.extraction.identity import find_identity
from tickets.extraction.matter import find_emergency, find_matter, keywords_of, title_of
from tickets.extraction.names import find_enterprise, find_name
from tickets.extraction.phones import find_phones
from tickets.extraction.times import find_times
from tickets.extraction.wants import find_wants
from tickets.extraction.wishes import ANONYMOUS, FLAGS, find_wishes
from tickets.gazetteer import Gazetteer
from tickets.speech import Speech
from tickets.taxonomy import Taxonomy

Learner = Callable[[str], Learned | None]
"""The trained classifier: its answer on a text, None where it is not sure."""
CONTENT_LENGTH = 10_000
SILENCE = Speech(())
PERSONAL = ("gender", "id_number", "enterprise", "credit_code", "phone_extension", "other_phones")
"""What a ticket keeps of its petitioner, beside name and phone."""
OBSERVED = ("grid", "event_time", "since", "recurring", "amounts", "people", "wants", "mood", "urgency")
"""What has evidence and no column."""
_FLAGS = frozenset({*FLAGS, "emergency", "vulnerable"})


@dataclass(frozen=True)
class Extraction:
    """All automatic fields of a ticket. Empty strings: not known. Those of `OBSERVED` are in the findings alone."""

    type: str
    tier: str
    overlay: str
    category: str
    title: str
    content: str
    caller_name: str
    phone: str
    place: str
    address: str
    town: str
    community: str
    caller_kind: str
    anonymous: bool
    petitioner: Mapping[str, str]
    keywords: tuple[str, ...]
    flags: tuple[str, ...]
    findings: tuple[Finding, ...]


def extract(
    speech: Speech,
    *,
    caller_id: str,
    taxonomy: Taxonomy,
    gazetteer: Gazetteer,
    now: datetime,
    seat: Speech = SILENCE,
    area_code: str = "",
    learned: Learner | None = None,
) -> Extraction:
    """The fields that the caller's `speech` and number tell.

    `seat`: what the person at the seat said, who reads numbers back and says names. `now`: when the call began, in the
    site's zone: 昨天 is the day before. `area_code`: of local numbers, with its 0. `learned`: the trained classifier,
    where the site has one.
    """
    result = classify(speech.text, taxonomy, learned(speech.text) if learned and speech.text else None)
    emergency = find_emergency(result, speech)
    hit, where = find_address(speech, gazetteer)
    found = [
        *find_wishes(speech),
        *([emergency] if emergency else []),
        *find_vulnerable(speech, category=result.category.name, now=now),
        *find_matter(result, speech),
        *find_name(speech, seat),
        *find_enterprise(speech),
        *find_phones(speech, seat, caller_id=caller_id, area_code=area_code),
        *find_identity(speech),
        *where,
        *find_times(speech, now),
        *find_amounts(speech),
        *find_wants(speech),
        *find_feeling(speech),
    ]
    findings = {finding.field: finding for finding in found}
    if ANONYMOUS in findings:
        for field in ("caller_name", "gender", "id_number"):
            findings.pop(field, None)
    values = {field: finding.value for field, finding in findings.items()}
    return Extraction(
        type=result.type.name,
        tier=result.tier,
        overlay=result.overlay,
        category=result.category.name,
        title=title_of(result, hit, speech, taxonomy),
        content=speech.display[:CONTENT_LENGTH],
        **{field: values.get(field, "") for field in ("caller_name", "phone", "place", "address", "town", "community")},
        caller_kind=values.get("caller_kind", "person"),
        anonymous=ANONYMOUS in values,
        petitioner=MappingProxyType({field: values[field] for field in PERSONAL if field in values}),
        keywords=keywords_of(result.category.hits, hit, speech),
        flags=tuple(field for field in findings if field in _FLAGS),
        findings=tuple(findings.values()),
    )
