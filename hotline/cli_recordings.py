"""`hotline recordings ...`: prove the recordings that are kept, encrypt them, take old ones in."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from hotline.clock import SystemClock
from hotline.errors import ConfigurationError, ConflictError, HotlineError, InvalidInputError, UnavailableError
from hotline.settings import Settings, load_settings

if TYPE_CHECKING:
    from recordings.verification import Report

app = typer.Typer(no_args_is_help=True, help="录音的核验与保管")
out = Console()
err = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]
SHOWN = 20


@app.command("verify", help="按哈希链核验录音：缺失、改动、多出、未入链；有问题时退出码为 1")
def verify(
    day: Annotated[str, typer.Option(help="只核验这一天（UTC），例如 2026-01-05")] = "",
    first: Annotated[str, typer.Option("--from", help="从这一天起")] = "",
    last: Annotated[str, typer.Option("--to", help="到这一天止")] = "",
    head: Annotated[str, typer.Option(help="以前记下的链尾摘要，必须仍在链中")] = "",
    as_json: JsonOption = False,
) -> None:
    """Read every stored file again and compare it with the hash chain, the chain with its manifests and rows."""
    from hotline.wiring.database import open_database
    from recordings.store import open_store
    from recordings.verification import Verification

    if day and (first or last):
        raise InvalidInputError("--day 与 --from、--to 只能用一种")
    settings = load_settings()
    with closing(open_database(settings)) as database, err.status("核验") as status:
        verification = Verification(
            database,
            open_store(settings),
            clock=SystemClock(),
            progress=lambda path: status.update(f"核验 {escape(path)}"),
        )
        report = verification.run(first=day or first, last=day or last, known_head=head.lower())
    if as_json:
        typer.echo(json.dumps({**asdict(report), "sound": report.sound}, ensure_ascii=False))
    else:
        _show(report)
    raise typer.Exit(0 if report.sound else 1)


@app.command("import", help="导入旧录音：ffmpeg 能读的任何格式，成为通话、录音和转写；重复的文件只导入一次")
def import_files(
    paths: Annotated[list[Path], typer.Argument(help="文件或目录")],
    facts_file: Annotated[
        Path | None, typer.Option("--list", help="CSV 或 TSV，列名 file, started_at, caller, called；不给则按文件时间")
    ] = None,
    caller_right: Annotated[bool, typer.Option("--caller-right", help="双声道录音里来电人在右声道")] = False,
    transcribe: Annotated[bool, typer.Option(help="同时转写")] = True,
    as_json: JsonOption = False,
) -> None:
    """Take old recordings in. A file that fails is told, and the others go on."""
    import tempfile
    import wave

    from asr.importing import has_transcript, transcribe_import
    from hotline.wiring.database import open_database
    from recordings import importing, repository
    from recordings.store import open_store

    settings, clock = load_settings(), SystemClock()
    facts = importing.read_facts(facts_file, zone=settings.zone) if facts_file else {}
    files = importing.files_below(paths, but=facts_file)
    store, failed, added, transcripts = open_store(settings), [], 0, 0
    with closing(open_database(settings)) as database, err.status("导入") as status:
        for number, path in enumerate(files, 1):
            status.update(f"导入 {number}/{len(files)} {escape(path.name)}")
            try:
                call_id, digest = importing.content_id(path)
                with database.reading() as session:
                    known = repository.find_call(session, call_id) is not None
                if known and (not transcribe or has_transcript(database, call_id)):
                    continue
                with tempfile.TemporaryDirectory(prefix="hotline-import-") as folder:
                    wav = Path(folder) / "call.wav"
                    timeout_s = settings.recordings.ffmpeg_s
                    importing.convert(path, wav, swap=caller_right, timeout_s=timeout_s)
                    added += importing.import_call(
                        database,
                        store,
                        wav,
                        call_id=call_id,
                        digest=digest,
                        file_name=path.name,
                        facts=importing.facts_of(path, paths, facts),
                        now=clock.now(),
                    )
                    if transcribe:
                        with wave.open(str(wav), "rb") as file:
                            channels = file.getnchannels()
                        url = settings.effective_asr_url()
                        transcribe_import(database, wav, call_id=call_id, channels=channels, asr_url=url, now=clock.now)
                        transcripts += 1
            except ConfigurationError:
                raise
            except HotlineError as error:
                failed.append({"file": str(path), "error": error.message})
    counts = {"files": len(files), "imported": added, "transcripts": transcripts, "failed": failed}
    if as_json:
        typer.echo(json.dumps(counts, ensure_ascii=False))
    else:
        _say(f"{len(files)} 个文件：新导入 {added}，转写 {transcripts}，失败 {len(failed)}")
    for item in failed:
        err.print(f"[red]✗[/] {escape(item['file'])}: {escape(item['error'])}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


@app.command("new-key", help="生成新的录音密钥，写在密钥文件最前面，此后的录音用它加密")
def new_key(
    file: Path,
    key_id: Annotated[str, typer.Option("--id", help="密钥名；不给则用今天的日期")] = "",
) -> None:
    """Put a new key on top of a key file."""
    from recordings.keys import add_key

    key = add_key(file, key_id or f"{SystemClock().now():%Y-%m-%d}")
    _say(f"已在 {file} 写入密钥 {key.id}。请把它备份到录音以外的地方：丢了密钥，录音就再也打不开")


@app.command("rekey", help="把存储里的录音全部改用当前密钥加密；中断后再次运行即可接着做")
def rekey() -> None:
    """Encrypt every stored file under the key in use."""
    from hotline.wiring.database import open_database
    from recordings.rekeying import rekey
    from recordings.store import open_store

    settings = load_settings()
    with closing(open_database(settings)) as database, err.status("加密") as status:
        done = rekey(
            database,
            open_store(settings),
            clock=SystemClock(),
            progress=lambda path: status.update(f"加密 {escape(path)}"),
        )
    _say(f"重新加密 {done.files} 个文件，{done.already} 个本已如此")
    for path, reason in done.failed:
        err.print(f"[red]✗[/] {escape(path)}: {escape(reason)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if done.failed else 0)


@app.command("compress", help="压缩到期的录音（recordings.compress_after_days）；中断后再次运行即可接着做")
def compress(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出到期的录音，不压缩")] = False,
    limit: Annotated[int, typer.Option(min=0, help="最多处理多少条；0 为全部")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compress what is due, one recording after the other. One that fails is told, and the others go on."""
    from hotline.wiring.database import open_database
    from recordings.compression import Compression
    from recordings.store import open_store

    settings = load_settings()
    if not settings.recordings.compress_after_days:
        raise ConfigurationError("没有设置压缩录音", hint="设置 recordings.compress_after_days（天）")
    with closing(open_database(settings)) as database, err.status("压缩") as status:
        compression = Compression(settings=settings, database=database, store=open_store(settings), clock=SystemClock())
        if dry_run:
            due = list(islice(compression.due(), limit or None))
            counts = {"due": len(due), "bytes": sum(recording.size_bytes for recording in due)}
        else:
            with _alone(settings):
                done = compression.run(limit=limit, progress=lambda path: status.update(f"压缩 {escape(path)}"))
            counts = asdict(done)
    failed = [] if dry_run else done.failed
    if as_json:
        typer.echo(json.dumps(counts, ensure_ascii=False))
    elif dry_run:
        _say(f"到期 {counts['due']} 条，共 {counts['bytes'] / 1e6:.1f} MB")
    else:
        _say(f"压缩 {done.files} 条，{done.bytes_before / 1e6:.1f} MB 成为 {done.bytes_after / 1e6:.1f} MB")
    for path, reason in failed:
        err.print(f"[red]✗[/] {escape(path)}: {escape(reason)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keeps the workers from compressing meanwhile; where there is no broker, no worker does."""
    from hotline.jobs import ValkeyJobs
    from recordings.jobs import COMPRESS_LEASE

    jobs = ValkeyJobs(settings.effective_valkey_url())
    try:
        busy = jobs.leased(COMPRESS_LEASE)
    except UnavailableError:
        yield
        return
    if busy:
        raise ConflictError("另一个进程正在压缩录音", hint="稍后再试")
    with jobs.lease(COMPRESS_LEASE):
        yield


def _show(report: "Report") -> None:
    from recordings.verification import PROBLEMS, by_kind

    span = f"{report.first_day} 至 {report.last_day}（UTC）：" if report.first_day else ""
    _say(f"{span}{report.links} 个环节，读取 {report.files} 个文件 {report.size_bytes / 1e6:.1f} MB")
    if report.removed or report.replaced or report.compressed:
        _say(f"其中依规删除 {report.removed}，重新加密 {report.replaced}，压缩 {report.compressed}")
    if report.repaired:
        _say(f"{report.repaired} 条录音因中断被修复过，内容到中断为止")
    if report.awaiting_manifest:
        _say(f"{report.awaiting_manifest} 个环节尚未写入存储里的清单")
    for kind, findings in by_kind(report.findings):
        out.print(f"[red]✗[/] {PROBLEMS[kind]}：{len(findings)}", highlight=False)
        for finding in findings[:SHOWN]:
            _say(f"    {finding.day} {finding.subject}: {finding.message}")
        if len(findings) > SHOWN:
            _say(f"    …… 其余 {len(findings) - SHOWN} 项见 --json")
    if report.sound:
        out.print("[green]✓[/] 没有问题", highlight=False)
    _say(f"链尾 {report.head}")


def _say(text: str) -> None:
    out.print(escape(text), highlight=False, soft_wrap=True)
