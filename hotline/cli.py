"""The command line: `hotline COMMAND`. Commands import what they need, so a media process does not load the console."""

import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline import __version__
from hotline.cli_apikey import app as apikey_app
from hotline.cli_asr import app as asr_app
from hotline.cli_calendar import app as calendar_app
from hotline.cli_catalogue import app as catalogue_app
from hotline.cli_classify import app as classify_app
from hotline.cli_control import app as control_app
from hotline.cli_knowledge import app as knowledge_app
from hotline.cli_models import app as models_app
from hotline.cli_notices import app as notices_app
from hotline.cli_places import app as places_app
from hotline.cli_rates import app as rates_app
from hotline.cli_recordings import app as recordings_app
from hotline.cli_retention import hold_app, retention_app
from hotline.cli_search import app as search_app
from hotline.cli_survey import app as survey_app
from hotline.cli_tickets import app as tickets_app
from hotline.cli_topics import app as topics_app
from hotline.cli_trunks import trunks
from hotline.cli_units import app as units_app
from hotline.cli_webhooks import app as webhooks_app
from hotline.cli_words import app as words_app
from hotline.clock import SystemClock
from hotline.errors import HotlineError, InvalidInputError
from hotline.logs import configure_logging
from hotline.probes import PROCESSES
from hotline.settings import Settings, load_settings
from hotline.wiring import run_process

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="12345 公共热线")
user_app = typer.Typer(no_args_is_help=True, help="控制台账号")
app.add_typer(user_app, name="user")
flow_app = typer.Typer(no_args_is_help=True, help="语音流程")
app.add_typer(flow_app, name="flow")
prompts_app = typer.Typer(no_args_is_help=True, help="语音提示")
app.add_typer(prompts_app, name="prompts")
extension_app = typer.Typer(no_args_is_help=True, help="话机分机")
app.add_typer(extension_app, name="extension")
app.add_typer(apikey_app, name="apikey")
app.add_typer(calendar_app, name="calendar")
app.add_typer(asr_app, name="asr")
app.add_typer(classify_app, name="classify")
app.add_typer(control_app, name="control")
app.add_typer(survey_app, name="survey")
app.add_typer(retention_app, name="retention")
app.add_typer(hold_app, name="hold")
app.add_typer(models_app, name="models")
app.add_typer(recordings_app, name="recordings")
app.add_typer(places_app, name="places")
app.add_typer(tickets_app, name="tickets")
app.add_typer(units_app, name="units")
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(rates_app, name="rates")
app.add_typer(words_app, name="words")
app.add_typer(topics_app, name="topics")
app.add_typer(knowledge_app, name="knowledge")
app.add_typer(notices_app, name="notices")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(search_app, name="search")
app.command(help="显示各条中继：是否注册、服务器是否应答、最近的问题")(trunks)
ROLES_HELP = (
    "viewer | operator | reviewer | dispatcher | unit_handler | unit_head | leader | supervisor | auditor | admin"
)
out = Console()
err = Console(stderr=True)


@app.command(help="启动本机全部进程，并保持运行")
def serve() -> None:
    """Start all processes of this machine and keep them running."""
    from hotline.supervisor import Supervisor

    settings = load_settings()
    configure_logging(settings.log_level, "serve")
    supervisor = Supervisor(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.request_stop())
    try:
        supervisor.start(lambda name: err.print(f"  [green]✓[/] {name}"))
        phones = ", ".join(f"sip:{own.sip.address}:{own.sip.port}" for own in settings.media_processes())
        err.print(f"电话 {phones}  控制台 {console_address(settings)}  (Ctrl-C 停止)", highlight=False, soft_wrap=True)
        supervisor.watch()
    finally:
        supervisor.stop()


