"""`hotline doctor`: what is wrong on this machine, and how to mend it."""

import ctypes
import errno
import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from asr.capacity import STATE, announcements
from asr.engines.loading import check_model
from asr.search import count_stale
from console.certificates import certificate_directory, expires_at
from hotline.bus import Bus, ValkeyBus
from hotline.cli_trunks import STATE_NAMES
from hotline.clock import SystemClock
from hotline.db import Database
from hotline.errors import HotlineError, UnavailableError
from hotline.findings import Finding, examine_process
from hotline.limits import descriptors_needed
from hotline.settings import Settings, mask_url
from ivr.announcements.prompts import PromptLibrary
from ivr.media.engine import NICE
from ivr.menu.machine import load_flow
from recordings.ffmpeg import check_encoder
from recordings.keys import load_keys
from tickets.classifier.site import chosen_version, load_chosen
from tickets.classifier.store import ModelStore
from tickets.notices import repository
from tickets.notices.delivery import DeliveryState
from tickets.notices.plan import load_plan
from tickets.notices.site_channels import open_channels
from tickets.notices.subscriptions import load_webhook_keys, webhook_key_path
from tickets.taxonomy import load_taxonomy
from tickets.working_time import load_working_time, unknown_years

MIN_FREE_BYTES = 2 * 1024**3  # about 17 hours of stereo recordings
RELEASED = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
CERTIFICATE_WARNING = timedelta(days=30)
NOTICE_PATIENCE = timedelta(minutes=30)
RTP_SAMPLE = 50
AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
CGROUPS = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMEX_BYTES = 512  # more than any kernel's struct timex


def examine(settings: Settings) -> list[Finding]:
    """Checks everything; works whether or not the product is running."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _clock,
        _calendar,
        _disk,
        _spare_disk,
        _keys,
        _ffmpeg,
        _prompts,
        _model,
        _second_model,
        _classifier,
        _certificate,
        _broker,
        _database,
        _ports,
        _recognizers,
        _rtp_ports,
        _trunks,
        _notices,
        _webhooks,
        _priority,
        _descriptors,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check(settings))
        except HotlineError as error:
            findings.append(Finding("error", check.__name__.strip("_"), error.message, error.hint))
        except OSError as error:
            hint = "改正文件或目录的属主和权限，或换一个 data_dir"
            findings.append(Finding("error", check.__name__.strip("_"), str(error), hint))
    return findings


def may_raise_priority(nice_limit: int, *, superuser: bool) -> bool:
    """Whether the media engine gets its priority under this RLIMIT_NICE (setrlimit(2): 20 minus the least nice)."""
    return superuser or nice_limit == resource.RLIM_INFINITY or nice_limit >= 20 - NICE


def in_autogroup(enabled: str, cgroups: str, *, root: Path = CGROUP_ROOT) -> bool:
    """Whether a nice value counts only among the processes of one session (sched(7), autogroup): where the kernel
    groups by session and the process has no control group that shares out the CPU. Takes the texts of
    /proc/sys/kernel/sched_autogroup_enabled and of a process's cgroup file (cgroups(7))."""
    if enabled.strip() != "1":
        return False
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        version_2 = not controllers and (root / path.lstrip("/") / "cpu.weight").exists()
        if path != "/" and (version_2 or "cpu" in controllers.split(",")):
            return False
    return True


def clock_synchronized() -> bool | None:
    """Whether a time service keeps the system's clock, as the kernel tells; None where it does not."""
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))  # all zero: a question only
    except AttributeError:  # no Linux
        return None
    return None if state < 0 else state != TIME_ERROR


def _clock(settings: Settings) -> Iterator[Finding]:
    now = SystemClock().now()
    local = now.astimezone(settings.zone).strftime("%Y-%m-%d %H:%M %Z")
    if now < RELEASED:
        yield Finding("error", "时钟", f"现在是 {local}，早于本版本发布", "校准系统时间（chrony 或 systemd-timesyncd）")
    elif clock_synchronized() is False:
        yield Finding("warning", "时钟", f"{local}，没有与时间服务器同步", "启用 chrony 或 systemd-timesyncd")
    else:
        yield Finding("ok", "时钟", local)


