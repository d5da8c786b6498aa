"""`hotline demo`: a real call over loopback, from ringing to the ticket, with every step shown as it happens.

Starts the whole product in a data folder of its own on free ports, lets the phone of `demo.phone` (a separate process
with its own SIP and RTP) call, and checks what came out of it: the ticket in the database, and the recording's caller
channel against what the phone sent, sample by sample.
"""

import contextlib
import csv
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from sqlalchemy.orm import Session

from asr.masking import mask_phone
from asr.scoring import cer
from asr.service import latest_transcript
from console import service as accounts
from console.labels import OVERLAYS, TIERS
from demo.compare import caller_channel_matches
from demo.media_process import HOST, free_port
from demo.phone import CALLERS, load_audio
from hotline.bus import Event, ValkeyBus
from hotline.db import Database
from hotline.errors import ConfigurationError, HotlineError, UnavailableError
from hotline.locks import lock_exclusively
from hotline.report import machine, target, versions
from hotline.settings import PREFIX, Settings, load_settings
from hotline.supervisor import Supervisor
from ivr.journal import JOURNAL_SUFFIX
from recordings.repository import find_call, find_recording
from recordings.store import open_store
from tickets.dispatching import advise
from tickets.examples import import_examples
from tickets.models import Ticket
from tickets.repository import ticket_of_call

CALLER_NUMBER = "13800138000"
CALL_TIMEOUT_S = 420.0
TICKET_TIMEOUT_S = 60.0
TICKET_LIMIT_MS = 5000
RTP_PORTS = 200
LOG_LINES = 25


@dataclass
class Demo:
    """What the demo has seen so far."""

    settings: Settings
    password: str
    call_id: str = ""
    caller: dict[str, Any] = field(default_factory=dict)  # the phone's last object
    ended_at: float | None = None
    ticket_at: float | None = None


def run_demo(*, caller: str, keep: bool, as_json: bool) -> int:
    """Runs the demo; returns the exit code: 0 only if the ticket stands and the recording is what was sent.

    Raises `HotlineError` where it comes to no ticket; for a caller who cannot be used, before anything is started.
    """
    screen = Console(stderr=as_json, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds through the clean-up below
    try:
        load_audio(caller)
        folder = Path(tempfile.mkdtemp(prefix="hotline-demo-"))
        try:
            return _run(folder, screen, caller=caller, keep=keep, as_json=as_json)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except KeyboardInterrupt:
        screen.print("已停止")
        return 130
    except HotlineError as error:
        if as_json:
            _print_json({"error": error.message})
        raise


def _run(folder: Path, screen: Console, *, caller: str, keep: bool, as_json: bool) -> int:
    with contextlib.ExitStack() as stack:
        with _ports_to_itself(screen):
            settings = _demo_settings(folder)
            log_file = folder / "hotline.log"
            supervisor = Supervisor(settings, log_file=log_file)
            stack.callback(supervisor.stop)
            stack.enter_context(_log_on_failure(log_file, screen))
            screen.print("[bold]启动[/] ", end="")
            supervisor.start(lambda name: screen.print(f"[green]✓[/] {name}  ", end=""))
            screen.print()
        demo = Demo(settings, _add_account(settings))
        sent = settings.data_dir / "sent.wav"
        _call(demo, caller, sent, screen)
        result, problems = _check(demo, caller, sent)
        _show_card(result, demo, screen)
        for problem in problems:
            screen.print(f"[red]✗[/] {problem}")
        if as_json:
            _print_json(result | ({"error": "；".join(problems)} if problems else {}))
        if keep:
            screen.print("一切继续运行，按 Ctrl-C 结束")
            signal.signal(signal.SIGINT, lambda *_: supervisor.request_stop())
            supervisor.watch()
        return 1 if problems else 0


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, ensure_ascii=False), flush=True)  # noqa: T201 - the command's output


@contextlib.contextmanager
def _ports_to_itself(screen: Console) -> Iterator[None]:
    """Lets one demo at a time choose its ports and take them; the next one waits."""
    path = Path(tempfile.gettempdir()) / f"hotline-demo.{os.getuid()}.lock"
    told = False
    while True:
        try:
            lock = lock_exclusively(path, purpose="another demo is starting")
            break
        except ConfigurationError:
            if not told:
                screen.print("另一个演示正在启动，等它就绪 …")
                told = True
            time.sleep(0.2)
    with lock:
        yield


