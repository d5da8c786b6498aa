"""An evaluation of recognition as people and machines read it."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asr.evaluate import Evaluation, UtteranceScore
from asr.recognizer import Recognizer
from asr.scoring import GAP, Alignment, calibration_error
from hotline.report import machine, versions


def report(evaluation: Evaluation, recognizer: Recognizer, conditions: dict[str, Any]) -> dict[str, Any]:
    """What `hotline asr evaluate --json` prints."""
    bins = evaluation.calibration
    return {
        "benchmark": "asr evaluate",
        "machine": machine(),
        "versions": versions("vosk", "soxr"),
        "model": {"name": recognizer.model.name, "engine": recognizer.model.engine, "demo": recognizer.model.demo},
        "conditions": conditions,
        **_errors(evaluation),
        "recordings": len(evaluation.utterances),
        "audio_s": round(evaluation.audio_s, 1),
        "rtf": round(evaluation.rtf, 4),
        "partial_delay_s": _percentiles(evaluation.partial_delays),
        "final_delay_s": _percentiles(evaluation.final_delays),
        "calibration": {
            "error": round(calibration_error(bins), 4),
            "bins": [
                {"words": each.words, "confidence": round(each.confidence, 3), "accuracy": round(each.accuracy, 3)}
                for each in bins
            ],
        },
        "files": [_file(item) for item in evaluation.utterances],
        "failed": dict(evaluation.failed),
    }


def _errors(scored: Evaluation | UtteranceScore) -> dict[str, Any]:
    errors = scored.errors
    return {
        "cer": round(errors.cer, 4),
        "characters": errors.characters,
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
    }


def _file(item: UtteranceScore) -> dict[str, Any]:
    return {
        "name": item.name,
        **_errors(item),
        "audio_s": round(item.heard.audio_s, 2),
        "rtf": round(item.heard.rtf, 4),
        "partial_delay_s": _percentiles(item.heard.partial_delays),
        "final_delay_s": _percentiles(item.heard.final_delays),
        "reference": item.reference,
        "hypothesis": item.heard.text,
        "aligned": [item.alignment.reference, item.alignment.hypothesis],
    }


def _percentiles(values: tuple[float, ...]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": round(max(values), 3)}


def print_evaluation(evaluation: Evaluation, recognizer: Recognizer, out: Console, err: Console) -> None:
    """Texts one above the other, a table of errors, and how far confidences hold."""
    for item in evaluation.utterances:
        out.print(f"[bold]{escape(item.name)}[/]  字错误率 {item.errors.cer:.1%}", highlight=False)
        if item.errors.edits:
            for text in _marked(item.alignment):
                out.print(f"  {text}", highlight=False, soft_wrap=True)
    title = escape(recognizer.model.name)
    table = Table("录音", "字数", "字错误率", "错", "漏", "多", "实时率", "字幕延迟", title=title)
    for item in evaluation.utterances:
        table.add_row(escape(item.name), *_row(item, item.heard.rtf, item.heard.partial_delays))
    table.add_section()
    table.add_row("合计", *_row(evaluation, evaluation.rtf, evaluation.partial_delays))
    out.print(table)
    bins = evaluation.calibration
    if bins:
        trust = Table("词数", "平均可信度", "实际正确", title=f"可信度与正确率平均相差 {calibration_error(bins):.1%}")
        for each in bins:
            trust.add_row(str(each.words), f"{each.confidence:.0%}", f"{each.accuracy:.0%}")
        out.print(trust)
    if recognizer.model.demo:
        out.print("[yellow]演示模型：听不懂真人。[/]")
    for name, problem in evaluation.failed.items():
        err.print(f"[red]{escape(name)}: {escape(problem)}[/]", highlight=False)


def _row(scored: Evaluation | UtteranceScore, rtf: float, delays: tuple[float, ...]) -> list[str]:
    errors = scored.errors
    counts = (errors.substitutions, errors.deletions, errors.insertions)
    delay = f"{np.median(delays):.2f} 秒" if delays else ""
    return [str(errors.characters), f"{errors.cer:.1%}", *map(str, counts), f"{rtf:.3f}", delay]


def _marked(alignment: Alignment) -> tuple[str, str]:
    """Both lines of an alignment, one above the other, what differs in colour."""
    expected, heard = [], []
    for said, taken in zip(alignment.reference, alignment.hypothesis, strict=True):
        wide = "".join(_wide(character) for character in (said, taken))
        colour = None if said == taken else "yellow" if GAP in (said, taken) else "red"
        expected.append(wide[0] if colour is None else f"[{colour}]{wide[0]}[/]")
        heard.append(wide[1] if colour is None else f"[{colour}]{wide[1]}[/]")
    return "".join(expected), "".join(heard)


def _wide(character: str) -> str:
    """A character as broad as a Chinese one, so that the lines keep in step."""
    return chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character
