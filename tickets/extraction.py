"""Fields of a ticket from what a caller said, each with its evidence. Pure: the same words give the same ticket.

Every rule is general; what it knows of the site stands in the data files. A rule that is not sure gives nothing.
"""

import re
from dataclasses import dataclass

from asr.figures import SPOKEN_DIGITS
from tickets.classification import Classification, classify
from tickets.gazetteer import Gazetteer, PlaceHit
from tickets.phrases import WILDCARD, Hit
from tickets.speech import Span, Speech
from tickets.taxonomy import Taxonomy

TITLE_LENGTH = 40
UNHEARD_TITLE = "来电录音待听取"
DETAIL_LENGTH = 4  # shorter phrases say little in a title
KEYWORDS = 6
NAME_PAUSE_MS = 200
CONTENT_LENGTH = 10_000

_SURNAMES = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|夏侯|[王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于"
    "董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万"
    "段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁"
    "时舒耿牟卜肖詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闫解强柴华车冉房边]"
)
_ADDRESS = "女士|先生|小姐|师傅|老师|大爷|大妈|大姐|大哥|阿姨"
_NAMED = re.compile(rf"(?:我|免贵|本人)姓(?P<surname>{_SURNAMES})")
_ADDRESSED = re.compile(rf"(?:我是|叫我|称呼我|我姓)(?P<surname>{_SURNAMES})(?P<form>{_ADDRESS})")
# Recognizers lose the short 姓: a greeting, 我 and a surname that stands alone before a pause.
_INTRODUCED = re.compile(rf"(?:^|\n)(?:喂|您好|你好)*我是?(?P<surname>{_SURNAMES})")
_GIVEN = r"(?:(?![我你他她您住在是有的了家这那想要反])[\u4e00-\u9fff])"
_FULL_NAME = re.compile(rf"(?:我叫|名字叫|我的名字是)(?P<surname>{_SURNAMES})(?P<given>{_GIVEN}{{0,2}})")
_NO_NAME = re.compile(
    r"匿名|不(?:想|愿意|愿|便|方便|敢|能|用)?(?:再)?(?:说|留|透露|提供|报|讲)(?:出)?(?:我的?|自己的?)?(?:真实)?(?:姓|名)"
)
_CONFIDENTIAL = re.compile(
    r"保密|(?:不要|别|不能|不想|千万别|不希望)(?:把我|让(?:他们|别人|对方|村里|单位)知道|透露|泄露|说出?(?:是)?我)"
)
_DIGITS = SPOKEN_DIGITS | {digit: digit for digit in "0123456789"}
_DIGIT_RUN = re.compile(rf"[{''.join(_DIGITS)}](?:[\s，、。,-]?[{''.join(_DIGITS)}])*")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_NUMBER = re.compile(r"\+?[0-9]{3,20}")
_SEPARATORS = re.compile(r"[\s()-]")
_TITLES = {"praise": "表扬：{}已办理", "enquiry": "咨询：{}", "suggestion": "建议：{}"}
_GREETING = re.compile(r"^(?:喂|您好|你好|那个|嗯|呃|哎|同志|我想?(?:反映|说)一下|[，。、！？\s])+")


@dataclass(frozen=True)
class Finding:
    """Why a field has its value. `source`: transcript, caller_id or rule; `span` is None where nothing was said."""

    field: str
    value: str
    source: str
    confidence: float
    span: Span | None = None


@dataclass(frozen=True)
class Extraction:
    """All automatic fields of a ticket. Empty strings: not known."""

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
    keywords: tuple[str, ...]
    flags: tuple[str, ...]
    findings: tuple[Finding, ...]


def extract(speech: Speech, *, caller_id: str, taxonomy: Taxonomy, gazetteer: Gazetteer) -> Extraction:
    """The fields that `speech` and the calling number tell."""
    findings: dict[str, Finding] = {}

    def note(finding: Finding | None) -> str:
        if finding is None:
            return ""
        findings[finding.field] = finding
        return finding.value

    result = classify(speech.text, taxonomy)
    place = gazetteer.find(speech.text)
    town, address = _place(place, speech)
    anonymous = _flag("anonymous", _NO_NAME, speech)
    confidential = _flag("confidential", _CONFIDENTIAL, speech)
    emergency = _emergency(result, speech)
    flags = [finding.field for finding in (anonymous, confidential, emergency) if finding]
    for finding in (anonymous, confidential, emergency, *_matter(result, speech)):
        note(finding)
    name = "" if anonymous else note(_caller_name(speech))
    title = _title(result, place, speech, taxonomy)
    return Extraction(
        type=result.type.name,
        tier=result.tier,
        overlay=result.overlay,
        category=result.category.name,
        title=title,
        content=speech.display[:CONTENT_LENGTH],
        caller_name=name,
        phone=note(_phone(speech, caller_id)),
        place=note(town),
        address=note(address),
        keywords=_keywords(result.category.hits, place, speech),
        flags=tuple(flags),
        findings=tuple(findings.values()),
    )


