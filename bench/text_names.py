"""Names for `text.py`: 5,000 made-up places, how people and telephones mishear them, and texts without any of them."""

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from asr.misheard import Corrector
from asr.recognizer import Word
from asr.sounds import folded, is_han, reading
from asr.text import display
from hotline.settings import Settings
from tickets.lexicon import load_lexicon

PLACES = 5_000
SPOILED = 2_000
ROUNDS = 5
ROOT = Path(__file__).resolve().parents[1]
PLAIN = ("tests/unit/tickets/sentences.tsv", "tests/unit/tickets/heldout.tsv")  # what callers say, without places
HEADS = (
    "东西南北上下前后大小新老中张王李赵刘陈杨黄周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任"
    "沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严武戴莫孔向汤青红双三五八九百千平安福兴永长"
)
MIDDLES = "家山河水沟庄营屯堡台坡岭峪泉湖桥井塘坝湾滩林园峰岩石沙土门楼店铺集市寺庙塔城关口"
TAILS = ("村", "村", "村", "社区", "社区", "小区", "路", "路", "街", "大街", "大道", "镇", "乡", "花园", "公园", "桥")


def made_up(chance: random.Random) -> list[str]:
    """Names as a district has them: most of three characters, which are the hardest."""
    names: dict[str, None] = {}
    while len(names) < PLACES:
        more = chance.choice(MIDDLES) if chance.random() < 0.25 else ""
        names[chance.choice(HEADS) + chance.choice(MIDDLES) + more + chance.choice(TAILS)] = None
    return list(names)


def names(plain: Iterable[str]) -> dict[str, Any]:
    """Hits on misheard names and false corrections in `plain`, with made-up places and the bundled gazetteer."""
    chance = random.Random(20260105)
    places = made_up(chance)
    began = time.process_time()
    corrector = Corrector(places)
    build_s = time.process_time() - began
    others = [*plain, *_plain()]
    by_sound = _alike(HEADS + MIDDLES + "".join(others))
    spoiled = {
        "sounds_the_same": [_spoil(name, by_sound, chance, mixed=False) for name in chance.sample(places, SPOILED)],
        "mixed_up": [_spoil(name, by_sound, chance, mixed=True) for name in chance.sample(places, SPOILED)],
    }
    bundled = load_lexicon(Settings()).corrector
    return {
        "places": len(places),
        "build_s": round(build_s, 2),
        "hits": {kind: _hits(corrector, pairs) for kind, pairs in spoiled.items()},
        "sentences_without_places": len(others),
        "false_corrections": {
            "made_up": sum(len(corrector.find(text)) for text in others),
            "bundled": sum(len(bundled.find(text)) for text in others),
        },
        "cpu_us": _cost_us(corrector, others),
    }


def in_recordings(samples: Sequence[tuple[list[Word], str]]) -> dict[str, int]:
    """How often places of the bundled gazetteer were said, heard as they are, and shown as they are."""
    lexicon = load_lexicon(Settings())
    said = heard = shown = 0
    for words, reference in samples:
        raw, corrected = "".join(word.text for word in words), display(words, lexicon.corrector).text
        for place in lexicon.gazetteer.spellings:
            if place.spelling in reference:
                said += 1
                heard += place.spelling in raw
                shown += place.spelling in corrected
    return {"said": said, "heard": heard, "shown": shown}


def _plain() -> list[str]:
    lines = (line for name in PLAIN for line in (ROOT / name).read_text("utf-8").splitlines())
    return ["".join(filter(is_han, line.split("\t")[1])) for line in lines]


def _alike(characters: str) -> dict[str, list[str]]:
    groups: dict[str, dict[str, None]] = {}
    for character in filter(is_han, characters):
        groups.setdefault(folded(reading(character)[0]), {})[character] = None
    return {sound: list(group) for sound, group in groups.items()}


def _spoil(name: str, by_sound: dict[str, list[str]], chance: random.Random, *, mixed: bool) -> tuple[str, str]:
    """A name with one or two characters that sound the same, or one that is mixed up with another; the name."""
    places = list(range(len(name)))
    chance.shuffle(places)
    left = 1 if mixed else chance.choice((1, 2))
    heard = list(name)
    for at in places:
        syllable = reading(name[at])[0]
        group = [
            other
            for other in by_sound.get(folded(syllable), ())
            if other != name[at] and (reading(other)[0] == syllable) != mixed
        ]
        if group and left:
            heard[at] = chance.choice(group)
            left -= 1
    return "".join(heard), name


def _hits(corrector: Corrector, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Of names that were misheard: how many are put right, left as they were, and taken for another."""
    spoiled = [(heard, name) for heard, name in pairs if heard != name]
    results = [[found.meant for found in corrector.find(f"在{heard}", {1})] for heard, _ in spoiled]
    right = sum(found == [name] for found, (_, name) in zip(results, spoiled, strict=True))
    left = sum(not found for found in results)
    return {
        "right": round(right / len(spoiled), 3),
        "left": round(left / len(spoiled), 3),
        "wrong": round((len(spoiled) - right - left) / len(spoiled), 3),
    }


def _cost_us(corrector: Corrector, texts: Sequence[str]) -> float:
    began = time.process_time()
    for _ in range(ROUNDS):
        for text in texts:
            corrector.find(text)
    return round((time.process_time() - began) * 1e6 / ROUNDS / len(texts), 1)
