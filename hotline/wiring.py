"""Puts the packages together: one function for each process of the product.

Each runs in the foreground until `stop` is set and then ends within a few seconds.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from tickets.jobs import TicketJobs

from asr.recognizer import Final, ModelInfo, Partial
from asr.server import serve_recognizer
from asr.stream import CaptionService, StreamEnded
from asr.text import display
from console.server import serve_console
from hotline.bus import BackgroundPublisher, Event, ValkeyBus
from hotline.clock import SystemClock
from hotline.db import Database
from hotline.errors import ConfigurationError, UnavailableError
from hotline.jobs import JobFunction, ValkeyJobs
from hotline.probes import HEARTBEAT_S
from hotline.settings import Settings
from ivr.call import CALLER, CallServices, CaptionEvent, CaptionFinal, CaptionPartial, CaptionsEnded, Exchange
from ivr.media.engine import MediaEngine
from ivr.menu import MenuMachine, load_flow
from ivr.prompts import PromptLibrary
from ivr.sip import SipServer
from recordings.recorder import RecorderThread, WavRecorder
from recordings.recovery import recover_spool
from recordings.store import RecordingStore

log = logging.getLogger(__name__)

SHUTDOWN_S = 3.0
SWEEP_S = 10.0
WORKER_THREADS = 4


def run_media(settings: Settings, stop: threading.Event) -> None:
    """SIP, RTP, recorders. Needs no other process: what it cannot hand over waits in the spool."""
    clock = SystemClock()
    spool = settings.spool_dir / settings.node
    spool.mkdir(parents=True, exist_ok=True)
    prompts = PromptLibrary.load(settings.flow.prompts_dir)
    flow = load_flow(settings.flow.path, prompts=frozenset(prompts.names))
    bus = ValkeyBus(settings.effective_valkey_url())
    publisher = BackgroundPublisher(bus)
    jobs = ValkeyJobs(settings.effective_valkey_url())

    def enqueue(name: str, arguments: dict[str, Any]) -> None:
        publisher.submit(lambda: jobs.enqueue(name, **arguments))

    for path in recover_spool(spool, now=clock.now()):
        enqueue("ingest_call", {"journal_path": f"{settings.node}/{path.name}"})
    recorders = RecorderThread()
    recorders.start()
    captions = CaptionService(settings.effective_asr_url(), max_live_calls=settings.asr.max_live_calls)
    engine = MediaEngine(
        bind_address=settings.sip.address,
        port_min=settings.media.rtp_port_min,
        port_max=settings.media.rtp_port_max,
        max_calls=settings.sip.max_calls,
        playout_delay_ms=settings.media.playout_delay_ms,
        rtp_timeout_s=settings.media.rtp_timeout_s,
    )
    exchange: Exchange | None = None
    server = SipServer(
        address=settings.sip.address,
        port=settings.sip.port,
        advertised_address=settings.sip.advertised_address,
        allowed_peers=settings.sip.peer_networks(),
        max_calls=settings.sip.max_calls,
        answer=lambda invitation, dialog: _ready(exchange).answer(invitation, dialog),
    )
    exchange = Exchange(
        CallServices(
            node=settings.node,
            spool=spool,
            clock=clock,
            engine=engine,
            prompts=prompts,
            machine=MenuMachine(flow),
            publisher=publisher,
            enqueue=enqueue,
            open_sink=lambda path, on_closed: WavRecorder(path, writer=recorders, on_closed=lambda _: on_closed()),
            open_captions=lambda call_id, on_event: captions.open(
                call_id, speaker=CALLER, on_event=lambda event: _translate_caption(event, on_event)
            ),
            max_call_s=settings.media.max_call_s,
        ),
        server,
    )
    engine.start()
    numbers = _Listener(bus, "number", lambda event: server.post(lambda: _ready(exchange).number_assigned(event)))
    threading.Thread(target=_stop_media, args=(stop, server, exchange), name="media-stop", daemon=True).start()
    log.info("answering calls on %s:%d", settings.sip.address, settings.sip.port)
    server.run()
    numbers.close()
    engine.stop()
    captions.close()
    recorders.stop()
    publisher.close()


def run_recognizer(settings: Settings, stop: threading.Event) -> None:
    """The recognizer's WebSocket server."""
    serve_recognizer(settings, stop)


