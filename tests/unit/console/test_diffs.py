"""What changed between two versions, for people to read; and how figures become a line."""

from asr.repository import QualityRow
from asr.scoring import Errors
from console.charts import HEIGHT, WIDTH, quality_series
from console.diffs import DiffLine, Piece, diff
from console.views import Utterance


def said(text: str, start_ms: int, speaker: str = "caller") -> Utterance:
    return Utterance(speaker=speaker, start_ms=start_ms, end_ms=start_ms + 500, words=(), text=text)


def test_only_what_changed_is_shown_with_what_went_before_what_came() -> None:
    before = [said("我姓张。", 0), said("住张山银镇。", 1000)]
    after = [said("我姓张。", 0), said("住张山营镇。", 1000)]
    pieces = (Piece("same", "住张山"), Piece("removed", "银"), Piece("added", "营"), Piece("same", "镇。"))
    assert diff(before, after) == (DiffLine(start_ms=1000, speaker="caller", speaker_before="caller", pieces=pieces),)
    assert diff(before, before) == ()


def test_a_split_and_a_new_speaker_are_told() -> None:
    split = diff([said("我姓张住延庆。", 0)], [said("我姓张", 0), said("住延庆。", 600)])
    assert [piece for line in split for piece in line.pieces] == [
        Piece("same", "我姓张"), Piece("added", "⏎"), Piece("same", "住延庆。")
    ]  # fmt: skip
    moved = diff([said("您好。", 0)], [said("您好。", 0, "seat")])
    assert [(line.speaker_before, line.speaker, line.pieces) for line in moved] == [
        ("caller", "seat", (Piece("same", "您好。"),))
    ]


def test_a_new_and_a_deleted_sentence_are_told() -> None:
    added = diff([], [said("喂", 0)])
    assert [(line.speaker_before, line.pieces) for line in added] == [("", (Piece("added", "喂"),))]
    assert diff([said("喂", 0)], [])[0].pieces == (Piece("removed", "喂"),)


def row(day: str, speaker: str = "caller", *, edits: int, model: str = "a") -> QualityRow:
    errors = Errors(characters=100, substitutions=edits)
    return QualityRow(
        day=day, origin="live", engine="vosk", model=model, speaker=speaker, seat="", calls=2, errors=errors
    )


def test_a_series_pools_its_speakers_and_draws_its_days_inside_the_frame() -> None:
    series = quality_series(
        [
            row("2026-01-05", edits=10),
            row("2026-01-05", "seat", edits=30),
            row("2026-01-07", edits=0),
            row("2026-01-06", edits=1, model="b"),
        ]
    )
    assert [(each.model, each.calls) for each in series] == [("a", 4), ("b", 2)]
    assert [(point.day, point.errors.cer, point.calls) for point in series[0].points] == [
        ("2026-01-05", 0.2, 2),
        ("2026-01-07", 0.0, 2),
    ]
    assert all(0 < point.x < WIDTH and 0 < point.y < HEIGHT for each in series for point in each.points)
    assert series[0].points[0].y < series[0].points[1].y, "more errors are drawn higher"
    assert quality_series([]) == []
