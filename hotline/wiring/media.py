"""The media process: SIP, RTP, recorders and live captions. Needs no other process to finish a call."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from asr.recognizer import Final, ModelInfo, Partial
from asr.stream import CaptionService, StreamEnded
from asr.text import display
from hotline.bus import BackgroundPublisher, Event, ValkeyBus
from hotline.clock import SystemClock
from hotline.collector import collect_if_due, take_over
from hotline.errors import UnavailableError
from hotline.jobs import ValkeyJobs
from hotline.limits import descriptors_needed, raise_descriptor_limit
from hotline.locks import lock_exclusively
from hotline.settings import Settings
from hotline.valkey_commands import open_commands
from hotline.wiring.access import build_admission, build_plan, open_extensions
from hotline.wiring.acd import build_acd
from hotline.wiring.control import CommandListener, tell_seats
from hotline.wiring.trunks import Trunks
from ivr.access.shared_bindings import BindingFeed, SharedBindings
from ivr.announcements.prompts import load_languages
from ivr.calls.captions import CaptionEvent, CaptionFinal, CaptionPartial, CaptionsEnded
from ivr.calls.conversation import MUSIC
from ivr.calls.exchange import Exchange
from ivr.calls.flow_run import Languages
from ivr.calls.services import CallServices
from ivr.journal import JournalThread
from ivr.media.engine import MediaEngine
from ivr.media.tone_listener import Inband
from ivr.media.types import Codec
from ivr.menu.machine import MenuMachine, load_flow
from ivr.sip import SessionPolicy, SipServer
from recordings.recorder import RecorderThread, RecordingTrouble, WavRecorder
from recordings.recovery import recover_spool
from recordings.spare import adopt_spare

log = logging.getLogger(__name__)

SHUTDOWN_S = 1.0
COLLECT_S = 1.0


def run(settings: Settings, stop: threading.Event) -> None:
    """Answers calls until `stop` is set; calls in progress are then ended with BYE and their journals closed."""
    clock = SystemClock()
    spool = settings.spool_dir / settings.node
    lock = lock_exclusively(spool / ".lock", purpose=f"node {settings.node} answers calls already")
    needed = descriptors_needed(settings.sip.max_calls)
    if 0 <= (limit := raise_descriptor_limit(needed)) < needed:
        log.warning("only %d descriptors may be open, %d calls need %d", limit, settings.sip.max_calls, needed)
    languages = load_languages(settings.flow.prompts_dir)
    prompts = languages[settings.flow.prompts_dir.name]
    prompts.require((MUSIC,))
    flow = load_flow(settings.flow.path, prompts=frozenset(prompts.names))
    survey = load_flow(settings.flow.survey_path, prompts=frozenset(prompts.names))
    bus = ValkeyBus(settings.effective_valkey_url())
    publisher = BackgroundPublisher(bus)
    jobs = ValkeyJobs(settings.effective_valkey_url())

    def enqueue(name: str, arguments: dict[str, Any]) -> None:
        publisher.submit(lambda: jobs.enqueue(name, **arguments))

    spare = Path(settings.media.spare_spool_dir) / settings.node if settings.media.spare_spool_dir else None
    if spare is not None:
        adopt_spare(spool, spare)
    for journal in recover_spool(spool, now=clock.now()):
        enqueue("ingest_call", {"journal_path": f"{settings.node}/{journal.path.name}"})
        publisher.drop_state("call", journal.call_id)
        ended = journal.first("ended")
        if ended is not None:
            data = {"call_id": journal.call_id, **ended.data}
            publisher.publish(Event(name="call.ended", at=ended.at, data=data))
    journals = JournalThread()
    journals.start()
    recorders = RecorderThread(
        spare=spare, on_trouble=lambda trouble: publisher.publish(_alarm(trouble, node=settings.node, at=clock.now()))
    )
    recorders.start()
    captions = CaptionService(settings.effective_asr_url(), max_live_calls=settings.asr.max_live_calls)
    engine = MediaEngine(
        bind_address=settings.sip.address,
        port_min=settings.media.rtp_port_min,
        port_max=settings.media.rtp_port_max,
        max_calls=settings.sip.max_calls,
        playout_delay_ms=settings.media.playout_delay_ms,
        playout_min_ms=settings.media.playout_min_ms,
        playout_max_ms=settings.media.playout_max_ms,
        rtp_timeout_s=settings.media.rtp_timeout_s,
        inband=Inband(settings.media.inband_digits),
    )
    shared = SharedBindings(publisher, node=settings.node, now=clock.now) if settings.extensions.shared else None
    exchange: Exchange | None = None
    extensions = open_extensions(settings)
    plan = build_plan(settings, extensions)
    admission = build_admission(settings, extensions, plan, bindings=shared)
    codecs = tuple(Codec[name] for name in settings.media.codecs)
    server = SipServer(
        codecs=codecs,
        address=settings.sip.address,
        port=settings.sip.port,
        advertised_address=settings.sip.advertised_address,
        admission=admission,
        max_calls=settings.sip.max_calls,
        answer=lambda invitation, dialog: _ready(exchange).answer(invitation, dialog),
        session_policy=SessionPolicy(interval_s=settings.sip.session_s, min_s=settings.sip.session_min_s),
    )
    trunks = Trunks(settings, server, clock, publisher)
    services = CallServices(
        node=settings.node,
        spool=spool,
        clock=clock,
        engine=engine,
        languages=Languages(prompts, languages),
        flow=MenuMachine(flow),
        outbound_flows={survey.name: MenuMachine(survey)},
        publisher=publisher,
        enqueue=enqueue,
        open_journal=journals.open,
        open_sink=lambda path, rate, on_closed: WavRecorder(
            path, writer=recorders, sample_rate=rate, on_closed=on_closed
        ),
        open_track=(
            lambda path, rate, on_closed: WavRecorder(
                path, writer=recorders, sample_rate=rate, channels=1, on_closed=on_closed
            )
        )
        if settings.media.tracks
        else None,
        open_captions=lambda call_id, speaker, rate, on_event: captions.open(
            call_id, speaker=speaker, sample_rate=rate, on_event=lambda event: _translate_caption(event, on_event)
        ),
        codecs=codecs,
        directory=trunks.directory,
        plan=plan,
        max_call_s=settings.media.max_call_s,
        ring_s=settings.media.ring_s,
    )
    exchange = Exchange(
        services,
        server,
        make_acd=lambda handle: build_acd(settings, flow.queues, handle, bus=bus, loop=server, clock=clock),
    )
    acd = exchange.acd
    server.post(acd.start)
    seats = exchange.seats

    def phone_changed(name: str, reachable: bool) -> None:
        record = extensions.get(name)
        if record is not None:
            seats.phone_changed(name, record.queues, record.skills, reachable=reachable)
        elif not reachable:
            seats.sign_out(name)

    admission.registrar.on_change = phone_changed
    feed = None if shared is None else _share(shared, bus, server, clock)
    engine.start()
    trunks.start()
    listeners = [
        _Listener(bus, topic, lambda event, tell=tell: server.post(lambda: tell(event)))  # type: ignore[misc]
        for topic, tell in (
            ("number", exchange.number_assigned),
            ("lookup", exchange.looked_up),
            ("session", exchange.session_changed),
        )
    ]
    commands = CommandListener(
        open_commands(settings),
        exchange,
        settings=settings,
        post=server.post,
        publisher=publisher,
        prompts=prompts,
        clock=clock,
        stop=stop,
    )
    server.post(
        lambda: tell_seats(lambda: acd.seats, node=settings.node, publisher=publisher, call_later=server.call_later)
    )
    threading.Thread(target=_stop_media, args=(stop, server, exchange, trunks), name="media-stop", daemon=True).start()
    log.info("answering calls on %s:%d", settings.sip.address, settings.sip.port)
    take_over()
    server.post(lambda: _collect(server))
    server.run()
    commands.close()
    for listener in listeners:
        listener.close()
    trunks.close()
    acd.close()
    if feed is not None:
        feed.close()
    engine.stop()
    captions.close()
    recorders.stop()
    journals.stop()
    publisher.close()
    lock.close()


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


def _collect(server: SipServer) -> None:
    """Looks for garbage now and then, on the SIP thread."""
    collect_if_due(calls=server.calls)
    server.call_later(COLLECT_S, lambda: _collect(server))


def _alarm(trouble: RecordingTrouble, *, node: str, at: datetime) -> Event:
    data = {"node": node, "file": trouble.path.name, "reason": trouble.reason, "saved": trouble.saved}
    return Event(name="alarm.recording", at=at, data=data)


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


def _share(shared: SharedBindings, bus: ValkeyBus, server: SipServer, clock: SystemClock) -> BindingFeed:
    """Phones that sign in at another media process are known here too."""
    shared.on_change = lambda extension: server.admission.registrar.look(extension, now=clock.now())
    feed = BindingFeed(bus, shared, post=server.post)
    feed.start()
    return feed


def _stop_media(stop: threading.Event, server: SipServer, exchange: Exchange, trunks: Trunks) -> None:
    """Leaves the carriers, ends the calls in progress with BYE, lets their journals close, then ends the SIP loop.

    A journal that does not close in time (a slow disk) is closed at the next start.
    """
    stop.wait()
    server.refuse_new_calls()
    trunks.leave()
    pause = threading.Event()
    for step in (lambda: exchange.end_all("shutdown"), exchange.give_up_captions):
        server.post(step)
        for _ in range(int(SHUTDOWN_S / 0.05)):
            pause.wait(0.05)
            if not exchange.unfinished and trunks.left:
                break
    server.stop()
