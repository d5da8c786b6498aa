"""The sentences of `sentences.tsv` were at hand while the phrases were written, those of `heldout.tsv` were not."""

import csv
from pathlib import Path

import pytest

from hotline.settings_sections import TicketSettings
from tickets.classification import Classification, classify
from tickets.taxonomy import Taxonomy, load_taxonomy

HERE = Path(__file__).parent
COMPLAINTS = HERE.parents[3] / "shared/data/complaints/labelled.csv"


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return load_taxonomy(TicketSettings().taxonomy_path)


def rows(name: str) -> list[list[str]]:
    with open(HERE / name, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


@pytest.mark.parametrize(("name", "accuracy"), [("sentences.tsv", 0.95), ("heldout.tsv", 0.90)])
def test_first_answer_is_right_often_enough(taxonomy: Taxonomy, name: str, accuracy: float) -> None:
    sentences = rows(name)
    assert len(sentences) >= 60
    assert {category for category, _ in sentences} <= set(taxonomy.categories)
    wrong = [
        (wanted, got, sentence)
        for wanted, sentence in sentences
        if (got := classify(sentence, taxonomy).category.name) != wanted
    ]
    assert 1 - len(wrong) / len(sentences) >= accuracy, wrong


def test_every_category_has_a_sentence_that_finds_it(taxonomy: Taxonomy) -> None:
    found = {
        wanted
        for name in ("sentences.tsv", "heldout.tsv")
        for wanted, sentence in rows(name)
        if classify(sentence, taxonomy).category.name == wanted
    }
    assert found == set(taxonomy.categories)


def test_answer_is_explained_by_its_phrases(taxonomy: Taxonomy) -> None:
    text = "村口的路灯坏了晚上一片漆黑"
    result = classify(text, taxonomy).category
    assert result.name == "市政园林/路灯"
    assert [(hit.phrase, hit.weight, text[hit.start : hit.end]) for hit in result.hits] == [
        ("路灯*坏", 4.0, "路灯坏"),
        ("一片漆黑", 1.0, "一片漆黑"),
    ]
    assert result.candidates[0].score == 5.0


def test_confidence_falls_with_a_rival(taxonomy: Taxonomy) -> None:
    alone = classify("路灯坏了", taxonomy).category
    contested = classify("路灯坏了旁边的井盖也丢了", taxonomy).category
    assert alone.margin == 1.0
    assert contested.margin == 0.0
    assert 0 < contested.confidence < alone.confidence < 1


@pytest.mark.parametrize("text", ["", "喂喂喂听得到吗", "您有什么问题需要反映", "今天天气不错", "\n\n"])
def test_what_says_nothing_of_a_matter_has_no_category(taxonomy: Taxonomy, text: str) -> None:
    result = classify(text, taxonomy)
    assert (result.category.name, result.category.confidence, result.category.hits) == ("", 0.0, ())
    assert (result.tier, result.overlay, result.emergency) == ("T3", "", None)


def emergency_of(result: Classification) -> str:
    return f"{result.emergency.name} {result.emergency.number}" if result.emergency else ""


@pytest.mark.parametrize(
    ("text", "emergency"),
    [
        ("我家里有很重的煤气味", "燃气泄漏 119"),
        ("天然气管子好像漏了", "燃气泄漏 119"),
        ("对面楼三层着火了", "火灾 119"),
        ("我爸突然晕倒了", "急救 120"),
        ("有人拿刀在小区里追人", "暴力与轻生 110"),
        ("楼顶上有人要跳楼", "暴力与轻生 110"),
    ],
)
def test_life_and_safety_is_an_emergency_of_the_first_tier(taxonomy: Taxonomy, text: str, emergency: str) -> None:
    result = classify(text, taxonomy)
    assert emergency_of(result) == emergency
    assert result.tier == "T1"
    assert result.emergency_hits


@pytest.mark.parametrize(
    "text",
    [
        "天然气费怎么交",
        "自行车轮胎总是漏气",
        "消防通道堵了真着了火怎么办",
        "有人烧纸差点引起山火",
        "小区里没有救护车通道",
        "想参加急救培训",
    ],
)
def test_words_of_danger_without_danger_are_no_emergency(taxonomy: Taxonomy, text: str) -> None:
    assert classify(text, taxonomy).emergency is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("我要投诉小区的物业", "complaint"),
        ("我举报有人私搭乱建", "report"),
        ("打电话表扬一下修暖气的师傅", "praise"),
        ("建议在路口装个红绿灯", "suggestion"),
        ("咨询一下公租房怎么申请", "enquiry"),
        ("路灯坏了麻烦你们派人来修", "help"),
    ],
)
def test_type_is_what_the_caller_says_it_is(taxonomy: Taxonomy, text: str, kind: str) -> None:
    assert classify(text, taxonomy).type.name == kind


def test_type_is_the_categorys_where_nothing_is_said(taxonomy: Taxonomy) -> None:
    result = classify("老板拖欠我们三个月工资", taxonomy).type
    assert (result.name, result.hits) == ("help", ())


@pytest.mark.parametrize(
    ("text", "overlay"),
    [
        ("家里的煤改电坏了不制热", "coal_to_electric"),
        ("煤改电设备一直报警", "coal_to_electric"),
        ("煤改电什么时候给我们村装", ""),
        ("暖气不热了", ""),
    ],
)
def test_overlay_needs_its_category_and_a_fault(taxonomy: Taxonomy, text: str, overlay: str) -> None:
    result = classify(text, taxonomy)
    assert result.overlay == overlay
    assert result.tier == "T2"


def test_first_levels_of_real_messages_are_sensible(taxonomy: Taxonomy) -> None:
    """A sanity figure on messages that may not be committed: their labels map onto some of our first levels."""
    if not COMPLAINTS.exists():
        pytest.skip("no labelled complaints beside the project")
    levels = {
        "城乡建设": {"城乡建设", "住房", "物业管理", "市政园林", "水电气讯", "供暖", "市容环卫"},
        "环境保护": {"环境保护", "市容环卫", "城乡建设"},
        "交通运输": {"交通管理", "市政园林"},
        "教育文体": {"教育文体旅游"},
        "劳动和社会保障": {"劳动社保", "医疗民政"},
        "商贸旅游": {"市场与企业服务", "教育文体旅游", "物业管理"},
        "卫生计生": {"医疗民政"},
    }
    with open(COMPLAINTS, encoding="utf-8-sig", newline="") as file:
        messages = [row for row in csv.DictReader(file) if row["label"] in levels]
    answers = [
        (row["label"], classify(row["subject"] + "\n" + row["text"][:500], taxonomy).category.name) for row in messages
    ]
    right = sum(answer.partition("/")[0] in levels[label] for label, answer in answers)
    assert len(messages) > 300
    assert right / len(messages) >= 0.55
