"""The site's names as processes use them: where places are, and how what was misheard is written. Follows its files."""

from dataclasses import dataclass

from asr.misheard import Corrector
from asr.words import load_words
from hotline.settings import Settings
from hotline.site_files import Watched
from tickets.gazetteer import Gazetteer, load_gazetteer


@dataclass(frozen=True)
class Lexicon:
    """All names at one time."""

    gazetteer: Gazetteer
    corrector: Corrector


def load_lexicon(settings: Settings) -> Lexicon:
    """Reads the files; raises `ConfigurationError` naming file, line and what is wrong."""
    gazetteer = load_gazetteer(settings.tickets.gazetteer_path, settings.places_path, limit=settings.tickets.max_places)
    words = load_words(settings.words_path, limit=settings.asr.max_words)
    names = [*(place.spelling for place in gazetteer.spellings), *(word.text for word in words)]
    return Lexicon(gazetteer, Corrector(names if settings.asr.correct_names else ()))


def watch_lexicon(settings: Settings) -> Watched[Lexicon]:
    """The lexicon as the files are now, each time it is asked for; raises as `load_lexicon` at first."""
    paths = (settings.tickets.gazetteer_path, settings.places_path, settings.words_path)
    return Watched(paths, lambda: load_lexicon(settings))
