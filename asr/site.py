"""The site's recognizer as its settings have it: a model, the site's words, the ends of utterances."""

from asr.endpointing import EndpointedRecognizer
from asr.engines.loading import load_recognizer
from asr.new_words import WithNewWords
from asr.recognizer import Recognizer
from asr.words import load_words
from hotline.errors import ConfigurationError
from hotline.settings import Settings
from hotline.site_files import Watched


def site_recognizer(settings: Settings) -> Recognizer:
    """Loads it; raises `ConfigurationError` for a model that cannot be used."""
    words = Watched((settings.words_path,), lambda: load_words(settings.words_path, limit=settings.asr.max_words))
    recognizer = load_recognizer(
        settings.effective_model_path(),
        engine=settings.asr.engine,
        allow_demo_model=settings.asr.allow_demo_model,
        hotwords=words.get(),
    )
    if recognizer.capabilities.hotwords:
        recognizer = WithNewWords(recognizer, words.get)
    silence_ms = settings.asr.endpoint_silence_ms
    if not silence_ms and not recognizer.capabilities.streaming:
        raise ConfigurationError(
            f"the model {recognizer.model.name} hears whole utterances and ends none",
            hint="set HOTLINE_ASR__ENDPOINT_SILENCE_MS to 600",
        )
    return EndpointedRecognizer(recognizer, silence_ms=silence_ms) if silence_ms else recognizer
