"""A small generative grammar over own-written text.

A file holds rules: `@name` begins one, the words after it, separated by white space, are its alternatives. Within an
alternative `{name}` is another rule or a number (`spoken.NUMBERS`), `(a|b|)` a choice, `#` begins a comment line.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

from .spoken import NUMBERS

CHOICE = re.compile(r"\(([^()]*)\)")
SLOT = re.compile(r"\{(\w+)\}")
MARK = "@"


@dataclass(frozen=True)
class Grammar:
    rules: dict[str, tuple[str, ...]]

    @classmethod
    def read(cls, path: Path) -> "Grammar":
        rules: dict[str, list[str]] = {}
        name = ""
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("#"):
                continue
            for word in line.split():
                if word.startswith(MARK):
                    name = word.removeprefix(MARK)
                    rules.setdefault(name, [])
                elif name:
                    rules[name].append(word)
                else:
                    raise ValueError(f"{path}: {word} belongs to no rule; begin one with {MARK}name")
        grammar = cls({name: tuple(words) for name, words in rules.items()})
        missing = grammar.undefined()
        if missing:
            raise ValueError(f"{path}: no rule for {', '.join(sorted(missing))}")
        return grammar

    def undefined(self) -> set[str]:
        """Slots that neither a rule nor a number fills."""
        used = {slot for words in self.rules.values() for word in words for slot in SLOT.findall(word)}
        empty = {name for name, words in self.rules.items() if not words}
        return (used - self.rules.keys() - NUMBERS.keys()) | empty

    def expand(self, text: str, rng: random.Random) -> str:
        while match := CHOICE.search(text):
            text = text[: match.start()] + rng.choice(match[1].split("|")) + text[match.end() :]
        return SLOT.sub(lambda match: self._fill(match[1], rng), text)

    def _fill(self, name: str, rng: random.Random) -> str:
        if name in NUMBERS:
            return NUMBERS[name](rng)
        return self.expand(rng.choice(self.rules[name]), rng)

    def sentence(self, rng: random.Random, rule: str = "sentence") -> str:
        """One sentence of the rule, with ，and 。 where a speaker pauses."""
        return self._fill(rule, rng)