@contextlib.contextmanager
def _log_on_failure(log_file: Path, screen: Console) -> Iterator[None]:
    try:
        yield
    except HotlineError:
        screen.print()
        if log_file.exists():
            lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
            screen.print("\n".join(lines[-LOG_LINES:]), style="dim", markup=False, soft_wrap=True)
        raise


def _demo_settings(folder: Path) -> Settings:
    """Settings of its own on free ports; of the site's only its name, its recognition model and its tickets' data."""
    site = load_settings()
    empty = folder / "hotline.toml"
    empty.touch()
    rtp = _free_rtp_range()
    own = {
        "CONFIG": str(empty),
        "SECRETS_DIR": str(folder),
        "DATA_DIR": str(folder),
        "SITE_NAME": site.site_name,
        "TIMEZONE": site.timezone,
        "NODE": "demo",
        "SIP__ADDRESS": "127.0.0.1",
        "SIP__PORT": str(_free_port(socket.SOCK_DGRAM, 5060)),
        "SIP__ALLOWED_PEERS": '["127.0.0.0/8"]',
        "SIP__MAX_CALLS": "20",
        "MEDIA__RTP_PORT_MIN": str(rtp),
        "MEDIA__RTP_PORT_MAX": str(rtp + RTP_PORTS - 2),
        "ASR__MODEL_PATH": str(site.effective_model_path()),
        "ASR__PORT": str(_free_port(socket.SOCK_STREAM, 2700)),
        "TICKETS__TAXONOMY_PATH": str(site.tickets.taxonomy_path),
        "TICKETS__GAZETTEER_PATH": str(site.tickets.gazetteer_path),
        "TICKETS__DEADLINES_PATH": str(site.tickets.deadlines_path),
        "CONSOLE__PORT": str(_free_port(socket.SOCK_STREAM, 8443)),
    }
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update({PREFIX + name: value for name, value in own.items()})
    return load_settings()


def _free_port(kind: socket.SocketKind, wanted: int) -> int:
    with socket.socket(socket.AF_INET, kind) as sock, contextlib.suppress(OSError):
        sock.bind((HOST, wanted))
        return wanted
    return free_port()


def _free_rtp_range() -> int:
    """An even port from which a sample of the next `RTP_PORTS` is free; the engine itself skips single busy ones."""
    for base in range(20000, 60000, RTP_PORTS):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + 20, 2):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.bind(("127.0.0.1", port))
            return base
    raise UnavailableError("no free RTP ports on 127.0.0.1")


def _add_account(settings: Settings) -> str:
    password = secrets.token_urlsafe(12)
    with (
        contextlib.closing(Database(settings.effective_database_url())) as database,
        database.transaction() as session,
    ):
        accounts.create_user(
            session,
            username="demo",
            display_name="演示账号",
            role="admin",
            password=password,
            now=datetime.now(UTC),
        )
        import_examples(session, settings, actor="demo", now=datetime.now(UTC))
    return password


# --- the call ---


