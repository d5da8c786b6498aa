"""How the caller wants to be treated: anonymous, confidential, in another language. Flags that people look at. Pure."""

import re

from tickets.extraction.finding import Finding
from tickets.speech import Speech

ANONYMOUS = "anonymous"
_FLAGS = {
    ANONYMOUS: re.compile(
        r"匿名|不(?:想|愿意|愿|便|方便|敢|能|用)?(?:再)?(?:说|留|透露|提供|报|讲)(?:出)?(?:我的?|"
        r"自己的?)?(?:真实)?(?:姓|名)"
    ),
    "confidential": re.compile(
        r"(?<!不用)(?<!不需要)保密|(?:不要|别|不能|不想|千万别|不希望)(?:把我|让(?:他们|别人|对方|村里|单位|"
        r"老板|物业|领导)知道|透露|泄露|说出?(?:是)?我)|"
        r"怕(?:被)?(?:打击)?报复"
    ),
    "dialect": re.compile(
        r"(?:不会|不太会|说不好|听不懂|听不太懂|说不来)(?:说|讲|听)?普通话|(?:有没有|找个?|能不能找个?|"
        r"换个?)(?:会|懂|能)?(?:说|讲|"
        r"听)?[\u4e00-\u9fff]{0,4}(?:方言|本地话|家乡话|蒙语|藏语|维语|粤语)(?:的)?"
    ),
    "foreign_language": re.compile(
        r"(?i)(?:speak|talk)\s*english|english\s*(?:please|speaker|service)|(?:有没有|找个?|能不能|会不会|需要|转|"
        r"要)[\u4e00-\u9fff]{0,6}(?:英语|英文|日语|韩语|俄语|法语|外语)(?:服务|的人|客服|坐席|座席|翻译)?|"
        r"(?:不会|听不懂|不懂)(?:说)?(?:中文|汉语)"
    ),
}
FLAGS = tuple(_FLAGS)


def find_wishes(speech: Speech) -> list[Finding]:
    """The flags that the caller's words ask for."""
    found = ((flag, pattern.search(speech.text)) for flag, pattern in _FLAGS.items())
    return [Finding(flag, "true", "transcript", 0.9, speech.span(*match.span())) for flag, match in found if match]
