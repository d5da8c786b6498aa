"""`hotline asr`: how well the site's recognizer understands."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from hotline.errors import InvalidInputError
from hotline.settings import load_settings

if TYPE_CHECKING:
    from asr.recognizer import Recognizer

app = typer.Typer(no_args_is_help=True, help="语音识别")
out = Console()
err = Console(stderr=True)


@app.command("evaluate", help="用带文本的录音测识别：字错误率、可信度、速度、字幕延迟")
def evaluate_recordings(
    source: Annotated[Path, typer.Argument(help="目录，或表格（.tsv：文件名、制表符、文本）")],
    engine: Annotated[
        Literal["vosk", "sherpa", "remote"] | None, typer.Option(help="引擎；remote 使用识别服务；默认看模型")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="模型目录；默认用配置的模型")] = None,
    url: Annotated[str, typer.Option(help="识别服务的地址；默认用配置的地址")] = "",
    codec: Annotated[Literal["alaw", "ulaw", "g722"] | None, typer.Option(help="先经过电话编码")] = None,
    snr: Annotated[float | None, typer.Option(help="加噪声，信噪比（分贝）")] = None,
    loss: Annotated[float, typer.Option(min=0, max=0.9, help="丢包率，如 0.03")] = 0.0,
    real_time: Annotated[bool, typer.Option("--real-time", help="按真实语速送音频（默认尽快）")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """Recognises recordings whose words are known and compares."""
    from asr.evaluate import evaluate, read_references
    from asr.line import Line
    from hotline.evaluation_report import print_evaluation, report

    references = read_references(source)
    recognizer = _recognizer(engine, model, url)
    line = Line(codec=codec, snr_db=snr, loss=loss) if codec or snr is not None or loss else None
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("识别", total=len(references))
        evaluation = evaluate(
            recognizer, references, line=line, real_time=real_time, on_scored=lambda _: progress.advance(task)
        )
    conditions = {"codec": codec, "snr_db": snr, "loss": loss, "real_time": real_time}
    if as_json:
        typer.echo(json.dumps(report(evaluation, recognizer, conditions), ensure_ascii=False))
    else:
        print_evaluation(evaluation, recognizer, out, err)
    if evaluation.failed:
        raise typer.Exit(1)


@app.command("quality", help="识别与人工确认文字的差距：按日、引擎、模型、说话人的字错误率")
def recognition_quality(
    first: Annotated[str, typer.Option("--from", help="从这一天起，2026-01-05")] = "",
    last: Annotated[str, typer.Option("--to", help="到这一天止")] = "",
    replay: Annotated[bool, typer.Option("--replay", help="先按各版本重新计算全部数字")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")] = False,
) -> None:
    """How far the machine versions of confirmed transcripts were from the confirmed text."""
    from asr import quality, repository
    from asr.scoring import Errors
    from hotline.wiring.database import open_database

    for day in filter(None, (first, last)):
        try:
            date.fromisoformat(day)
        except ValueError as error:
            raise InvalidInputError(f"日期无效：{day}", hint="格式为 2026-01-05") from error
    settings = load_settings()
    database = open_database(settings)
    if replay:
        with database.transaction() as session:
            quality.replay(session, zone=settings.zone)
    with database.reading() as session:
        rows = repository.recognition_quality(session, first_day=first, last_day=last)
    if as_json:
        fields = ("day", "origin", "engine", "model", "speaker", "seat", "calls")
        report = [
            {name: getattr(row, name) for name in fields} | asdict(row.errors) | {"cer": round(row.errors.cer, 4)}
            for row in rows
        ]
        total = sum((row.errors for row in rows), Errors())
        typer.echo(json.dumps({"rows": report, **asdict(total), "cer": round(total.cer, 4)}, ensure_ascii=False))
        return
    table = Table("日期", "引擎", "模型", "来源", "说话人", "通话", "字数", "错误率")
    for row in rows:
        speaker = f"{row.speaker} {row.seat}".strip()
        table.add_row(
            *(escape(text) for text in (row.day, row.engine, row.model, row.origin, speaker)),
            *(str(row.calls), str(row.errors.characters), f"{row.errors.cer:.1%}"),
        )
    out.print(table if rows else "还没有已确认的转写")


def _recognizer(engine: str | None, model: Path | None, url: str) -> "Recognizer":
    from asr.engines.remote import RemoteRecognizer
    from asr.site import site_recognizer

    settings = load_settings()
    if engine == "remote":
        if model is not None:
            raise InvalidInputError("a recognizer elsewhere has its own model", hint="leave --model out")
        return RemoteRecognizer(url or settings.effective_asr_url())
    if url:
        raise InvalidInputError("--url is for --engine remote")
    chosen: dict[str, Any] = {"allow_demo_model": True}
    if model is not None:
        chosen |= {"model_path": model, "engine": engine or ""}
    elif engine is not None:
        chosen["engine"] = engine
    return site_recognizer(settings.model_copy(update={"asr": settings.asr.model_copy(update=chosen)}))