@app.command(help="在前台运行一个进程，用于集群或容器")
def run(process: Annotated[str, typer.Argument(help=" | ".join(PROCESSES))]) -> None:
    """Run one process in the foreground, for a cluster or a container."""
    if process not in PROCESSES:
        raise typer.BadParameter(f"no process named {process}; there are {', '.join(PROCESSES)}")
    settings = load_settings()
    configure_logging(settings.log_level, process)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_process(process, settings, stop)


@app.command(help="在本机打一个真实的电话，显示它变成的工单")
def demo(
    caller: Annotated[str, typer.Option(help="demo/callers 里的名字，或一个 WAV 文件")] = "street_light",
    keep: Annotated[bool, typer.Option("--keep", help="演示后继续运行，直到 Ctrl-C")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="最后一行输出一个 JSON 对象")] = False,
) -> None:
    """Place a real call over loopback and show its ticket."""
    from hotline.demo import run_demo

    configure_logging("warning", "demo")
    raise typer.Exit(run_demo(caller=caller, keep=keep, as_json=as_json))


@app.command(help="把数据库升级到本版本的结构")
def migrate() -> None:
    """Bring the database to this version's schema."""
    from hotline.db import Database

    settings = load_settings()
    database = Database(settings.effective_database_url())
    database.migrate()
    database.close()
    out.print("数据库已是最新")


@app.command(help="检查端口、磁盘、模型、证书、时钟、消息服务、数据库、中继和语音提示，并说明怎样修好")
def doctor(
    process: Annotated[str, typer.Option(help="只问这个进程是否正常，用于健康检查")] = "",
) -> None:
    """Check what the hotline needs and how its trunks are, and say how to mend what is wrong."""
    settings = load_settings()
    if process:
        from hotline.findings import examine_process

        findings = [examine_process(process, settings)]
    else:
        from hotline.doctor import examine

        findings = examine(settings)
    marks = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}
    for finding in findings:
        out.print(
            f"{marks[finding.level]} {escape(finding.subject)}: {escape(finding.message)}",
            highlight=False,
            soft_wrap=True,
        )
        if finding.hint:
            out.print(f"    → {escape(finding.hint)}", style="dim", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if any(finding.level == "error" for finding in findings) else 0)


@app.command(help="显示生效的设置，隐去密码")
def config() -> None:
    """Print the effective settings, secrets masked."""
    out.print_json(json.dumps(load_settings().masked(), ensure_ascii=False))


@app.command(help="显示版本")
def version() -> None:
    """Print the version."""
    out.print(__version__)


@extension_app.command("add", help="添加分机；不给密钥文件则生成密钥并显示一次")
def extension_add(
    number: str,
    name: Annotated[str, typer.Option(help="话机所在座席或人员")] = "",
    secret_file: Annotated[Path | None, typer.Option(help="从文件读取密钥")] = None,
    queue: Annotated[list[str] | None, typer.Option(help="接听的队列，可多次给出")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="技能，可多次给出")] = None,
    supervisor: Annotated[bool, typer.Option("--supervisor", help="班长席：可监听、密语、强插")] = False,
) -> None:
    """Add an extension; without a file a secret is made and shown once."""
    from hotline.wiring.access import open_extensions

    secret = secrets.token_urlsafe(15) if secret_file is None else _password(secret_file)
    settings = load_settings()
    open_extensions(settings).add(
        number, display_name=name, password=secret, queues=queue or (), skills=skill or (), supervisor=supervisor
    )
    out.print(f"已添加分机 {number}")
    if secret_file is None:
        out.print(f"域 {settings.extensions.realm}  用户名 {number}  密钥 {secret}", highlight=False, soft_wrap=True)


@extension_app.command("list", help="列出分机")
def extension_list() -> None:
    """List the extensions."""
    from hotline.wiring.access import open_extensions

    for record in open_extensions(load_settings()).all():
        parts = [record.name, record.display_name]
        parts += [f"队列 {'、'.join(record.queues)}"] if record.queues else []
        parts += [f"技能 {'、'.join(sorted(record.skills))}"] if record.skills else []
        parts += ["班长席"] if record.supervisor else []
        out.print(escape("  ".join(filter(None, parts))), highlight=False, soft_wrap=True)


