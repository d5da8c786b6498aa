"""The places of the district and how they are found in recognised speech (`gazetteer.yaml` and what the site imports).

A name is looked for by its characters, then by its sound, then by its sound with one syllable wrong; the longest name
wins. Short names sound like too much else: by sound only names of three syllables and more count, with one wrong
syllable only those of four and more.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from asr.sounds import SoundIndex, sound
from hotline.errors import ConfigurationError
from tickets.datafile import Table, load_data_file
from tickets.places import MAX_PLACES, Place, merge, parse_table

SOUND_SYLLABLES = 3
ERROR_SYLLABLES = 4
EXACT, ALIAS, BY_SOUND, ONE_WRONG = 0.95, 0.85, 0.7, 0.5


class TownTable(Table):
    """A town or street as the file has it."""

    name: str = Field(min_length=2)
    aliases: tuple[str, ...] = ()


class PlaceTable(TownTable):
    """A well-known name; `town`, and `community` and `grid` of it, are empty where they are not certain."""

    town: str = ""
    community: str = ""
    grid: str = Field("", max_length=32)


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
    """One spelling of a place. `town` is the town or street it lies in, its own name for a town, empty if unknown;
    `kind`, `community` and `grid` as in `tickets.places`."""

    spelling: str
    name: str
    town: str
    confidence: float
    kind: str = "other"
    community: str = ""
    grid: str = ""


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

    def find_all(self, text: str) -> tuple[PlaceHit, ...]:
        """All places in `text` in its order, none over another; those by sound only where no syllable is wrong."""
        kept = self._exact(text)
        heard = [hit for hit in self._by_sound(text) if hit.confidence >= BY_SOUND]
        for hit in sorted(heard, key=lambda hit: hit.start - hit.end):
            if not any(hit.start < other.end and other.start < hit.end for other in kept):
                kept.append(hit)
        return tuple(sorted(kept, key=lambda hit: hit.start))

    def _exact(self, text: str) -> "list[PlaceHit]":
        hits: list[PlaceHit] = []
        for place in self.spellings:
            start = text.find(place.spelling)
            end = start + len(place.spelling)
            if start >= 0 and not any(hit.start < end and start < hit.end for hit in hits):
                hits.append(PlaceHit(place, "gazetteer", place.confidence, start, end))
        return hits

    def _by_sound(self, text: str) -> "list[PlaceHit]":
        return [
            PlaceHit(hit.item, "gazetteer-sound", ONE_WRONG if hit.wrong else BY_SOUND, hit.start, hit.end)
            for hit in self._sounds.find(sound(text))
        ]

    @cached_property
    def _sounds(self) -> SoundIndex[PlaceName]:
        return SoundIndex(
            ((sound(place.spelling), place) for place in self.spellings if len(place.spelling) >= SOUND_SYLLABLES),
            error_size=ERROR_SYLLABLES,
        )


def load_gazetteer(path: Path, places_path: Path | None = None, *, limit: int = MAX_PLACES) -> Gazetteer:
    """Reads the file and, where there are any, the places that the site imported, which count where both have a name.

    Raises `ConfigurationError` naming file, line and what is wrong.
    """
    file = load_data_file(path, GazetteerFile)
    known = [Place(item.name, "town", "", item.aliases) for item in file.towns]
    known += [Place(item.name, "other", item.town, item.aliases, item.community, item.grid) for item in file.places]
    given = load_places(places_path, towns={town.name for town in file.towns}, limit=limit) if places_path else ()
    return Gazetteer(file.district, _spellings(merge(known, given).places))


def load_places(path: Path, *, towns: Collection[str], limit: int = MAX_PLACES) -> tuple[Place, ...]:
    """The places that the site imported, none where there is no file; raises `ConfigurationError`."""
    try:
        table = parse_table(path.read_text("utf-8"), towns=towns, limit=limit)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {error}") from error
    if table.faults:
        raise ConfigurationError("; ".join(f"{path}: {fault}" for fault in table.faults), hint="hotline places check")
    return table.places


def sound_alikes(gazetteer: Gazetteer) -> list[tuple[str, ...]]:
    """Names of different places that nobody tells apart by ear."""
    heard: dict[str, dict[str, str]] = {}
    for place in gazetteer.spellings:
        if len(place.spelling) >= SOUND_SYLLABLES:
            heard.setdefault(sound(place.spelling), {})[place.spelling] = place.name
    return [tuple(names) for names in heard.values() if len(set(names.values())) > 1]


def _spellings(places: Sequence[Place]) -> tuple[PlaceName, ...]:
    """Names, and the aliases that mean one place alone; the longest first."""
    spellings: dict[str, PlaceName] = {}
    for place in places:
        spellings[place.name] = _name(place, place.name, EXACT)
    count = Counter(alias for place in places for alias in place.aliases)
    for place in places:
        for alias in place.aliases:
            if alias not in spellings and count[alias] == 1:
                spellings[alias] = _name(place, alias, ALIAS)
    return tuple(sorted(spellings.values(), key=lambda spelling: -len(spelling.spelling)))


def _name(place: Place, spelling: str, confidence: float) -> PlaceName:
    town = place.name if place.kind == "town" else place.town
    community = place.name if place.kind in ("community", "village") else place.community
    return PlaceName(spelling, place.name, town, confidence, place.kind, community, place.grid)