def run_worker(settings: Settings, stop: threading.Event) -> None:
    """Runs jobs, sweeps the spool and reports that it lives."""
    clock = SystemClock()
    database = open_database(settings)
    bus = ValkeyBus(settings.effective_valkey_url())
    jobs = ValkeyJobs(settings.effective_valkey_url())
    ticket_jobs = TicketJobs(
        settings=settings,
        database=database,
        jobs=jobs,
        bus=bus,
        store=RecordingStore(settings.effective_recordings_url()),
        clock=clock,
    )
    functions: dict[str, JobFunction] = ticket_jobs.functions()
    worker = jobs.run(functions, threads=WORKER_THREADS)
    log.info("working on %s", ", ".join(sorted(functions)))
    next_sweep = 0.0
    while not stop.is_set():
        try:
            bus.put_state("worker", settings.node, {"at": clock.now().isoformat()}, ttl_s=3 * HEARTBEAT_S)
            if clock.monotonic() >= next_sweep:
                ticket_jobs.sweep_spool()
                next_sweep = clock.monotonic() + SWEEP_S
        except UnavailableError as error:
            log.warning("waiting: %s", error)
        except Exception:
            log.exception("sweeping the spool failed; it is tried again")
            next_sweep = clock.monotonic() + SWEEP_S
        stop.wait(HEARTBEAT_S)
    worker.stop(timeout=int(SHUTDOWN_S * 1000))
    database.close()


def run_console(settings: Settings, stop: threading.Event) -> None:
    """The web console."""
    open_database(settings).close()
    serve_console(settings, stop)


RUNNERS: dict[str, Callable[[Settings, threading.Event], None]] = {
    "media": run_media,
    "recognizer": run_recognizer,
    "worker": run_worker,
    "console": run_console,
}


def open_database(settings: Settings) -> Database:
    """The site's database; raises `ConfigurationError` where its schema is older than this version."""
    database = Database(settings.effective_database_url())
    database.ping()
    if database.pending_revision() is not None:
        raise ConfigurationError("the database schema is not up to date", hint="run `hotline migrate`")
    return database


class _Listener:
    """A thread that hands the events of a topic over."""

    def __init__(self, bus: ValkeyBus, topic: str, handle: Callable[[Event], None]) -> None:
        self._subscription = bus.subscribe(topic)
        self._handle = handle
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"listen-{topic}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            event = self._subscription.get(0.5)
            if event is not None:
                self._handle(event)

    def close(self) -> None:
        """Stops listening."""
        self._closed.set()
        self._thread.join(1.0)
        self._subscription.close()


def _ready(exchange: Exchange | None) -> Exchange:
    if exchange is None:
        raise UnavailableError("starting")
    return exchange


def _translate_caption(event: Partial | Final | StreamEnded, deliver: Callable[[CaptionEvent], None]) -> None:
    match event:
        case Partial():
            deliver(CaptionPartial(event.text))
        case Final():
            words = tuple((word.text, word.start_ms, word.end_ms, word.confidence) for word in event.words)
            deliver(CaptionFinal(display(event.words).text, words))
        case StreamEnded(complete, None):
            deliver(CaptionsEnded(complete))
        case StreamEnded(complete, ModelInfo(name, engine, demo)):
            deliver(CaptionsEnded(complete, {"model": name, "engine": engine, "demo": demo}))


def _stop_media(stop: threading.Event, server: SipServer, exchange: Exchange) -> None:
    """Ends the calls in progress with BYE, lets their journals close, then ends the SIP loop."""
    stop.wait()
    server.refuse_new_calls()
    server.post(lambda: exchange.end_all("shutdown"))
    pause = threading.Event()
    for _ in range(int(SHUTDOWN_S / 0.05)):
        pause.wait(0.05)
        if not exchange.unfinished:
            break
    server.stop()
