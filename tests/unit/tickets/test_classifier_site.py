"""A site's trained model at work: its answer beside the phrases', and what happens when it cannot be read."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from classifier_site import trained

from asr.recognizer import Word
from hotline.errors import DamagedError
from hotline.settings import Settings
from hotline.settings_sections import TicketSettings
from tickets.classification import Learned, classify
from tickets.classifier.site import SiteClassifier, load_chosen
from tickets.classifier.store import ModelStore
from tickets.extraction import extract
from tickets.gazetteer import Gazetteer
from tickets.service import load_site_data
from tickets.speech import Speech, SpokenSegment
from tickets.taxonomy import Taxonomy, load_taxonomy

VERSION = "20260101-000000"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ("市政/路灯", "市政/井盖", "劳动", "医疗")


def spoken(text: str) -> Speech:
    """The text as words of one character."""
    words = tuple(Word(text[at], 100 * at, 100 * at + 100, 0.9) for at in range(len(text)))
    return Speech([SpokenSegment(0, text, words)])


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return load_taxonomy(TicketSettings().taxonomy_path)


@pytest.fixture
def gazetteer() -> Gazetteer:
    return load_site_data(TicketSettings()).gazetteer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    store = ModelStore(tmp_path)
    store.save(trained()[0], {})
    return Settings(data_dir=tmp_path)


def test_a_sure_answer_is_the_category_and_says_why(taxonomy: Taxonomy, gazetteer: Gazetteer) -> None:
    said = "村口那条街晚上黑咕隆咚的"
    learned = Learned("市政园林/路灯", 0.87, ("晚上", "不在话里"), VERSION)
    speech = spoken(said)
    found = extract(speech, now=NOW, caller_id="", taxonomy=taxonomy, gazetteer=gazetteer, learned=lambda _: learned)
    assert (found.category, found.type, found.tier) == (
        "市政园林/路灯",
        "help",
        taxonomy.categories[found.category].tier,
    )
    (finding,) = [one for one in found.findings if one.field == "category"]
    assert (finding.source, finding.confidence, finding.quote) == (f"model {VERSION}", 0.87, "晚上、不在话里")
    assert "路灯" in found.title
    assert "晚上" in found.keywords


def test_an_unsure_answer_leaves_the_phrases_to_decide(taxonomy: Taxonomy, gazetteer: Gazetteer) -> None:
    speech = spoken("路灯坏了")
    alone = extract(speech, now=NOW, caller_id="", taxonomy=taxonomy, gazetteer=gazetteer)
    beside = extract(speech, now=NOW, caller_id="", taxonomy=taxonomy, gazetteer=gazetteer, learned=lambda _: None)
    assert beside == alone
    assert alone.category == "市政园林/路灯"


def test_a_call_in_which_nothing_was_said_is_not_asked_about(taxonomy: Taxonomy, gazetteer: Gazetteer) -> None:
    def never(_: str) -> Learned | None:
        raise AssertionError

    assert (
        extract(Speech(()), now=NOW, caller_id="", taxonomy=taxonomy, gazetteer=gazetteer, learned=never).category == ""
    )


def test_an_answer_that_is_no_category_changes_nothing(taxonomy: Taxonomy) -> None:
    stranger = Learned("别处/的", 0.99, (), VERSION)
    assert classify("路灯坏了", taxonomy, stranger) == classify("路灯坏了", taxonomy)


def test_an_emergency_stays_one_whatever_was_learnt(taxonomy: Taxonomy) -> None:
    result = classify("对面楼着火了", taxonomy, Learned("市政园林/路灯", 0.99, (), VERSION))
    assert (result.tier, result.category.name) == ("T1", "市政园林/路灯")


def test_without_a_model_in_use_the_phrases_decide(settings: Settings) -> None:
    assert SiteClassifier(settings, LABELS).learner() is None


def test_a_model_taken_into_use_and_back_is_followed(settings: Settings) -> None:
    site, store = SiteClassifier(settings, LABELS), ModelStore(settings.data_dir)
    store.use(VERSION)
    learner = site.learner()
    assert learner is not None
    answer = learner("桥头的路灯不亮了")
    assert answer is not None
    assert (answer.category, answer.version) == ("市政/路灯", VERSION)
    assert answer.words
    assert learner("你好") is None
    assert site.learner() is learner
    store.use("")
    assert site.learner() is None


def test_a_setting_names_the_model_or_none(settings: Settings) -> None:
    ModelStore(settings.data_dir).use(VERSION)
    none = settings.model_copy(update={"tickets": TicketSettings(classifier="none")})
    assert SiteClassifier(none, LABELS).learner() is None
    ModelStore(settings.data_dir).use("")
    named = settings.model_copy(update={"tickets": TicketSettings(classifier=VERSION)})
    assert SiteClassifier(named, LABELS).learner() is not None


def test_an_unreadable_model_is_told_once_and_the_phrases_decide(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ModelStore(settings.data_dir).use(VERSION)
    (settings.data_dir / "classifier" / VERSION / "model.npz").write_bytes(b"old")
    site = SiteClassifier(settings, LABELS)
    with caplog.at_level(logging.WARNING):
        assert site.learner() is None
        assert site.learner() is None
    (record,) = caplog.records
    assert "hotline classify" in record.getMessage()


def test_a_model_of_other_labels_is_refused(settings: Settings) -> None:
    store = ModelStore(settings.data_dir)
    with pytest.raises(DamagedError, match="医疗"):
        load_chosen(store, VERSION, LABELS[:3])
    assert load_chosen(store, VERSION, LABELS).version == replace(trained()[0]).version