@extension_app.command("remove", help="删除分机；已注册的话机随即失效")
def extension_remove(number: str) -> None:
    """Remove an extension; its phones ring no more."""
    from hotline.wiring.access import open_extensions

    open_extensions(load_settings()).remove(number)
    out.print(f"已删除分机 {number}")


@user_app.command("add", help="添加账号")
def user_add(
    username: str,
    name: Annotated[str, typer.Option(help="控制台里显示的姓名")] = "",
    role: Annotated[str, typer.Option(help=ROLES_HELP)] = "reviewer",
    unit: Annotated[str, typer.Option(help="承办单位代码；unit_handler 和 unit_head 必须给出")] = "",
    password_file: Annotated[Path | None, typer.Option(help="从文件读取密码；不给则询问")] = None,
) -> None:
    """Add an account."""
    from console import service as accounts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    with database.transaction() as session:
        accounts.create_user(
            session,
            username=username,
            display_name=name or username,
            role=role,
            unit=unit,
            password=_password(password_file),
            now=SystemClock().now(),
        )
    out.print(f"已添加账号 {username}")


@user_app.command("role", help="改变账号的角色和单位；该账号的登录全部失效")
def user_role(
    username: str,
    role: Annotated[str, typer.Argument(help=ROLES_HELP)],
    unit: Annotated[str, typer.Option(help="承办单位代码")] = "",
) -> None:
    """Change an account's role and unit; its sign-ins end."""
    from console import service as accounts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    with database.transaction() as session:
        accounts.set_role(session, username=username, role=role, unit=unit)
    out.print(f"已更改 {username} 的角色")


@user_app.command("passwd", help="设置密码；该账号的登录全部失效")
def user_passwd(username: str, password_file: Path | None = None) -> None:
    """Set an account's password; its sign-ins end."""
    from console import service as accounts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    with database.transaction() as session:
        accounts.set_password(session, username=username, password=_password(password_file))
    out.print(f"已更改 {username} 的密码")


@user_app.command("disable", help="停用账号；该账号的登录全部失效")
def user_disable(username: str) -> None:
    """Disable an account; its sign-ins end."""
    from console import service as accounts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    with database.transaction() as session:
        accounts.set_disabled(session, username=username, disabled=True)
    out.print(f"已停用 {username}")


@user_app.command("enable", help="启用停用的账号")
def user_enable(username: str) -> None:
    """Enable a disabled account."""
    from console import service as accounts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    with database.transaction() as session:
        accounts.set_disabled(session, username=username, disabled=False)
    out.print(f"已启用 {username}")


@user_app.command("list", help="列出账号")
def user_list() -> None:
    """List the accounts."""
    from console import service as accounts
    from hotline.wiring.database import open_database

    database = open_database(load_settings())
    table = Table("账号", "姓名", "角色", "单位", "状态")
    with database.transaction() as session:
        for user in accounts.list_users(session):
            table.add_row(user.username, user.display_name, user.role, user.unit, "停用" if user.disabled else "正常")
    out.print(table)


@flow_app.command("check", help="检查流程文件，列出全部问题和行号；有问题时退出码为 1")
def flow_check(
    file: Path, prompts_dir: Annotated[Path | None, typer.Option(help="语音提示目录；不给则用设置里的")] = None
) -> None:
    """List all problems of a flow with their lines."""
    from ivr.announcements.prompts import PromptLibrary
    from ivr.menu.loader import examine_flow

    library = PromptLibrary.load(prompts_dir or load_settings().flow.prompts_dir)
    flow, problems = examine_flow(file, prompts=frozenset(library.names))
    for problem in problems:
        out.print(
            f"[red]✗[/] {escape(f'{problem.path}:{problem.line}: {problem.message}')}", highlight=False, soft_wrap=True
        )
    if problems or flow is None:
        raise typer.Exit(1)
    out.print(f"[green]✓[/] {escape(flow.name)}: {len(flow.states)} 个状态，没有问题", highlight=False)
    year = SystemClock().now().astimezone(flow.zone).year
    if any(year not in hours.calendar.years for hours in flow.hours.values()):
        out.print(f"[yellow]![/] 节假日数据里没有 {year} 年，只按星期判断", highlight=False)


