"""What an extractor gives: a value and why it is believed."""

from dataclasses import dataclass

from tickets.speech import Span


@dataclass(frozen=True)
class Finding:
    """Why a field has its value. `source`: transcript, seat, caller_id or rule; `span` is None where nothing was said.

    `confidence` is a rank for people to sort by, 0 to 1. A category may be from the trained classifier: its source is
    `model` and the version, its confidence a probability, its quote the words that decided.
    """

    field: str
    value: str
    source: str
    confidence: float
    span: Span | None = None
    quote: str = ""