def _call(demo: Demo, caller: str, sent: Path, screen: Console) -> None:
    """Lets the phone call and shows what happens until the ticket is there."""
    news: queue.Queue[Callable[[], None]] = queue.Queue()
    bus = ValkeyBus(demo.settings.effective_valkey_url())
    subscription = bus.subscribe("call", "caption", "ticket")
    done = threading.Event()
    steps = _Steps(demo, screen)

    def follow_bus() -> None:
        while not done.is_set():
            event = subscription.get(0.2)
            if event is not None:
                news.put(lambda event=event: steps.on_event(event))  # type: ignore[misc]

    phone = subprocess.Popen(
        [
            *(sys.executable, "-m", "demo.phone", "--json", "--codec", "pcma"),
            *("--to", f"sip:12345@127.0.0.1:{demo.settings.sip.port}", "--from", CALLER_NUMBER),
            *("--caller", caller, "--write-sent", str(sent)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def follow_phone() -> None:
        assert phone.stdout is not None  # piped above
        for line in phone.stdout:
            news.put(lambda line=line: steps.on_phone(json.loads(line)))  # type: ignore[misc]
        news.put(steps.on_phone_gone)

    threads = [threading.Thread(target=follow, daemon=True) for follow in (follow_bus, follow_phone)]
    try:
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while demo.ticket_at is None or not demo.caller:
            limit = deadline if demo.ended_at is None else demo.ended_at + TICKET_TIMEOUT_S
            with contextlib.suppress(queue.Empty):
                news.get(timeout=0.2)()
            if demo.caller and demo.ticket_at is None and _came_to_nothing(demo):
                raise UnavailableError("nothing of the call was understood, so it became no ticket")
            if time.monotonic() > limit:
                raise UnavailableError("the call did not become a ticket in time")
    finally:
        done.set()
        if phone.poll() is None:
            phone.terminate()
        _, complaint = phone.communicate(timeout=10)
        threads[0].join(2)
        subscription.close()
        bus.close()
        if demo.ended_at is None and complaint:
            screen.print(complaint[-2000:], markup=False)


def _came_to_nothing(demo: Demo) -> bool:
    """Whether the call is done with and made no ticket: its journal leaves the spool last of all."""
    settings = demo.settings
    if (settings.spool_dir / settings.node / f"{demo.call_id}{JOURNAL_SUFFIX}").exists():
        return False
    with contextlib.closing(Database(settings.effective_database_url())) as database, database.reading() as session:
        return find_call(session, demo.call_id) is not None and ticket_of_call(session, demo.call_id) is None


class _Steps:
    """Prints each step of the call."""

    def __init__(self, demo: Demo, screen: Console) -> None:
        self._demo = demo
        self._screen = screen
        self._started = time.monotonic()

    def _say(self, text: str) -> None:
        self._screen.print(f"[dim]{time.monotonic() - self._started:6.1f} 秒[/]  {text}", soft_wrap=True)

    def on_event(self, event: Event) -> None:
        """News from the product."""
        data = event.data
        match event.name:
            case "call.answered":
                self._demo.call_id = str(data["call_id"])
            case "caption.final":
                who = {"caller": "[cyan]来电[/]", "hotline": "[magenta]热线[/]"}.get(str(data["speaker"]), "")
                self._say(f"{who}  {data['text']}")
            case "call.ended":
                self._say(f"录音 {data['duration_ms'] / 1000:.1f} 秒已保存，正在形成工单 …")
            case "ticket.created":
                self._demo.ticket_at = time.monotonic()
                self._say(f"[green]工单 {data['number']} 已生成[/]")

    def on_phone(self, data: dict[str, Any]) -> None:
        """News from the phone."""
        match data.get("event"):
            case "ringing":
                self._say("拨号，振铃")
            case "answered":
                self._say(f"接通（{data['answer_ms']:.0f} 毫秒）")
            case "speaking":
                self._say("来电人开始说话")
            case "spoken":
                self._say("来电人说完")
            case "digit":
                self._say(f"来电人按 {data['digit']}")
            case "ended":
                self._demo.ended_at = time.monotonic()
                self._say("挂机")
            case "result":
                self._demo.caller = data

    def on_phone_gone(self) -> None:
        """The phone's process ended."""
        if self._demo.ended_at is None:
            raise UnavailableError("the phone ended before its call did")


# --- what came out ---


def _check(demo: Demo, caller: str, sent: Path) -> tuple[dict[str, Any], list[str]]:
    """The result object, and what is wrong with it."""
    problems: list[str] = []
    settings = demo.settings
    with (
        contextlib.closing(Database(settings.effective_database_url())) as database,
        database.transaction() as session,
    ):
        ticket = ticket_of_call(session, demo.call_id)
        recording = find_recording(session, demo.call_id)
        transcript = latest_transcript(session, demo.call_id)
        if ticket is None or recording is None or transcript is None:
            raise UnavailableError("the ticket, recording or transcript is not in the database")
        spoken = "".join(item.text for item in transcript.segments if item.speaker == "caller")
        reference = _reference_text(caller)
        answered = demo.caller.get("answer_ms")
        waited = _hangup_to_ticket_ms(demo)
        result: dict[str, Any] = {
            "machine": machine(),
            "versions": versions("hotline", "sippy", "vosk"),
            "call": {"id": demo.call_id, "answer_ms": answered, "duration_s": recording.duration_ms / 1000},
            "recording": {
                "path": str(Path(settings.effective_recordings_url()) / recording.path),
                "sha256": recording.sha256,
                "channels": recording.channels,
                "sample_rate": recording.sample_rate,
            },
            "transcript": {"text": spoken, "cer": None if reference is None else round(cer(reference, spoken), 4)},
            "ticket": {
                "number": ticket.number,
                "category": ticket.category,
                "tier": ticket.tier,
                "overlay": ticket.overlay,
                "title": ticket.title,
                "caller": ticket.caller_name,
                "phone": ticket.phone,
                "place": ticket.place,
                "suggested_unit": _suggested(session, ticket, settings),
            },
            "timing": {"hangup_to_ticket_ms": waited},
            "targets": {"hangup_to_ticket_ms": target(waited, TICKET_LIMIT_MS, "ms")},
        }
        stored = recording.path
    store = open_store(settings)
    with store.open(stored) as handle, wave.open(handle, "rb") as wav:
        frames = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    with wave.open(str(sent), "rb") as wav:
        spoken_samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
    match = caller_channel_matches(frames[:, 0], spoken_samples)
    result["recording"]["caller_channel_exact"] = match.exact
    result["targets"]["caller_channel_exact"] = {
        "value": match.ratio,
        "limit": 1.0,
        "unit": "share of samples",
        "met": match.exact,
    }
    if not match.exact:
        problems.append(f"录音的来电声道与发送的不同（一致率 {match.ratio:.4f}）")
    return result, problems


def _suggested(session: Session, ticket: Ticket, settings: Settings) -> str:
    """The name of the unit that the ticket should go to, empty without one."""
    advice = advise(session, ticket, settings=settings.tickets, now=datetime.now(UTC))
    return advice.names[advice.first.unit] if advice.first else ""


def _reference_text(caller: str) -> str | None:
    """What a caller of the demonstration says; None for a WAV file."""
    with open(CALLERS / "callers.tsv", encoding="utf-8", newline="") as handle:
        return {row["name"]: row["text"] for row in csv.DictReader(handle, delimiter="\t")}.get(caller)


def _hangup_to_ticket_ms(demo: Demo) -> int:
    assert demo.ticket_at is not None  # `_call` returned
    assert demo.ended_at is not None
    return round((demo.ticket_at - demo.ended_at) * 1000)


def _show_card(result: dict[str, Any], demo: Demo, screen: Console) -> None:
    ticket, text = result["ticket"], result["transcript"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    tier = " · ".join(
        word for word in (TIERS.get(ticket["tier"], ticket["tier"]), OVERLAYS.get(ticket["overlay"], "")) if word
    )
    error = "" if text["cer"] is None else f"  [dim]字错误率 {text['cer']:.1%}[/]"
    rows = [
        ("标题", f"[bold]{ticket['title']}[/]"),
        ("分类", ticket["category"] or "待定"),
        ("等级", tier or "待定"),
        ("诉求人", f"{ticket['caller'] or '未知'}   {mask_phone(ticket['phone'])}"),
        ("地点", ticket["place"] or "未知"),
        ("建议派往", ticket["suggested_unit"] or "由派单员决定"),
        ("转写", text["text"] + error),
        ("录音", "来电声道逐样本一致" if result["recording"]["caller_channel_exact"] else "[red]与发送的不同[/]"),
        ("用时", f"挂机到成单 {result['timing']['hangup_to_ticket_ms']} 毫秒"),
        ("控制台", f"https://127.0.0.1:{demo.settings.console.port}/tickets/{ticket['number']}"),
        ("登录", f"demo / {demo.password}"),
    ]
    for label, value in rows:
        table.add_row(label, value)
    screen.print(Panel(table, title=f"工单 {ticket['number']}", border_style="green", expand=False))