@flow_app.command("draw", help="画出流程图：SVG 或 Mermaid")
def flow_draw(
    file: Path,
    to: Annotated[
        Path | None, typer.Option("--to", help="写到这个文件；.svg 是图，其他是 Mermaid；不给则输出 Mermaid")
    ] = None,
    prompts_dir: Annotated[Path | None, typer.Option(help="语音提示目录；不给则用设置里的")] = None,
) -> None:
    """Draw a flow as SVG or Mermaid."""
    from ivr.announcements.prompts import PromptLibrary
    from ivr.menu.draw import mermaid, svg
    from ivr.menu.loader import load_flow

    library = PromptLibrary.load(prompts_dir or load_settings().flow.prompts_dir)
    flow = load_flow(file, prompts=frozenset(library.names))
    if to is None:
        sys.stdout.write(mermaid(flow, text_of=library.text))
        return
    try:
        to.write_text((svg if to.suffix == ".svg" else mermaid)(flow, text_of=library.text), encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{to}: {error.strerror}") from error


@prompts_app.command("check", help="检查语音提示：缺失、格式、响度、静音；有问题时退出码为 1")
def prompts_check(
    prompts_dir: Annotated[Path | None, typer.Argument(help="语音提示目录；不给则用设置里的")] = None,
) -> None:
    """List what is wrong with a folder of prompts."""
    from ivr.announcements.check import check_prompts

    directory = prompts_dir or load_settings().flow.prompts_dir
    faults = check_prompts(directory)
    for fault in faults:
        out.print(
            f"[red]✗[/] {escape(fault.name or str(directory))}: {escape(fault.message)}",
            highlight=False,
            soft_wrap=True,
        )
    if faults:
        raise typer.Exit(1)
    out.print(f"[green]✓[/] {escape(str(directory))}: 没有问题", highlight=False, soft_wrap=True)


@prompts_app.command("import", help="把任意格式的录音变成语音提示：8 kHz 单声道、统一响度、去掉首尾静音")
def prompts_import(
    file: Path,
    name: Annotated[str, typer.Argument(help="提示的名字，例如 menu_main")],
    text: Annotated[str, typer.Argument(help="录音里说的话，显示在通话记录里")],
    prompts_dir: Annotated[Path | None, typer.Option(help="语音提示目录；不给则用设置里的")] = None,
) -> None:
    """Make a prompt of a recording."""
    from ivr.announcements.importer import import_prompt

    directory = prompts_dir or load_settings().flow.prompts_dir
    seconds = import_prompt(directory, file, name, text)
    out.print(f"[green]✓[/] {escape(str(directory / name))}.wav: {seconds:.2f} 秒", highlight=False, soft_wrap=True)


def console_address(settings: Settings) -> str:
    """Where a browser on this machine finds the console."""
    host = "127.0.0.1" if settings.console.address == "0.0.0.0" else settings.console.address  # noqa: S104
    return f"https://{host}:{settings.console.port}"


def _password(path: Path | None) -> str:
    if path is not None:
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"password file {path}: {error}") from error
    answer: Any = typer.prompt("密码", hide_input=True, confirmation_prompt=True)
    return str(answer)


def main() -> None:
    """Entry point: an expected error is one clear line, never a traceback."""
    os.umask(0o027)  # calls are personal data: what any command or process of ours makes is not for other accounts
    try:
        app()
    except HotlineError as error:
        err.print(f"[red]错误[/]: {escape(error.message)}", highlight=False, soft_wrap=True)
        if error.hint:
            err.print(f"  → {escape(error.hint)}", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
