"""Who calls: name, form of address and what it tells, name of the enterprise. Pure.

Recognizers write a name as some name that sounds alike; what the caller says of its characters (弓长张, 建设的建) is
what it is written with.
"""

import re
from dataclasses import dataclass

from asr.sounds import sound
from tickets.extraction.finding import Finding
from tickets.speech import BREAK, Span, Speech

NAME_PAUSE_MS = 200
SPELLED_WITHIN = 40  # characters after a name in which its characters are told

SURNAMES = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|夏侯|[王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于"
    "董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万"
    "段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁"
    "时舒耿牟卜肖詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闫解强柴华车冉房边]"
)
# How people tell a surname's character.
_PARTS = {
    "弓长": "张", "立早": "章", "双木": "林", "耳东": "陈", "木子": "李", "口天": "吴", "草头": "黄", "草字头": "黄",
    "双人": "徐", "言午": "许", "干勾": "于", "干钩": "于", "人可": "何", "走肖": "赵", "古月": "胡", "三横一竖": "王",
    "三横": "王", "木易": "杨", "双口": "吕", "十八子": "李", "文刀": "刘", "卯金刀": "刘", "关耳": "郑", "子小": "孙",
    "小子": "孙", "言射": "谢", "西早": "覃", "女兆": "姚", "撇未": "朱", "千里草": "董", "四维": "罗", "四夕": "罗",
    "木土": "杜", "三点水工": "江", "三点水王": "汪", "人禾": "余", "人示": "余", "公羽": "翁", "门三": "闫",
    "广龙": "庞", "登耳": "邓", "又耳": "邓", "京耳": "郭",
}  # fmt: skip
FORMS = {
    **dict.fromkeys(("女士", "小姐", "大妈", "大姐", "阿姨", "大娘", "奶奶", "婶", "大婶", "姐"), "female"),
    **dict.fromkeys(("先生", "大爷", "大哥", "大叔", "大伯", "爷爷", "伯伯", "哥", "叔"), "male"),
    **dict.fromkeys(("师傅", "老师", "经理", "主任", "医生", "大夫", "律师", "会计", "总"), ""),
}
"""Form of address -> gender, where it tells one."""
_FORM = "|".join(sorted(FORMS, key=len, reverse=True))
_SPOKEN_FORM = "女士|先生|小姐|师傅|老师|大爷|大妈|大姐|大哥|阿姨|大娘|大叔|大伯|奶奶|爷爷|大婶|经理|大夫|医生|律师"
_NAMED = re.compile(rf"(?<![他她])(?:我|免贵|本人)(?:是)?姓(?P<surname>{SURNAMES})")
_ADDRESSED = re.compile(rf"(?:我是|叫我|称呼我|我姓|我叫|免贵姓)(?P<surname>{SURNAMES})(?P<form>{_SPOKEN_FORM})")
_CALL_ME = re.compile(rf"(?:叫我|称呼我|喊我)(?:老|小)(?P<surname>{SURNAMES})")
# Recognizers lose the short 姓: a greeting, 我 and a surname that stands alone before a pause.
_INTRODUCED = re.compile(rf"(?:^|\n)(?:喂|您好|你好)*我是?(?P<surname>{SURNAMES})")
_GIVEN = r"(?:(?![我你他您她住在是有的了家这那想要反])[\u4e00-\u9fff])"
_FULL_NAME = re.compile(
    rf"(?:我叫|(?<![他她的])名字叫|我的名字(?:是|叫)|我名字是)(?P<surname>{SURNAMES})(?P<given>{_GIVEN}{{0,2}})"
)
_OF_WORD = re.compile(r"(?P<word>[\u4e00-\u9fff]{2,3}?)的(?P<sign>[\u4e00-\u9fff])")
_BY_SEAT = re.compile(rf"(?P<surname>{SURNAMES})(?P<form>女士|先生|小姐)")
_NOT_IN_NAME = r"(?![的被在有和跟说了把给不还就都也让欠想要]|公司)[\u4e00-\u9fffA-Za-z0-9]"
_KIND = (
    "有限责任公司|股份有限公司|有限公司|分公司|公司|合作社|加工厂|工厂|厂|超市|商店|商行|饭店|餐厅|酒店|宾馆|"
    "民宿|农家院|工作室|事务所|幼儿园|养殖场|门市部|经营部|便利店|药店"
)
_ENTERPRISE = re.compile(
    rf"(?:我们?(?:这里|这边)?是|我(?:代表)|我们?(?:单位|公司|企业|店|厂|合作社)的?(?:全称|名称|名字)?(?:叫做?|"
    rf"是)|公司(?:全称|名称|名字)(?:叫|是)|这里是)"
    rf"(?P<name>(?:{_NOT_IN_NAME}){{2,24}}?(?:{_KIND}))(?!的?(?:员工|工人|职工|业主|客户|司机|顾客|学员|会员|欠|拖))"
)
_EMPLOYED = re.compile(r"^的?(?:员工|工人|职工|一名员工|业主|客户|顾客)")
_RUNS_ONE = re.compile(
    r"(?:我|我们)(?:是|们是)(?:一家|一个|个)(?:小微|小|民营|科技|中小)?(?:企业|公司|工厂|厂|合作社)|(?:企业|"
    r"公司)的?(?:法人|负责人|法定代表人|老板)|"
    r"我(?:自己)?(?:开了|开|经营|注册)(?:了)?(?:一)?(?:个|家)[\u4e00-\u9fff]{0,6}?(?:店|公司|厂|超市|饭馆|餐馆|"
    r"民宿|农家院)|我是个体(?:户|工商户)|我们企业"
)
_THEIR_HEAD = re.compile(r"(?:找|问|给|跟|让|他们|那个|该)[\u4e00-\u9fff]{0,4}$")


