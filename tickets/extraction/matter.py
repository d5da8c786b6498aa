"""What it is about: category, type, tier and overlay with their evidence, the title, and key words. Pure."""

import re

from tickets.classification import Classification
from tickets.extraction.finding import Finding
from tickets.gazetteer import PlaceHit
from tickets.phrases import WILDCARD, Hit
from tickets.speech import Span, Speech
from tickets.taxonomy import Taxonomy

TITLE_LENGTH = 40
UNHEARD_TITLE = "来电录音待听取"
DETAIL_LENGTH = 4  # shorter phrases say little in a title
KEYWORDS = 6
MODEL = "model"
_TITLES = {"praise": "表扬：{}已办理", "enquiry": "咨询：{}", "suggestion": "建议：{}"}
_GREETING = re.compile(r"^(?:喂|您好|你好|那个|嗯|呃|哎|同志|我想?(?:反映|说)一下|[，。、！？\s])+")


def find_matter(result: Classification, speech: Speech) -> list[Finding]:
    """Category, type, tier and overlay. The heaviest phrase stands for all of its category."""
    category, kind = result.category, result.type
    span = _hit_span(category.hits, speech)
    found: list[Finding] = []
    if category.learned is not None:
        source, words = f"{MODEL} {category.learned.version}", "、".join(category.learned.words)
        found.append(Finding("category", category.name, source, category.confidence, span, words))
    elif category.name:
        found.append(Finding("category", category.name, "transcript", category.confidence, span))
    if kind.name:
        source = "transcript" if kind.hits else "rule"
        found.append(Finding("type", kind.name, source, kind.confidence, _hit_span(kind.hits, speech)))
    if result.emergency:
        found.append(Finding("tier", result.tier, "rule", 1.0, _hit_span(result.emergency_hits, speech)))
    elif category.name:
        found.append(Finding("tier", result.tier, "rule", category.confidence, span))
    if result.overlay:
        overlay_span = _hit_span(result.overlay_hits, speech)
        found.append(Finding("overlay", result.overlay, "rule", category.confidence, overlay_span))
    return found


def _hit_span(hits: tuple[Hit, ...], speech: Speech) -> Span | None:
    return speech.span(hits[0].start, hits[0].end) if hits else None


def find_emergency(result: Classification, speech: Speech) -> Finding | None:
    if result.emergency is None:
        return None
    return Finding("emergency", result.emergency.name, "transcript", 1.0, _hit_span(result.emergency_hits, speech))


def title_of(result: Classification, place: PlaceHit | None, speech: Speech, taxonomy: Taxonomy) -> str:
    """Place and matter with what was said of it, at most 40 characters; an unknown matter in the caller's words."""
    category = taxonomy.categories.get(result.category.name)
    where = place.place.name if place else ""
    if result.emergency:
        return f"{where}{result.emergency.name}"[:TITLE_LENGTH]
    if category is None:
        return _GREETING.sub("", speech.display)[:TITLE_LENGTH] or UNHEARD_TITLE
    if result.type.name in _TITLES:
        return (where + _TITLES[result.type.name].format(category.matter.removesuffix("问题")))[:TITLE_LENGTH]
    title = where + category.matter
    details = [
        hit.phrase
        for hit in sorted(result.category.hits, key=lambda hit: (-hit.weight, -len(hit.phrase)))
        if WILDCARD not in hit.phrase and not hit.by_sound and len(hit.phrase) >= DETAIL_LENGTH
        if hit.phrase not in title
    ]
    for detail, separator in zip(details[:2], "：、", strict=False):
        if len(title) + 1 + len(detail) <= TITLE_LENGTH:
            title += separator + detail
    return title[:TITLE_LENGTH]


def keywords_of(hits: tuple[Hit, ...], place: PlaceHit | None, speech: Speech) -> tuple[str, ...]:
    """The place and what was found, in the caller's words; where only the sound matched, in the phrase's."""
    words = [hit.phrase.replace(WILDCARD, "") if hit.by_sound else speech.text[hit.start : hit.end] for hit in hits]
    if place:
        words.insert(0, place.place.name)
    return tuple(dict.fromkeys(words))[:KEYWORDS]
