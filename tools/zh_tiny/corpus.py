"""The texts that are spoken for training, tuning and testing.

    python -m zh_tiny.corpus OUT_DIR

Writes `speech.txt`, `tuning.txt`, `test.txt` and `numbers.txt`: one utterance a line, ， where the speaker pauses. What
is spoken for training comes from the hand-written `text/sentences.txt`, the grammar, dictated numbers and strings of
random words (so that every syllable is heard); the tuning and test sets are hand-written and used for nothing else.
"""

import argparse
import importlib.util
import random
import re
from collections.abc import Iterator
from pathlib import Path

from .grammar import Grammar
from .spoken import grouped, mobile_number

TEXT = Path(__file__).parent / "text"
LONGEST = 64
"""Characters in an utterance; the synthesiser slurs longer ones."""
SEED = 12345
NOT_HAN = re.compile(r"[^\u4e00-\u9fa5]")
SPOKEN_NUMBERS = (
    "{mobile}",
    "{mobile}",
    "{mobile}",
    "{digits}",
    "{house}",
    "{date}",
    "{time}",
    "{money}",
    "{temperature}",
)
NUMBER_LEADS = ("", "", "", "电话是", "手机号是", "号码是", "我的电话", "联系电话", "电话", "您记一下，")
TEST_LEADS = ("我的电话是", "手机号", "电话号码是", "")


def read_sentences(path: Path) -> list[str]:
    """The lines of a text file without comments and blank lines."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def characters(text: str) -> str:
    """What is spoken of a text: its Chinese characters."""
    return NOT_HAN.sub("", text)


def written_sentences() -> list[str]:
    """All hand-written sentences, `text/sentences*.txt`."""
    return [line for path in sorted(TEXT.glob("sentences*.txt")) for line in read_sentences(path)]


def held_out() -> set[str]:
    """Sentences that no training text may contain."""
    return {characters(line) for name in ("tuning.txt", "test.txt") for line in read_sentences(TEXT / name)}


def generated(grammar: Grammar, rng: random.Random, forbidden: set[str]) -> Iterator[str]:
    """Sentences of the grammar without end, none longer than can be spoken, none of the held-out ones."""
    while True:
        sentence = grammar.sentence(rng)
        text = characters(sentence)
        if 2 <= len(text) <= LONGEST and text not in forbidden:
            yield sentence


def dictated(grammar: Grammar, rng: random.Random) -> str:
    return rng.choice(NUMBER_LEADS) + grammar.expand(rng.choice(SPOKEN_NUMBERS), rng) + "。"


def common_words() -> dict[str, int]:
    """The word list of the PyPI package `jieba` with its counts; Chinese characters only, at most four."""
    spec = importlib.util.find_spec("jieba")
    if spec is None or spec.origin is None:
        raise SystemExit("the PyPI package jieba is missing")
    rows = (line.split() for line in Path(spec.origin).with_name("dict.txt").read_text("utf-8").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2 and len(row[0]) <= 4 and not NOT_HAN.search(row[0])}


class WordStrings:
    """Strings of random common words: nonsense, but every syllable in many neighbourhoods."""

    def __init__(self, rng: random.Random, *, long: int = 14_000, single: int = 2_200) -> None:
        counts = sorted(common_words().items(), key=lambda item: -item[1])
        chosen = [item for item in counts if len(item[0]) > 1][:long]
        chosen += [item for item in counts if len(item[0]) == 1][:single]
        self._words = [word for word, _ in chosen]
        self._weights = [count**0.35 for _, count in chosen]
        self._rng = rng

    def one(self) -> str:
        words = self._rng.choices(self._words, self._weights, k=self._rng.randint(4, 7))
        middle = len(words) // 2
        return "".join(words[:middle]) + self._rng.choice(("，", "")) + "".join(words[middle:]) + "。"


def number_test(count: int = 100) -> list[str]:
    """Dictated mobile numbers, half of them with 幺; the seed is used for nothing else."""
    rng = random.Random(20_261_124)
    lines: list[str] = []
    for index in range(count):
        text = grouped(rng, mobile_number(rng)).replace("幺", "一")
        lines.append(rng.choice(TEST_LEADS) + (text.replace("一", "幺") if index % 2 else text) + "。")
    return lines


def speech_texts(*, from_grammar: int, numbers: int, word_strings: int) -> list[str]:
    """The training utterances in a fixed random order."""
    grammar = Grammar.read(TEXT / "grammar.txt")
    rng = random.Random(SEED)
    sentences = generated(grammar, rng, held_out())
    texts = [next(sentences) for _ in range(from_grammar)]
    texts += [dictated(grammar, rng) for _ in range(numbers)]
    strings = WordStrings(rng)
    texts += [strings.one() for _ in range(word_strings)]
    rng.shuffle(texts)
    return written_sentences() + texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--from-grammar", type=int, default=1600)
    parser.add_argument("--numbers", type=int, default=800)
    parser.add_argument("--word-strings", type=int, default=450)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    texts = {
        "speech": speech_texts(
            from_grammar=arguments.from_grammar, numbers=arguments.numbers, word_strings=arguments.word_strings
        ),
        "tuning": read_sentences(TEXT / "tuning.txt"),
        "test": read_sentences(TEXT / "test.txt"),
        "numbers": number_test(),
    }
    for name, lines in texts.items():
        (arguments.out / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
        print(f"{name}: {len(lines)} utterances, {sum(len(characters(line)) for line in lines)} characters")


if __name__ == "__main__":
    main()