def _matter(result: Classification, speech: Speech) -> list[Finding]:
    """Category, type, tier and overlay. The heaviest phrase stands for all of its category."""
    category, kind = result.category, result.type
    span = _hit_span(category.hits, speech)
    found = []
    if category.name:
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


def _emergency(result: Classification, speech: Speech) -> Finding | None:
    if result.emergency is None:
        return None
    return Finding("emergency", result.emergency.name, "transcript", 1.0, _hit_span(result.emergency_hits, speech))


def _flag(field: str, pattern: re.Pattern[str], speech: Speech) -> Finding | None:
    match = pattern.search(speech.text)
    return Finding(field, "true", "transcript", 0.9, speech.span(*match.span())) if match else None


def _caller_name(speech: Speech) -> Finding | None:
    """The surname with the form of address that was said with it; a full name where the caller gave one."""
    text = speech.text
    addressed = _ADDRESSED.search(text)
    if addressed:
        span = speech.span(addressed.start("surname"), addressed.end())
        return Finding("caller_name", addressed["surname"] + addressed["form"], "transcript", 0.95, span)
    named = _NAMED.search(text)
    if named:
        surname = named["surname"]
        later = re.compile(rf"{surname}(?:{_ADDRESS})").search(text)
        value = later.group() if later else surname
        return Finding("caller_name", value, "transcript", 0.9, speech.span(*named.span()))
    for introduced in _INTRODUCED.finditer(text):
        start, end = introduced.span("surname")
        if speech.word_ends_at(start) and speech.pause_at(end) >= NAME_PAUSE_MS:
            return Finding("caller_name", introduced["surname"], "transcript", 0.5, speech.span(start - 1, end))
    full = _FULL_NAME.search(text)
    if full is None:
        return None
    # Where the recognizer ends a word after the given name, the name is whole; else only the surname is sure.
    start, end = full.start("surname"), full.end("surname")
    ends = [position for position in range(full.end("given"), end, -1) if speech.word_ends_at(position)]
    end = ends[0] if ends else end
    return Finding("caller_name", text[start:end], "transcript", 0.7, speech.span(full.start(), end))


def _phone(speech: Speech, caller_id: str) -> Finding | None:
    """A whole mobile number that was said, else the calling number."""
    for run in _DIGIT_RUN.finditer(speech.text):
        digits = "".join(_DIGITS.get(character, "") for character in run.group())
        if _MOBILE.fullmatch(digits):
            return Finding("phone", digits, "transcript", 0.9, speech.span(*run.span()))
    number = _SEPARATORS.sub("", caller_id)
    return Finding("phone", number, "caller_id", 1.0) if _NUMBER.fullmatch(number) else None


def _place(hit: PlaceHit | None, speech: Speech) -> tuple[Finding | None, Finding | None]:
    """Town and address: a well-known name is the address, and its town, where that is certain, the place."""
    if hit is None:
        return None, None
    span = speech.span(hit.start, hit.end)
    town, name = hit.place.town, hit.place.name
    place = Finding("place", town or name, "transcript", hit.confidence, span)
    return place, Finding("address", name, "transcript", hit.confidence, span) if town != name else None


def _title(result: Classification, place: PlaceHit | None, speech: Speech, taxonomy: Taxonomy) -> str:
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


def _keywords(hits: tuple[Hit, ...], place: PlaceHit | None, speech: Speech) -> tuple[str, ...]:
    """The place and what was found, in the caller's words; where only the sound matched, in the phrase's."""
    words = [hit.phrase.replace(WILDCARD, "") if hit.by_sound else speech.text[hit.start : hit.end] for hit in hits]
    if place:
        words.insert(0, place.place.name)
    return tuple(dict.fromkeys(words))[:KEYWORDS]