def _calendar(settings: Settings) -> Iterator[Finding]:
    calendar = load_working_time(settings).calendar
    years = unknown_years(calendar, SystemClock().now().astimezone(settings.zone).date())
    for year in years:
        hint = "把国务院的放假通知写进 tickets.calendar_path 指的文件（docs/configuration.md），或升级 chinesecalendar"
        yield Finding("warning", "工作日", f"还不知道 {year} 年的放假安排，暂按周一至周五上班计算时限", hint)
    if not years:
        yield Finding("ok", "工作日", "今年的放假安排已知")


def _disk(settings: Settings) -> Iterator[Finding]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free
    text = f"{settings.data_dir} 剩余 {free / 1024**3:.1f} GiB"
    if not os.access(settings.data_dir, os.W_OK):
        yield Finding("error", "磁盘", f"{settings.data_dir} 不可写", "改正目录的属主，或换一个 data_dir")
    elif free < MIN_FREE_BYTES:
        yield Finding("error", "磁盘", text, "清理磁盘，或把 data_dir 放到更大的盘上")
    else:
        yield Finding("ok", "磁盘", text)


def _spare_disk(settings: Settings) -> Iterator[Finding]:
    if not settings.media.spare_spool_dir:
        return
    spare, subject = Path(settings.media.spare_spool_dir), "备用录音目录"
    if not spare.is_dir() or not os.access(spare, os.W_OK):
        yield Finding("error", subject, f"{spare} 不存在或不可写", "建好目录并改正属主，或去掉 media.spare_spool_dir")
    elif spare.stat().st_dev == settings.data_dir.stat().st_dev:
        yield Finding("warning", subject, f"{spare} 与 data_dir 在同一块盘上，盘满时没有用处", "换到另一块盘")
    elif (free := shutil.disk_usage(spare).free) < MIN_FREE_BYTES:
        yield Finding("warning", subject, f"{spare} 剩余 {free / 1024**3:.1f} GiB", "清理磁盘")
    else:
        yield Finding("ok", subject, f"{spare} 剩余 {free / 1024**3:.1f} GiB")


def _keys(settings: Settings) -> Iterator[Finding]:
    keys = load_keys(settings.recordings)
    if keys is not None:
        yield Finding("ok", "录音密钥", f"当前密钥 {keys.current.id}；请确认它另有备份")


def _ffmpeg(settings: Settings) -> Iterator[Finding]:
    form = settings.recordings.compress_to
    if settings.recordings.compress_after_days:
        check_encoder(form)
        yield Finding("ok", "ffmpeg", f"可以把录音压缩成 {form}")
    elif not shutil.which("ffmpeg"):
        text = "没有安装，不能导入旧录音，也不能导出 MP3"
        yield Finding("warning", "ffmpeg", text, "apt-get install ffmpeg")
    else:
        yield Finding("ok", "ffmpeg", "已安装")


def _prompts(settings: Settings) -> Iterator[Finding]:
    library = PromptLibrary.load(settings.flow.prompts_dir)
    flow = load_flow(settings.flow.path, prompts=frozenset(library.names))
    yield Finding("ok", "语音提示", f"{len(library.names)} 条提示，流程 {flow.name} 共 {len(flow.states)} 步")


def _model(settings: Settings) -> Iterator[Finding]:
    info = check_model(settings.effective_model_path(), engine=settings.asr.engine)
    if not info.demo:
        yield Finding("ok", "识别模型", f"{info.name}（{info.engine}）")
    elif settings.asr.allow_demo_model:
        yield Finding(
            "warning",
            "识别模型",
            f"{info.name} 是演示模型，听不懂真人说话 (demo model: does not understand real people)",
            "正式使用前换上公开的中文模型: `hotline models list`、fetch、use",
        )
    else:
        yield Finding("error", "识别模型", f"{info.name} 是演示模型，而设置不允许", "`hotline models use` 选定别的模型")


def _second_model(settings: Settings) -> Iterator[Finding]:
    if (path := settings.asr.second_pass_model_path) is not None and not settings.asr.second_pass_url:
        info = check_model(path, engine=settings.asr.second_pass_engine)
        yield Finding("ok", "第二遍识别模型", f"{info.name}（{info.engine}）")


