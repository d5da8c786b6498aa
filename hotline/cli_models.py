"""`hotline models`: the recognition models that there are, those of the site, and which one is in use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from hotline.errors import ConflictError, NotFoundError
from hotline.settings import Settings, load_settings
from hotline.settings_sections import BUNDLED_MODEL

if TYPE_CHECKING:
    from asr.model_store import ModelStore

app = typer.Typer(no_args_is_help=True, help="语音识别模型")
out = Console()
err = Console(stderr=True)
UNKNOWN = "未知"


@app.command("list", help="列出已知的公开模型和本站已安装的模型")
def list_models() -> None:
    """List the public models that we know of and those of the site."""
    from asr.catalogue import load_catalogue
    from asr.engines.loading import read_model_info

    settings = load_settings()
    store = _store(settings)
    public = load_catalogue()
    for model in public:
        out.print(f"[bold]{model.name}[/] {_state(model.name, store)}", soft_wrap=True, highlight=False)
        facts = (
            f"{model.engine}，{'流式' if model.streaming else '整句'}，{model.sample_rate // 1000} kHz",
            f"下载 {f'{model.size / 1e6:.0f} MB' if model.size else UNKNOWN}",
            f"校验值{'已知' if model.sha256 else UNKNOWN}",
            f"内存 {f'{model.memory_mb} MB' if model.memory_mb else UNKNOWN}",
            f"公布的字错率 {model.cer or UNKNOWN}",
            f"许可 {model.licence or UNKNOWN}",
        )
        out.print(f"    {model.about}\n    {'；'.join(facts)}\n    {model.source}", soft_wrap=True, highlight=False)
    for name in store.names:
        if name not in {model.name for model in public}:
            out.print(f"[bold]{name}[/] {_state(name, store)}", soft_wrap=True, highlight=False)
    info = read_model_info(settings.effective_model_path(), engine=settings.asr.engine)
    out.print(f"使用中：{info.name}（{info.engine}）{settings.effective_model_path()}", soft_wrap=True, highlight=False)


@app.command("fetch", help="下载并安装一个公开模型；中断后再次运行会接着下载")
def fetch(
    name: Annotated[str, typer.Argument(help="模型名，见 hotline models list")],
    source: Annotated[Path | None, typer.Option("--from", help="已下载的文件，用于没有互联网的机器")] = None,
) -> None:
    """Fetch a public model and install it."""
    from asr.catalogue import Download, check_archive, find_model

    settings = load_settings()
    store, model = _store(settings), find_model(name)
    if name in store.names:
        raise ConflictError(f"there is a model {name} already")
    if source is not None:
        if not source.is_file():
            raise NotFoundError(f"no file {source}")
        check_archive(source, model)
        _told(store.install(source, name))
        return
    download = Download(model, store.downloads, settings.asr.models_mirror, settings.asr.models_max_bytes)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(name, total=model.size)
        archive = download.run(lambda here, total: progress.update(task, completed=here, total=total))
    _told(store.install(archive, name))
    archive.unlink()


@app.command("import", help="安装一个模型目录或压缩包（.zip .tar.gz .tar.bz2）")
def import_model(
    source: Annotated[Path, typer.Argument(help="目录或压缩包")],
    name: Annotated[str, typer.Option(help="安装后的名字；默认用目录名")] = "",
) -> None:
    """Install a model from a directory or an archive."""
    _told(_store(load_settings()).install(source, name))


@app.command("verify", help="核对模型文件与安装时记录的校验值")
def verify(name: Annotated[str, typer.Argument(help="模型名；默认全部")] = "") -> None:
    """Compare the files of one model, or of all, with their recorded hashes."""
    store = _store(load_settings())
    for each in [name] if name else store.names:
        out.print(f"{each}: {store.verify(each)} 个文件无误", highlight=False)


@app.command("use", help="选定模型，识别进程下次启动时生效；zh_tiny 是自带的演示模型")
def use(name: Annotated[str, typer.Argument(help="已安装的模型名")]) -> None:
    """Choose the model that recognizers load at their next start."""
    settings = load_settings()
    if settings.asr.model_path is not None:
        raise ConflictError(
            f"asr.model_path is set to {settings.asr.model_path}, which goes before any choice",
            hint="remove model_path from hotline.toml and HOTLINE_ASR__MODEL_PATH from the environment",
        )
    store = _store(settings)
    if name == BUNDLED_MODEL.name:
        store.use_bundled()
    else:
        store.use(name)
    out.print(f"{name} 在识别进程下次启动时生效：重启 `hotline serve`，或识别服务", highlight=False)


def _store(settings: Settings) -> "ModelStore":
    from asr.model_store import ModelStore

    return ModelStore(settings.models_dir, max_bytes=settings.asr.models_max_bytes)


def _state(name: str, store: "ModelStore") -> str:
    return "使用中" if name == store.chosen else "已安装" if name in store.names else ""


def _told(path: Path) -> None:
    out.print(f"已安装 {path.name}；`hotline models use {path.name}` 选定它", highlight=False, soft_wrap=True)
