"""Fields of a ticket from what was said, each with its evidence: a module a kind of field, `extract` all of them."""

from tickets.extraction.finding import Finding
from tickets.extraction.matter import TITLE_LENGTH, UNHEARD_TITLE
from tickets.extraction.sheet import OBSERVED, PERSONAL, Extraction, Learner, extract

__all__ = ["OBSERVED", "PERSONAL", "TITLE_LENGTH", "UNHEARD_TITLE", "Extraction", "Finding", "Learner", "extract"]