def _classifier(settings: Settings) -> Iterator[Finding]:
    store = ModelStore(settings.data_dir)
    version = chosen_version(settings, store)
    if not version:
        yield Finding("ok", "分类模型", "没有使用，类别由短语判断")
        return
    try:
        load_chosen(store, version, load_taxonomy(settings.tickets.taxonomy_path).categories)
    except HotlineError as error:
        yield Finding("warning", "分类模型", f"{error.message}；类别暂由短语判断", error.hint)
    else:
        yield Finding("ok", "分类模型", version)


def _certificate(settings: Settings) -> Iterator[Finding]:
    path = settings.console.certificate or certificate_directory(settings) / "server.pem"
    if settings.console.certificate is None and not path.exists():
        yield Finding("ok", "证书", "首次启动控制台时生成")
        return
    expires = expires_at(path)
    if expires < SystemClock().now() + CERTIFICATE_WARNING:
        yield Finding("warning", "证书", f"{expires:%Y-%m-%d} 到期", "重启控制台会换发自签证书；自备证书请更新文件")
    else:
        yield Finding("ok", "证书", f"有效期至 {expires:%Y-%m-%d}")


def _broker(settings: Settings) -> Iterator[Finding]:
    bus: Bus = ValkeyBus(settings.effective_valkey_url())
    try:
        bus.ping()
    except UnavailableError as error:
        if settings.valkey_url.get_secret_value():
            yield Finding("error", "消息服务", error.message, "启动 Valkey，或改正 HOTLINE_VALKEY_URL")
        else:
            yield Finding("ok", "消息服务", "未运行；由 `hotline serve` 启动")
    else:
        yield Finding("ok", "消息服务", "正常")
    finally:
        bus.close()


