"""What a site with no tickets has: its taxonomy's phrases and the sentences of `templates.yaml`, as examples. Pure."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tickets.classifier.examples import Example
from tickets.classifier.features import Text, normal
from tickets.datafile import Table, load_data_file
from tickets.phrases import WILDCARD
from tickets.taxonomy import Taxonomy

Sentence = Annotated[str, Field(min_length=4, max_length=200)]


class TemplatesFile(Table):
    """The whole file."""

    version: Literal[1]
    carriers: list[Annotated[str, Field(pattern=r"^[^{}]*\{\}[^{}]*$", max_length=100)]]
    sentences: dict[str, list[Sentence]]


def load_templates(path: Path) -> TemplatesFile:
    """Reads the file; raises `ConfigurationError` naming file, line and key."""
    return load_data_file(path, TemplatesFile)


def cold_examples(taxonomy: Taxonomy, file: TemplatesFile, *, templates: bool) -> tuple[Example, ...]:
    """Sentences of the taxonomy's categories, and its phrases carried; all are templates where `templates` is true.

    Otherwise the sentences count as met: a person wrote them, and something has to tell how sure the model may be.
    Sentences of categories that the taxonomy does not have are left out.
    """
    written = [
        Example(Text(sentence), label, templates)
        for label, sentences in file.sentences.items()
        if label in taxonomy.categories
        for sentence in sentences
    ]
    carried = [
        Example(Text(carrier.format(text)), category.name, True)
        for category in taxonomy.categories.values()
        for text in (phrase.literal for phrase in category.phrases.phrases)
        for carrier in file.carriers
    ]
    return (*written, *carried)


def taxonomy_words(taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    """Category -> the pieces of its phrases, in normal form, as the words of its label."""
    return {
        category.name: tuple(
            dict.fromkeys(
                normal(piece)
                for phrase in category.phrases.phrases
                for piece in phrase.text.split(WILDCARD)
                if len(piece) > 1
            )
        )
        for category in taxonomy.categories.values()
    }
