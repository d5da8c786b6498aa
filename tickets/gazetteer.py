"""The places of the district and how they are found in recognised speech (`gazetteer.yaml`).

A name is looked for by its characters, then by its sound, then by its sound with one syllable wrong; the longest name
wins. Short names sound like too much else: by sound only names of three syllables and more count, with one wrong
syllable only those of four and more.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tickets.datafile import Table, load_data_file
from tickets.phrases import sound

SOUND_SYLLABLES = 3
ERROR_SYLLABLES = 4
EXACT, ALIAS, BY_SOUND, ONE_WRONG = 0.95, 0.85, 0.7, 0.5


class TownTable(Table):
    """A town or street as the file has it."""

    name: str = Field(min_length=2)
    aliases: tuple[str, ...] = ()


class PlaceTable(TownTable):
    """A well-known name; `town` is empty where it is not certain."""

    town: str = ""


class GazetteerFile(Table):
    """The whole file."""

    version: Literal[1]
    district: str
    towns: list[TownTable]
    places: list[PlaceTable]

    @model_validator(mode="after")
    def _towns_exist_and_names_differ(self) -> "GazetteerFile":
        towns = {town.name for town in self.towns}
        names = [name for item in [*self.towns, *self.places] for name in (item.name, *item.aliases)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice")
        for place in self.places:
            if place.town and place.town not in towns:
                raise ValueError(f"{place.name}: no such town: {place.town}")
        return self


@dataclass(frozen=True)
class PlaceName:
    """One spelling of a place. `town` is the town or street it lies in, its own name for a town, empty if unknown."""

    spelling: str
    name: str
    town: str
    confidence: float


@dataclass(frozen=True)
class PlaceHit:
    """A place found at `start:end`."""

    place: PlaceName
    source: str
    confidence: float
    start: int
    end: int


@dataclass(frozen=True)
class Gazetteer:
    """All spellings, longest first."""

    district: str
    spellings: tuple[PlaceName, ...]

    def find(self, text: str) -> PlaceHit | None:
        """The best place in `text`: found with the most certainty, then the longest, then the first."""
        hits = list(self._exact(text))
        if not hits:
            hits = list(self._by_sound(text))
        return max(hits, key=lambda hit: (hit.confidence, hit.end - hit.start, -hit.start), default=None)

    def _exact(self, text: str) -> "list[PlaceHit]":
        hits: list[PlaceHit] = []
        for place in self.spellings:
            start = text.find(place.spelling)
            end = start + len(place.spelling)
            if start >= 0 and not any(hit.start < end and start < hit.end for hit in hits):
                hits.append(PlaceHit(place, "gazetteer", place.confidence, start, end))
        return hits

    def _by_sound(self, text: str) -> "list[PlaceHit]":
        heard = sound(text)
        hits = []
        for place in self.spellings:
            wanted = sound(place.spelling)
            size = len(wanted)
            if size < SOUND_SYLLABLES:
                continue
            for start in range(len(heard) - size + 1):
                wrong = sum(a != b for a, b in zip(wanted, heard[start : start + size], strict=True))
                if wrong == 0 or (wrong == 1 and size >= ERROR_SYLLABLES):
                    confidence = ONE_WRONG if wrong else BY_SOUND
                    hits.append(PlaceHit(place, "gazetteer-sound", confidence, start, start + size))
        return hits


def load_gazetteer(path: Path) -> Gazetteer:
    """Reads the file; raises `ConfigurationError` naming file, line and key."""
    file = load_data_file(path, GazetteerFile)
    spellings = []
    for item in [*file.towns, *file.places]:
        town = item.town if isinstance(item, PlaceTable) else item.name
        spellings.append(PlaceName(item.name, item.name, town, EXACT))
        spellings.extend(PlaceName(alias, item.name, town, ALIAS) for alias in item.aliases)
    return Gazetteer(file.district, tuple(sorted(spellings, key=lambda place: -len(place.spelling))))