def _notices(settings: Settings) -> Iterator[Finding]:
    """The texts, each channel as far as it can be seen without sending, and whether notices pile up."""
    load_plan(settings)
    for channel, port in open_channels(settings).items():
        try:
            port.check()
        except HotlineError as error:
            hint = "核对 [notices] 里的设置，再运行 hotline notices test"
            yield Finding("error", f"通知 {channel.label}", error.message, error.hint or hint)
        else:
            yield Finding("ok", f"通知 {channel.label}", "可用")
    with _current_database(settings) as database:
        if database is None:
            return
        with database.reading() as session:
            counts, oldest = repository.notice_counts(session), repository.oldest_due(session)
    failed = sum(count for (_, state), count in counts.items() if state == DeliveryState.FAILED)
    if failed:
        yield Finding(
            "warning", "通知", f"{failed} 条发送失败", "控制台的“通知”页，或 hotline notices list --state failed"
        )
    if oldest is not None and SystemClock().now() - oldest > NOTICE_PATIENCE:
        minutes = int((SystemClock().now() - oldest).total_seconds() // 60)
        hint = "看 worker 是否在运行，再看 hotline notices list --state queued"
        yield Finding("warning", "通知", f"有通知已等待 {minutes} 分钟没有发出", hint)


def _webhooks(settings: Settings) -> Iterator[Finding]:
    """Subscriptions that are disabled or failing, and the key that they are signed under."""
    with _current_database(settings) as database:
        if database is None:
            return
        with database.reading() as session:
            found = repository.subscriptions(session)
    if not found:
        return
    keys = load_webhook_keys(settings)
    for item in found:
        subject = f"接口 {item.name}"
        if not item.active:
            hint = f"修好后运行 hotline webhooks enable {item.name}"
            yield Finding("warning", subject, f"已停用：{item.disabled_reason}", hint)
        elif keys.find(item.key_id) is None:
            hint = "把密钥文件复制到本机，或运行 hotline webhooks rotate"
            yield Finding("error", subject, f"{webhook_key_path(settings)} 里没有密钥 {item.key_id}", hint)
        elif item.failing_since is not None:
            since = item.failing_since.astimezone(settings.zone)
            hint = f"hotline webhooks deliveries {item.name}"
            yield Finding("warning", subject, f"自 {since:%Y-%m-%d %H:%M} 起送不到", hint)
        else:
            yield Finding("ok", subject, "正常")


@contextmanager
def _current_database(settings: Settings) -> Iterator[Database | None]:
    """The database; None where it is not there, does not answer or is older than this version: `_database` says so."""
    if not settings.database_url.get_secret_value() and not (settings.data_dir / "hotline.db").exists():
        yield None
        return
    with closing(Database(settings.effective_database_url())) as database:
        try:
            database.ping()
        except UnavailableError:
            yield None
            return
        yield None if database.pending_revision() is not None else database


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url.get_secret_value() and not (settings.data_dir / "hotline.db").exists():
        yield Finding("ok", "数据库", "首次启动时建立")
        return
    database = Database(settings.effective_database_url())
    try:
        database.ping()
        if database.pending_revision() is None:
            yield Finding("ok", "数据库", "正常")
            yield _search_index(database)
        else:
            yield Finding("warning", "数据库", "结构不是最新", "运行 `hotline migrate`（`hotline serve` 会自动做）")
    except UnavailableError as error:
        yield Finding("error", "数据库", error.message, "启动数据库，或改正 HOTLINE_DATABASE_URL")
    finally:
        database.close()


def _search_index(database: Database) -> Finding:
    with database.reading() as session:
        stale = count_stale(session)
    if not stale:
        return Finding("ok", "搜索", "全部转写都能搜到")
    return Finding("warning", "搜索", f"{stale} 份转写搜不到或已过时", "运行 `hotline search rebuild`")


def _ports(settings: Settings) -> Iterator[Finding]:
    asr, console, udp, tcp = settings.asr, settings.console, socket.SOCK_DGRAM, socket.SOCK_STREAM
    wanted = (
        *(("media", own, udp, own.sip.address, own.sip.port, "HOTLINE_SIP") for own in settings.media_processes()),
        *(
            ("recognizer", own, tcp, asr.address, own.asr.port, "HOTLINE_ASR")
            for own in (() if settings.fixed_asr_urls() else settings.recognizer_processes())
        ),
        ("console", settings, tcp, console.address, console.port, "HOTLINE_CONSOLE"),
    )
    for url in settings.fixed_asr_urls():
        yield _remote_recognizer(settings, url)
    for process, own, kind, host, port, section in wanted:
        name = f"端口 {host}:{port}"
        problem = _bind_problem(kind, host, port)
        if problem is None:
            yield Finding("ok", name, f"空闲（{process}）")
        elif problem.errno == errno.EADDRNOTAVAIL:
            yield Finding("error", name, f"{host} 不是本机地址", f"改正 {section}__ADDRESS")
        elif problem.errno != errno.EADDRINUSE:
            yield Finding("error", name, f"不能监听: {problem.strerror}", f"改正权限，或设置 {section}__PORT")
        elif (finding := examine_process(process, own)).level == "ok":
            yield Finding("ok", name, f"{process} 正在使用")
        else:
            hint = f"是别的程序就停掉它，或设置 {section}__PORT；是 {process} 就看它的日志"
            yield Finding("error", name, f"被占用，而 {process} 没有就绪: {finding.message}", hint)


def _remote_recognizer(settings: Settings, url: str) -> Finding:
    """`hotline serve` starts no recognizer where the settings name some elsewhere."""
    only = settings.model_copy(update={"asr": settings.asr.model_copy(update={"url": url, "urls": ()})})
    name, finding = f"识别 {mask_url(url)}", examine_process("recognizer", only)
    if finding.level == "ok":
        return Finding("ok", name, "可以连接")
    return Finding("error", name, finding.message, "启动那里的识别服务，或改正 HOTLINE_ASR__URL(S)")


def _recognizers(settings: Settings) -> Iterator[Finding]:
    """As they announce themselves to the bus; nothing where none does."""
    bus: Bus = ValkeyBus(settings.effective_valkey_url())
    try:
        states = bus.states(STATE)
    except UnavailableError:  # a finding of its own
        states = {}
    finally:
        bus.close()
    for url, health in announcements(states):
        speed = "速度未知" if health.rtf is None else f"实时率 {health.rtf:.2f}"
        text = f"{health.model.name}，{speed}，{health.connections}/{health.capacity or '?'} 路"
        subject = f"识别进程 {mask_url(url)}"
        if health.capacity and health.connections >= health.capacity:
            hint = "再多的通话挂机后才转写；加大 HOTLINE_ASR__PROCESSES，或在别的机器上运行 `hotline run recognizer`"
            yield Finding("warning", subject, f"{text}，已满", hint)
        else:
            yield Finding("ok", subject, text)


def _rtp_ports(settings: Settings) -> Iterator[Finding]:
    ports = settings.media.rtp_ports()
    sample = ports[:: max(1, len(ports) // RTP_SAMPLE)]
    problems = [
        _bind_problem(socket.SOCK_DGRAM, settings.sip.address, port)
        or _bind_problem(socket.SOCK_DGRAM, settings.sip.address, port + 1)  # RTCP
        for port in sample
    ]
    busy = sum(problem is not None and problem.errno == errno.EADDRINUSE for problem in problems)
    text = f"{ports[0]}-{ports[-1]} 抽查 {len(sample)} 个，{busy} 个被占用"
    calls = settings.sip.max_calls * settings.media.processes
    if len(ports) * (len(sample) - busy) < calls * len(sample):
        hint = "没有通话时占用它们的是别的程序：停掉它，或改 HOTLINE_MEDIA__RTP_PORT_MIN/MAX"
        yield Finding("warning", "RTP 端口", f"{text}，余下的可能不够 {calls} 路通话", hint)
    else:
        yield Finding("ok", "RTP 端口", text)


def _trunks(settings: Settings) -> Iterator[Finding]:
    """As the media processes tell the bus; nothing where none tells."""
    bus: Bus = ValkeyBus(settings.effective_valkey_url())
    try:
        states = bus.states("trunks") if settings.trunks else {}
    except UnavailableError:  # a finding of its own
        states = {}
    finally:
        bus.close()
    for node, state in sorted(states.items()):
        for trunk in state["trunks"]:
            subject = f"中继 {trunk['trunk']}" + (f"（{node}）" if len(states) > 1 else "")
            if trunk["state"] == "down":
                hint = "核对这条 [[trunks]] 的地址、账号和密码，再看防火墙；`hotline trunks` 显示详情"
                yield Finding("error", subject, f"不通: {trunk['last_error'] or '没有可用的服务器'}", hint)
            elif trunk["silent"]:
                yield Finding("warning", subject, f"服务器 {'、'.join(trunk['silent'])} 没有应答", "看对方是否正常")
            else:
                yield Finding("ok", subject, STATE_NAMES.get(trunk["state"], trunk["state"]))


def _priority(_settings: Settings) -> Iterator[Finding]:
    limit, _hard = resource.getrlimit(resource.RLIMIT_NICE)
    if not may_raise_priority(limit, superuser=os.geteuid() == 0):
        yield Finding(
            "warning", "实时优先级", "不能提高，繁忙时语音可能抖动", f"给服务设置 LimitNICE={NICE} 或 CAP_SYS_NICE"
        )
    elif in_autogroup(AUTOGROUP.read_text("ascii") if AUTOGROUP.exists() else "0", CGROUPS.read_text("utf-8")):
        yield Finding(
            "warning",
            "实时优先级",
            "可以提高，但只在自动任务组内有效 (autogroup)，别的程序繁忙时语音仍可能抖动",
            "sysctl -w kernel.sched_autogroup_enabled=0，或作为设了 CPUWeight 的 systemd 服务运行",
        )
    else:
        yield Finding("ok", "实时优先级", "可以提高")


def _descriptors(settings: Settings) -> Iterator[Finding]:
    needed = descriptors_needed(settings.sip.max_calls)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= needed:
        yield Finding("ok", "文件描述符", f"{settings.sip.max_calls} 路通话需要 {needed} 个，够用")
    else:
        text = f"最多 {hard} 个，{settings.sip.max_calls} 路通话需要 {needed} 个，超出的来电会被拒接"
        hint = f"给服务设置 LimitNOFILE={needed}，或减小 HOTLINE_SIP__MAX_CALLS"
        yield Finding("warning", "文件描述符", text, hint)


def _bind_problem(kind: socket.SocketKind, host: str, port: int) -> OSError | None:
    """Why nothing can listen there, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as sock:
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            return error
    return None
