"""The site's category tree with its phrases, ticket types, emergencies and overlays (`taxonomy.yaml`)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from tickets.datafile import Table, load_data_file
from tickets.phrases import Phrase, PhraseSet

Tier = Literal["T1", "T2", "T3", "T4"]
TicketType = Literal["enquiry", "help", "complaint", "report", "suggestion", "praise"]
TYPES: tuple[TicketType, ...] = get_args(TicketType)
PhraseText = Annotated[str, Field(pattern=r"^[^*\s]+(\*[^*\s]+)*$", max_length=30)]
PhraseTable = dict[Annotated[int, Field(ge=1, le=4)], list[PhraseText]]
Clock = Annotated[str, Field(pattern=r"^[1-9][0-9]*(min|h|d|wd)$")]


class CategoryTable(Table):
    """A second-level category as the file has it."""

    tier: Tier
    type: TicketType
    matter: str = Field(min_length=2, max_length=20)
    phrases: PhraseTable


class EmergencyTable(Table):
    """A kind of emergency as the file has it."""

    number: str = Field(pattern=r"^[0-9]{3}$")
    phrases: PhraseTable
    unless: list[PhraseText]


class OverlayTable(Table):
    """A promise of the site for one category, made when the words also have one of `any_of`."""

    category: str
    any_of: list[PhraseText] = Field(min_length=1)
    clocks: dict[Literal["dispatch", "sign_in", "first_contact", "on_site", "done", "reply"], Clock]
    fee: str
    call_back: bool


class TaxonomyFile(Table):
    """The whole file."""

    version: Literal[1]
    gap: int = Field(ge=0, le=40)
    threshold: float = Field(gt=0)
    categories: dict[str, dict[str, CategoryTable]]
    types: dict[TicketType, PhraseTable]
    emergencies: dict[str, EmergencyTable]
    overlays: dict[str, OverlayTable]

    @model_validator(mode="after")
    def _overlays_name_categories(self) -> "TaxonomyFile":
        names = {f"{first}/{second}" for first, seconds in self.categories.items() for second in seconds}
        for name, overlay in self.overlays.items():
            if overlay.category not in names:
                raise ValueError(f"overlay {name} names no category: {overlay.category}")
        return self


@dataclass(frozen=True)
class Category:
    """A second-level category; `name` is `first/second`."""

    name: str
    tier: Tier
    type: TicketType
    matter: str
    phrases: PhraseSet


@dataclass(frozen=True)
class Emergency:
    """A kind of emergency and the number the caller is told."""

    name: str
    number: str
    phrases: PhraseSet
    unless: PhraseSet


@dataclass(frozen=True)
class Overlay:
    """A promise that lies over a category."""

    name: str
    category: str
    signs: PhraseSet
    clocks: Mapping[str, str]
    fee: str
    call_back: bool


@dataclass(frozen=True)
class Taxonomy:
    """The file, compiled."""

    threshold: float
    categories: dict[str, Category]
    types: dict[str, PhraseSet]
    emergencies: tuple[Emergency, ...]
    overlays: tuple[Overlay, ...]


def category_code(name: str) -> str:
    """A short code of a category for other systems; it stays as long as the name does.

    >>> category_code("市政园林/路灯")
    'c00d3377'
    """
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def load_taxonomy(path: Path) -> Taxonomy:
    """Reads and compiles the file; raises `ConfigurationError` naming file, line and key."""
    file = load_data_file(path, TaxonomyFile)
    gap = file.gap

    def compiled(table: PhraseTable) -> PhraseSet:
        return PhraseSet(tuple(Phrase(text, weight, gap) for weight, texts in table.items() for text in texts))

    def plain(texts: list[str]) -> PhraseSet:
        return compiled({1: texts})

    return Taxonomy(
        threshold=file.threshold,
        categories={
            f"{first}/{second}": Category(
                f"{first}/{second}", table.tier, table.type, table.matter, compiled(table.phrases)
            )
            for first, seconds in file.categories.items()
            for second, table in seconds.items()
        },
        types={str(name): compiled(table) for name, table in file.types.items()},
        emergencies=tuple(
            Emergency(name, table.number, compiled(table.phrases), plain(table.unless))
            for name, table in file.emergencies.items()
        ),
        overlays=tuple(
            Overlay(
                name,
                table.category,
                plain(table.any_of),
                {str(step): time for step, time in table.clocks.items()},
                table.fee,
                table.call_back,
            )
            for name, table in file.overlays.items()
        ),
    )
