"""The classifier's parts: rows read, confidence measured, models kept and read again, whatever happened to the file."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from classifier_site import trained
from hypothesis import given, settings
from hypothesis import strategies as st

from hotline.errors import ConflictError, DamagedError, InvalidInputError, NotFoundError
from tickets.classifier.calibration import (
    NEVER,
    Bin,
    calibration_error,
    coverage_curve,
    fit_blend,
    reliability,
    softmax,
    threshold_for,
)
from tickets.classifier.card import macro_f1, per_label
from tickets.classifier.examples import Example, check_enough, parse_examples, parse_texts, without_repeats
from tickets.classifier.features import Text, grams, normal
from tickets.classifier.label_words import load_words, weigh_words
from tickets.classifier.modelfile import read_model, write_model
from tickets.classifier.store import ModelStore

NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_rows_are_read_by_the_names_that_offices_use() -> None:
    examples, faults = parse_examples("编号,主题,内容,分类\n1,路灯,灯不亮,市政 / 路灯\n\n2,,欠薪,劳动\n", limit=9)
    assert faults == ()
    assert examples == (Example(Text("灯不亮", "路灯"), "市政/路灯"), Example(Text("欠薪"), "劳动"))
    assert parse_texts("text\tdate\n灯不亮\t1\n\t2\n", limit=9) == (Text("灯不亮"),)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (",劳动", "没有文本"),
        ("欠薪,", "没有类别"),
        ("欠薪,a/b/c", "一级/二级"),
        ("欠薪,a/", "一级/二级"),
        (f"欠薪,{'长' * 101}", "100 个字"),
        ("欠薪", "没有类别"),
    ],
)
def test_a_wrong_row_is_told_with_its_line(row: str, told: str) -> None:
    examples, (fault,) = parse_examples(f'text,label\n"一\n行",甲\n{row}\n', limit=9)
    assert len(examples) == 1
    assert str(fault).startswith("第 4 行")
    assert told in fault.message


@pytest.mark.parametrize(("text", "told"), [("", "text"), ("text\nx\n", "label"), ("label\nx\n", "text")])
def test_a_header_without_its_columns_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=f"没有 {told} 一栏"):
        parse_examples(text, limit=9)


def test_more_rows_than_the_bound_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="超过 2 行"):
        parse_examples("text,label\na,b\na,b\na,b\n", limit=2)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, "text,label\n" + text):
        try:
            examples, _ = parse_examples(whole, limit=50)
        except InvalidInputError:
            continue
        assert all(example.label and (example.text.body + example.text.title).strip() for example in examples)


def test_a_text_counts_once_with_the_label_it_has_most() -> None:
    same = [Example(Text("灯 不亮１"), "b"), Example(Text("灯不亮2"), "a"), Example(Text("灯不亮3"), "a")]
    kept, repeats = without_repeats([*same, Example(Text("欠薪"), "c")])
    assert [example.label for example in kept] == ["a", "c"]
    assert repeats == 2


def test_labels_with_few_texts_are_left_out_and_told() -> None:
    def many(label: str, count: int) -> list[Example]:
        return [Example(Text(f"{label}{number}"), label) for number in range(count)]

    kept, few = check_enough([*many("a", 5), *many("b", 6), *many("c", 4)])
    assert ({example.label for example in kept}, few) == ({"a", "b"}, ("c",))
    with pytest.raises(InvalidInputError, match="至少要两个类别"):
        check_enough(many("a", 9))
    with pytest.raises(InvalidInputError, match="最多 500"):
        check_enough([example for number in range(501) for example in many(f"l{number}", 5)])


@given(st.text(max_size=50))
def test_normal_form_is_stable_and_has_no_space(text: str) -> None:
    once = normal(text)
    assert not any(character.isspace() for character in once)
    assert sum(grams(once).values()) == max(0, 2 * len(once) - 1)


def test_blend_finds_the_sharpness_that_the_answers_deserve() -> None:
    chance = np.random.default_rng(1)
    scores = chance.normal(size=(4000, 3))
    chances = softmax(3 * scores)
    truth = np.array([chance.choice(3, p=row) for row in chances])
    blend = fit_blend(scores, np.zeros_like(scores), truth, words_weights=(0.0, 0.5))
    assert blend.sharpness == pytest.approx(3, rel=0.15)
    found = blend.probabilities(scores, np.zeros_like(scores))
    assert calibration_error(reliability(found.max(1), found.argmax(1) == truth)) < 0.03


def test_blend_takes_words_where_they_help_alone() -> None:
    truth = np.arange(300) % 3
    words = np.eye(3)[truth]
    noise = np.random.default_rng(1).normal(size=(300, 3)) / 10
    assert fit_blend(noise, words, truth, words_weights=(0.0, 0.4)).words_weight == 0.4
    assert fit_blend(words, -words, truth, words_weights=(0.0, 0.4)).words_weight == 0.0


def test_the_reliability_curve_by_hand() -> None:
    curve = reliability(np.array([0.95, 0.92, 0.55, 1.0]), np.array([True, False, True, True]))
    assert curve == (Bin(1, 0.55, 1.0), Bin(3, pytest.approx(0.9567, abs=1e-4), pytest.approx(2 / 3)))
    assert calibration_error(curve) == pytest.approx((0.45 + 3 * 0.29) / 4, abs=1e-3)
    assert calibration_error(()) == 0.0


ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(ANSWERS, st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_the_threshold_keeps_its_promise_and_no_lower_one_does(
    answers: list[tuple[float, bool]], wanted: float
) -> None:
    confidence = np.array([round(sure, 3) for sure, _ in answers])
    right = np.array([correct for _, correct in answers])
    threshold = threshold_for(wanted, confidence, right)
    given = confidence >= threshold
    if threshold == NEVER:
        assert not given.any()
    else:
        assert right[given].mean() >= wanted
    for lower in set(confidence[~given].tolist()):
        assert right[confidence >= lower].mean() < wanted


def test_coverage_falls_with_the_threshold() -> None:
    points = coverage_curve(np.array([0.2, 0.6, 0.9]), np.array([False, True, True]))
    assert [point.coverage for point in points] == sorted((p.coverage for p in points), reverse=True)
    assert (points[0].precision, points[-1].precision) == (pytest.approx(2 / 3), 1.0)


def test_f1_by_hand() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("c", "b")]
    assert {label: one["f1"] for label, one in per_label(pairs).items()} == {"a": 0.6667, "b": 0.5, "c": 0.0}
    assert macro_f1(*zip(*pairs, strict=True)) == pytest.approx((0.6667 + 0.5) / 3)


def test_words_of_second_levels_speak_for_their_first() -> None:
    words = weigh_words({"a/x": ("路灯",), "b": ("工资", "薪")}, ("a", "b"), [Text("工资")])
    assert words.scores(Text("路灯")).argmax() == 0
    assert words.scores(Text("工资", "工资")).argmax() == 1
    assert words.scores(Text("")).tolist() == [0, 0]
    assert words.found(Text("薪", "工资"), 1) == sorted(words.found(Text("薪", "工资"), 1), key=lambda item: -item[1])
    assert [word for word, _ in words.found(Text("路灯和工资"), 0)] == ["路灯"]


def test_the_words_that_come_along_are_whole() -> None:
    from hotline.settings_sections import TicketSettings

    words = load_words(TicketSettings().classifier_words_path)
    assert len(words) == 7
    assert all(len(found) > 40 for found in words.values())


def test_a_model_is_read_as_it_was_written() -> None:
    model, _ = trained()
    again = read_model(write_model(model))
    for text in ("路灯不亮", "拖欠工资", ""):
        assert again.answer(Text(text, text)) == model.answer(Text(text, text))
    assert write_model(again) == write_model(model)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_model_is_refused_or_works(data: st.DataObject) -> None:
    whole = bytearray(write_model(trained()[0]))
    match data.draw(st.sampled_from(["cut", "flip", "noise"])):
        case "cut":
            whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
        case "flip":
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
        case _:
            whole = bytearray(data.draw(st.binary(max_size=300)))
    try:
        model = read_model(bytes(whole))
    except DamagedError:
        return
    assert 0 <= model.answer(Text("路灯不亮")).confidence <= 1


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", table=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DamagedError):
        read_model((tmp_path / "evil.npz").read_bytes())


def test_models_are_kept_taken_into_use_and_taken_back(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    assert (store.versions(), store.in_use()) == ((), "")
    model, _ = trained()
    for version in ("20260101-080000", "20260101-080000-2"):
        assert store.new_version(NOW) == version
        store.save(replace(model, version=version), {"version": version})
    with pytest.raises(ConflictError):
        store.save(replace(model, version="20260101-080000"), {})
    assert len(store.versions()) == 2
    for version in ("20260101-080000-2", "20260101-080000"):
        store.use(version)
        assert store.in_use() == version
    assert store.card("20260101-080000-2") == {"version": "20260101-080000-2"}
    store.use("")
    assert store.in_use() == ""


def test_a_model_that_is_not_there_or_not_whole_is_told(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for version in ("20260101-080000", "../../etc", ""):
        with pytest.raises(NotFoundError):
            store.load(version)
        with pytest.raises(NotFoundError):
            store.card(version)
    place = store.save(replace(trained()[0], version="20260101-080000"), {})
    (place / "model.npz").write_bytes(b"PK")
    with pytest.raises(DamagedError, match=r"model\.npz"):
        store.use("20260101-080000")
    (place / "card.json").write_text(json.dumps([]), "utf-8")
    with pytest.raises(DamagedError):
        store.card("20260101-080000")
