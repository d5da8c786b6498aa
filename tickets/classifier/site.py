"""The trained model that a site makes tickets with: read when it is taken into use, left out where it cannot be."""

import logging
from collections.abc import Collection

from hotline.errors import DamagedError, HotlineError
from hotline.settings import Settings
from tickets.classification import Learned
from tickets.classifier.features import Text
from tickets.classifier.model import Model
from tickets.classifier.store import ModelStore
from tickets.extraction import Learner

IN_USE, NONE = "in-use", "none"
log = logging.getLogger(__name__)


def chosen_version(settings: Settings, store: ModelStore) -> str:
    """The version that the settings and `hotline classify use` name; empty for none. Raises `DamagedError`."""
    if settings.tickets.classifier == NONE:
        return ""
    return store.in_use() if settings.tickets.classifier == IN_USE else settings.tickets.classifier


def load_chosen(store: ModelStore, version: str, categories: Collection[str]) -> Model:
    """The model; raises `NotFoundError`, or `DamagedError` where it is unreadable or knows labels that are no
    categories of the site: their tickets would have no deadlines."""
    model = store.load(version)
    strangers = sorted(set(model.labels) - set(categories))
    if strangers:
        raise DamagedError(
            f"分类模型 {version} 的类别不在本站的类别表里：{'、'.join(strangers)[:200]}",
            hint="用本站的类别重新训练，或 hotline classify use none",
        )
    return model


def learner_of(model: Model) -> Learner:
    """What the model says of a call, where it is sure enough."""

    def learned(text: str) -> Learned | None:
        answer = model.answer(Text(text))
        if not answer.known:
            return None
        words = tuple(reason.words for reason in answer.reasons)
        return Learned(answer.label, answer.confidence, words, model.version)

    return learned


class SiteClassifier:
    """Follows the version in use. One that cannot be read is told once, and the phrases decide alone."""

    def __init__(self, settings: Settings, categories: Collection[str]) -> None:
        self._settings, self._categories = settings, categories
        self._store = ModelStore(settings.data_dir)
        self._version = ""
        self._learner: Learner | None = None

    def __call__(self, text: str) -> Learned | None:
        """What the model in use says of a text, where it is sure enough."""
        learner = self.learner()
        return learner(text) if learner is not None else None

    def learner(self) -> Learner | None:
        """The trained classifier as it is now; None for none."""
        try:
            version = chosen_version(self._settings, self._store)
        except DamagedError as error:
            log.warning("no trained classifier: %s; %s", error.message, error.hint)
            return None
        if version != self._version:
            self._version, self._learner = version, self._load(version) if version else None
        return self._learner

    def _load(self, version: str) -> Learner | None:
        try:
            model = load_chosen(self._store, version, self._categories)
        except HotlineError as error:
            log.warning("no trained classifier, the phrases decide alone: %s; %s", error.message, error.hint)
            return None
        log.info("trained classifier %s in use", version)
        return learner_of(model)