@dataclass(frozen=True)
class _Name:
    """A name at `start:end` of the text, where its characters are told from `after` on."""

    text: str
    form: str
    confidence: float
    span: Span
    after: int


def find_name(speech: Speech, seat: Speech) -> list[Finding]:
    """`caller_name` with the form of address that was said with it, and `gender` where that tells one."""
    name = _own_name(speech)
    if name is None:
        return _as_the_seat_says(seat)
    text = _as_told(name.text, speech.text[name.after : name.after + SPELLED_WITHIN])
    form = name.form or _form_by_seat(text, seat)
    value = text + form if form and len(text) <= 2 else text
    found = [Finding("caller_name", value, "transcript", name.confidence, name.span)]
    gender = FORMS.get(form, "")
    if gender:
        found.append(Finding("gender", gender, "transcript", name.confidence, name.span))
    return found


def _own_name(speech: Speech) -> _Name | None:
    """The surname with the form of address that was said with it; a full name where the caller gave one."""
    text = speech.text
    addressed = _ADDRESSED.search(text)
    if addressed:
        span = speech.span(addressed.start("surname"), addressed.end())
        return _Name(addressed["surname"], addressed["form"], 0.95, span, addressed.end())
    full = _full_name(speech)
    named = _NAMED.search(text)
    if named:
        surname = named["surname"]
        if full is not None and len(full.text) > len(surname) and full.text.startswith(surname):
            return full
        later = re.compile(rf"{surname}(?P<form>{_SPOKEN_FORM})").search(text)
        return _Name(surname, later["form"] if later else "", 0.9, speech.span(*named.span()), named.end())
    called = _CALL_ME.search(text)
    if called:
        return _Name(called["surname"], "", 0.85, speech.span(*called.span()), called.end())
    for introduced in _INTRODUCED.finditer(text):
        start, end = introduced.span("surname")
        if speech.word_ends_at(start) and speech.pause_at(end) >= NAME_PAUSE_MS:
            return _Name(introduced["surname"], "", 0.5, speech.span(start - 1, end), end)
    return full


def _full_name(speech: Speech) -> _Name | None:
    full = _FULL_NAME.search(speech.text)
    if full is None:
        return None
    # Where the recognizer ends a word after the given name, the name is whole; else only the surname is sure.
    start, end = full.start("surname"), full.end("surname")
    ends = [position for position in range(full.end("given"), end, -1) if speech.word_ends_at(position)]
    end = ends[0] if ends else end
    return _Name(speech.text[start:end], "", 0.7, speech.span(full.start(), end), end)


def _as_told(name: str, after: str) -> str:
    """`name` with the characters that are told of it."""
    told = [sign for parts, sign in _PARTS.items() if parts + sign in after or sound(parts + sign) in sound(after)]
    told += [word["sign"] for word in _words_of(after)]
    signs = list(name)
    for sign in told:
        for at, character in enumerate(signs):
            if sound(character) == sound(sign):
                signs[at] = sign
                break
    return "".join(signs)


def _words_of(text: str) -> list[re.Match[str]]:
    """建设的建: a word and a character of it."""
    found = []
    for at in range(len(text)):
        match = _OF_WORD.match(text, at)
        if match is not None and match["sign"] in match["word"]:
            found.append(match)
    return found


def _form_by_seat(surname: str, seat: Speech) -> str:
    """How the seat addresses a caller of that name."""
    for match in _BY_SEAT.finditer(seat.text):
        if sound(match["surname"]) == sound(surname):
            return match["form"]
    return ""


def _as_the_seat_says(seat: Speech) -> list[Finding]:
    """Who is addressed twice by one name, or greeted by it, has it."""
    names = list(_BY_SEAT.finditer(seat.text))
    for match in names:
        said = sum(other.group() == match.group() for other in names)
        greeted = seat.text.startswith(("您好", "你好"), match.end()) or seat.text[
            max(0, match.start() - 1) : match.start()
        ] in ("", BREAK)
        if said > 1 or greeted:
            span = seat.span(*match.span())
            gender = FORMS[match["form"]]
            return [
                Finding("caller_name", match.group(), "seat", 0.6, span),
                Finding("gender", gender, "seat", 0.6, span),
            ]
    return []


def find_enterprise(speech: Speech) -> list[Finding]:
    """`enterprise`, the name of the caller's, and `caller_kind` where the caller speaks for one."""
    for match in _ENTERPRISE.finditer(speech.text):
        span = speech.span(*match.span("name"))
        return [
            Finding("enterprise", match["name"].replace(BREAK, ""), "transcript", 0.75, span),
            Finding("caller_kind", "enterprise", "transcript", 0.8, span),
        ]
    runs = _RUNS_ONE.search(speech.text)
    return [Finding("caller_kind", "enterprise", "transcript", 0.7, speech.span(*runs.span()))] if runs else []
