"""`hotline classify`: train a classifier from what the site has, see how good it is, take it into use or back."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.clock import SystemClock
from hotline.errors import InvalidInputError, NotFoundError
from hotline.settings import Settings, load_settings

if TYPE_CHECKING:
    from tickets.classifier.examples import Example
    from tickets.classifier.features import Text
    from tickets.classifier.pipeline import Corpus
    from tickets.classifier.store import ModelStore

app = typer.Typer(no_args_is_help=True, help="工单分类模型：训练、评估、启用、退回")
TICKETS, TAXONOMY, NONE = "tickets", "taxonomy", "none"
SHOWN = 50
MAX_FILE_BYTES = 1_000_000_000
AsJson = Annotated[bool, typer.Option("--json", help="最后一行输出一个 JSON 对象")]
Version = Annotated[str, typer.Option(help="模型版本；不给则是正在使用的，没有则是最新的")]
out = Console()
err = Console(stderr=True)


@app.command("train", help="训练一个模型：--from tickets、taxonomy（本站还没有数据时）或一个 CSV")
def train(
    source: Annotated[str, typer.Option("--from", help="tickets | taxonomy | CSV：text、label 两栏，title 可有可无")],
    unlabelled: Annotated[Path | None, typer.Option(help="CSV：没有类别的文本，也能使模型更准")] = None,
    seed: Annotated[int, typer.Option(min=0, help="随机种子；相同数据和种子得到相同模型")] = 1,
    use: Annotated[bool, typer.Option("--use", help="训练完就启用")] = False,
    as_json: AsJson = False,
) -> None:
    """Train, measure by cross-validation, keep with its card."""
    from tickets.classifier.pipeline import train_corpus
    from tickets.classifier.training import Plan

    settings = load_settings()
    store = _store(settings)
    corpus = _corpus(source, unlabelled, settings)
    err.print(f"{len(corpus.examples)} 条有类别的文本，{len(corpus.unlabelled)} 条没有类别", highlight=False)
    if few := corpus.left_out.get("labels_with_few"):
        err.print(f"[yellow]这些类别例子太少，没有训练：{escape('、'.join(few)[:500])}[/]", highlight=False)
    plan = Plan(settings.tickets.classifier_precision, seed)
    now = SystemClock().now().astimezone(settings.zone)
    model, card = train_corpus(
        corpus,
        plan=plan,
        version=store.new_version(now),
        now=now,
        progress=lambda text: err.print(f"  {text}", style="dim", highlight=False),
    )
    place = store.save(model, card)
    if use:
        _use(settings, store, model.version)
    if as_json:
        typer.echo(json.dumps(card, ensure_ascii=False))
        return
    _show_scores(card["cross_validation"])
    out.print(f"已保存 {escape(str(place))}", highlight=False, soft_wrap=True)
    out.print("正在使用" if use else f"启用：hotline classify use {model.version}", highlight=False)


@app.command("evaluate", help="评估一个模型：在给出的数据上，或显示训练时的交叉验证")
def evaluate(
    on: Annotated[str, typer.Option(help="tickets 或 CSV，最好是训练时没有的；不给则用训练时的交叉验证")] = "",
    version: Version = "",
    as_json: AsJson = False,
) -> None:
    """Macro-F1, the reliability curve and what each threshold would give."""
    from tickets.classifier import pipeline

    settings = load_settings()
    store = _store(settings)
    version = version or _current(store)
    if on:
        report = pipeline.evaluate(store.load(version), _labelled(on, settings))
    else:
        report = {"version": version, **store.card(version)["cross_validation"]}
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    _show_scores(report)


@app.command("predict", help="给一段话分类，或给一个 CSV 的每一行加上类别、把握和依据")
def predict(
    text: Annotated[str, typer.Argument(help="一段话")] = "",
    file: Annotated[Path | None, typer.Option(help="CSV：text 一栏，title 可有可无；结果写到标准输出")] = None,
    title: Annotated[str, typer.Option(help="这段话的标题")] = "",
    version: Version = "",
    as_json: AsJson = False,
) -> None:
    """Answers with confidence, whether they are sure enough, and the words behind them."""
    from dataclasses import asdict

    from tickets.classifier.features import Text

    settings = load_settings()
    store = _store(settings)
    model = store.load(version or _current(store))
    if file is not None:
        writer = csv.writer(sys.stdout)
        writer.writerow(["label", "confidence", "known", "words"])
        for each in _texts(file, settings):
            answer = model.answer(each)
            words = "、".join(reason.words for reason in answer.reasons)
            writer.writerow([answer.label, answer.confidence, int(answer.known), words])
        return
    if not text.strip():
        raise InvalidInputError("请给出一段话，或 --file 文件")
    answer = model.answer(Text(text, title))
    if as_json:
        typer.echo(json.dumps({"version": model.version, **asdict(answer)}, ensure_ascii=False))
        return
    out.print(
        f"{escape(answer.label)}  {answer.confidence:.0%}" + ("" if answer.known else "  （不确定）"), highlight=False
    )
    for name, chance in answer.alternatives[1:]:
        out.print(f"  {escape(name)}  {chance:.0%}", style="dim", highlight=False)
    out.print("依据：" + escape("、".join(reason.words for reason in answer.reasons)), highlight=False)


@app.command("models", help="列出本站的模型，最新的在最后")
def models() -> None:
    """List the models; the one in use is marked."""
    settings = load_settings()
    store = _store(settings)
    in_use = store.in_use()
    table = Table("", "版本", "来源", "文本", "macro-F1", "校准误差")
    for version in store.versions():
        card = store.card(version)
        found = card["cross_validation"]
        table.add_row(
            "✓" if version == in_use else "",
            version,
            escape(str(card["source"])),
            str(sum(card["examples"].values())),
            f"{found['macro_f1']:.3f}",
            f"{found['calibration_error']:.3f}",
        )
    out.print(table)


@app.command("card", help="显示一个模型的说明卡：用什么训练、有多准、不能用来做什么")
def card(version: Version = "") -> None:
    """Print the model card."""
    store = _store(load_settings())
    typer.echo(json.dumps(store.card(version or _current(store)), ensure_ascii=False, indent=2))


@app.command("use", help="启用一个模型，也用于退回旧的；none：不用模型，只用类别表的短语")
def use(version: Annotated[str, typer.Argument(help="模型版本，或 none")]) -> None:
    """Take a model into use; running processes follow."""
    settings = load_settings()
    _use(settings, _store(settings), "" if version == NONE else version)
    out.print("不再使用模型，只用短语" if version == NONE else f"正在使用 {version}", highlight=False)


def _store(settings: Settings) -> "ModelStore":
    from tickets.classifier.store import ModelStore

    return ModelStore(settings.data_dir)


def _current(store: "ModelStore") -> str:
    version = store.in_use() or next(iter(reversed(store.versions())), "")
    if not version:
        raise NotFoundError("还没有分类模型", hint="hotline classify train --from taxonomy")
    return version


def _use(settings: Settings, store: "ModelStore", version: str) -> None:
    from tickets.classifier.site import load_chosen
    from tickets.taxonomy import load_taxonomy

    if version:
        load_chosen(store, version, load_taxonomy(settings.tickets.taxonomy_path).categories)
    store.use(version)


def _corpus(source: str, unlabelled: Path | None, settings: Settings) -> "Corpus":
    from tickets.classifier import pipeline
    from tickets.taxonomy import load_taxonomy

    taxonomy = load_taxonomy(settings.tickets.taxonomy_path)
    more = _texts(unlabelled, settings) if unlabelled else ()
    if source == TAXONOMY:
        return pipeline.taxonomy_corpus(taxonomy, settings.tickets, more)
    if source == TICKETS:
        more = (*more, *_other_tickets(settings))
    name = TICKETS if source == TICKETS else Path(source).name
    examples = _labelled(source, settings)
    return pipeline.corpus_of(name, examples, more, taxonomy=taxonomy, settings=settings.tickets)


def _labelled(source: str, settings: Settings) -> "tuple[Example, ...]":
    from tickets.classifier.examples import parse_examples

    if source == TICKETS:
        from hotline.wiring.database import open_database
        from tickets.classifier.ticket_repository import labelled_tickets

        with open_database(settings).reading() as session:
            return labelled_tickets(session, limit=settings.tickets.classifier_max_rows)
    examples, faults = parse_examples(_read(Path(source)), limit=settings.tickets.classifier_max_rows)
    if faults:
        for fault in faults[:SHOWN]:
            err.print(f"[red]✗[/] {escape(f'{source}：{fault}')}", highlight=False, soft_wrap=True)
        raise InvalidInputError(f"{source}：{len(faults)} 行有错", hint="改正这些行，或删去")
    return examples


def _other_tickets(settings: Settings) -> "tuple[Text, ...]":
    from hotline.wiring.database import open_database
    from tickets.classifier.ticket_repository import other_tickets

    with open_database(settings).reading() as session:
        return other_tickets(session, limit=settings.tickets.classifier_max_rows)


def _texts(path: Path, settings: Settings) -> "tuple[Text, ...]":
    from tickets.classifier.examples import parse_texts

    return parse_texts(_read(path), limit=settings.tickets.classifier_max_rows)


def _read(path: Path) -> str:
    from tickets.places import decode

    try:
        with path.open("rb") as file:
            return decode(file.read(MAX_FILE_BYTES + 1), limit=MAX_FILE_BYTES)
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error.message}", hint=error.hint) from error


def _show_scores(report: dict[str, Any]) -> None:
    out.print(
        f"macro-F1 {report['macro_f1']:.3f}  正确率 {report['accuracy']:.3f}  "
        f"校准误差 {report['calibration_error']:.3f}  （{report['texts']} 条）",
        highlight=False,
    )
    given = report["precision_of_given"]
    out.print(
        f"把握不低于 {report['threshold']:.2f} 才回答：回答 {report['coverage']:.0%}"
        + (f"，其中 {given:.0%} 正确" if given is not None else ""),
        highlight=False,
    )
    table = Table("类别", "文本", "精确率", "召回率", "F1")
    for label, one in report["labels"].items():
        table.add_row(
            escape(label), str(one["examples"]), f"{one['precision']:.2f}", f"{one['recall']:.2f}", f"{one['f1']:.2f}"
        )
    out.print(table)
