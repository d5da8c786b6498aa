"""The media process: SIP, RTP, recorders and live captions. Needs no other process to finish a call."""

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr.capacity import ANNOUNCE_S, STATE, RecognizerPool
from asr.misheard import Corrector
from asr.recognizer import Final, ModelInfo, Partial
from asr.stream import Behind, CaptionService, StreamEnded
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
from ivr.calls.captions import CaptionEvent, CaptionFinal, CaptionPartial, CaptionsBehind, CaptionsEnded
from ivr.calls.conversation import MUSIC
from ivr.calls.exchange import Exchange
from ivr.calls.flow_run import Languages
from ivr.calls.services import CallServices
from ivr.journal import JournalThread
from ivr.media.engine import MediaEngine
from ivr.media.tone_listener import Inband
from ivr.media.types import Codec
from ivr.menu.flow import Flow
from ivr.menu.machine import MenuMachine, load_flow
from ivr.sip import SessionPolicy, SipServer
from recordings.recorder import RecorderThread, RecordingTrouble, WavRecorder
from recordings.recovery import recover_spool
from recordings.spare import adopt_spare
from tickets.lexicon import watch_lexicon

log = logging.getLogger(__name__)

SHUTDOWN_S = 1.0
COLLECT_S = 1.0


def run(settings: Settings, stop: threading.Event) -> None:
    """Answers calls until `stop` is set; calls in progress are then ended with BYE and their journals closed."""
    _allow_descriptors(settings)
    with contextlib.ExitStack() as life:
        _MediaProcess(settings, stop, life).run()


class _MediaProcess:
    """The parts of the process. Each closes with `life`: what needs others before those, also where a start fails."""

    def __init__(self, settings: Settings, stop: threading.Event, life: contextlib.ExitStack) -> None:
        self._settings = settings
        self._stop = stop
        self._life = life
        self._clock = SystemClock()
        self._codecs = tuple(Codec[name] for name in settings.media.codecs)
        self._spool = settings.spool_dir / settings.node
        purpose = f"node {settings.node} answers calls already"
        life.callback(lock_exclusively(self._spool / ".lock", purpose=purpose).close)
        self._languages = load_languages(settings.flow.prompts_dir)
        self._prompts = self._languages[settings.flow.prompts_dir.name]
        self._prompts.require((MUSIC,))
        self._flow = self._load_flow(settings.flow.path)
        self._survey = self._load_flow(settings.flow.survey_path)
        self._bus = ValkeyBus(settings.effective_valkey_url())
        self._publisher = BackgroundPublisher(self._bus)
        life.callback(self._publisher.close)
        self._jobs = ValkeyJobs(settings.effective_valkey_url())
        self._recover_calls()
        self._extensions = open_extensions(settings)
        self._plan = build_plan(settings, self._extensions)
        self._phones = (
            SharedBindings(self._publisher, node=settings.node, now=self._clock.now)
            if settings.extensions.shared
            else None
        )
        self._server = self._build_server()
        self._trunks = Trunks(settings, self._server, self._clock, self._publisher)
        self._exchange = Exchange(
            self._build_services(),
            self._server,
            make_acd=lambda handle: build_acd(
                settings, self._flow.queues, handle, bus=self._bus, loop=self._server, clock=self._clock
            ),
        )
        self._server.admission.registrar.on_change = self._phone_changed

    def run(self) -> None:
        """Returns when the process has been told to stop and all calls are over."""
        server, exchange, trunks = self._server, self._exchange, self._trunks
        trunks.start()
        self._life.callback(trunks.close)
        server.post(exchange.acd.start)
        self._life.callback(exchange.acd.close)
        if self._phones is not None:
            self._share(self._phones)
        self._listen()
        threading.Thread(
            target=_stop_media, args=(self._stop, server, exchange, trunks), name="media-stop", daemon=True
        ).start()
        log.info("answering calls on %s:%d", self._settings.sip.address, self._settings.sip.port)
        take_over()
        server.post(lambda: _collect(server))
        server.run()

    def _load_flow(self, path: Path) -> Flow:
        return load_flow(path, prompts=frozenset(self._prompts.names))

    def _enqueue(self, name: str, arguments: dict[str, Any]) -> None:
        self._publisher.submit(lambda: self._jobs.enqueue(name, **arguments))

    @property
    def _spare(self) -> Path | None:
        directory = self._settings.media.spare_spool_dir
        return Path(directory) / self._settings.node if directory else None

    def _recover_calls(self) -> None:
        """Calls that ended with the former process become tickets."""
        if self._spare is not None:
            adopt_spare(self._spool, self._spare)
        for journal in recover_spool(self._spool, now=self._clock.now()):
            self._enqueue("ingest_call", {"journal_path": f"{self._settings.node}/{journal.path.name}"})
            self._publisher.drop_state("call", journal.call_id)
            ended = journal.first("ended")
            if ended is not None:
                data = {"call_id": journal.call_id, **ended.data}
                self._publisher.publish(Event(name="call.ended", at=ended.at, data=data))

    def _build_server(self) -> SipServer:
        settings = self._settings
        return SipServer(
            codecs=self._codecs,
            address=settings.sip.address,
            port=settings.sip.port,
            advertised_address=settings.sip.advertised_address,
            admission=build_admission(settings, self._extensions, self._plan, bindings=self._phones),
            max_calls=settings.sip.max_calls,
            answer=lambda invitation, dialog: self._exchange.answer(invitation, dialog),
            session_policy=SessionPolicy(interval_s=settings.sip.session_s, min_s=settings.sip.session_min_s),
        )

    def _build_services(self) -> CallServices:
        settings = self._settings
        journals = JournalThread()
        journals.start()
        self._life.callback(journals.stop)
        recorders = RecorderThread(spare=self._spare, on_trouble=self._alarm)
        recorders.start()
        self._life.callback(recorders.stop)
        lexicon = watch_lexicon(settings)
        captions = CaptionService(
            RecognizerPool(settings.effective_asr_urls(), fallback=not settings.fixed_asr_urls()),
            max_live_calls=settings.asr.max_live_calls,
        )
        self._life.callback(captions.close)
        watch = _StateWatch(self._bus, STATE, ANNOUNCE_S, captions.recognizers_told)
        self._life.callback(watch.close)
        return CallServices(
            node=settings.node,
            spool=self._spool,
            clock=self._clock,
            engine=self._start_engine(),
            languages=Languages(self._prompts, self._languages),
            flow=MenuMachine(self._flow),
            outbound_flows={self._survey.name: MenuMachine(self._survey)},
            publisher=self._publisher,
            enqueue=self._enqueue,
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
                call_id,
                speaker=speaker,
                sample_rate=rate,
                on_event=lambda event: _translate_caption(event, on_event, lexicon.get().corrector),
            ),
            codecs=self._codecs,
            directory=self._trunks.directory,
            plan=self._plan,
            max_call_s=settings.media.max_call_s,
            ring_s=settings.media.ring_s,
        )

    def _start_engine(self) -> MediaEngine:
        media = self._settings.media
        engine = MediaEngine(
            bind_address=self._settings.sip.address,
            port_min=media.rtp_port_min,
            port_max=media.rtp_port_max,
            max_calls=self._settings.sip.max_calls,
            playout_delay_ms=media.playout_delay_ms,
            playout_min_ms=media.playout_min_ms,
            playout_max_ms=media.playout_max_ms,
            rtp_timeout_s=media.rtp_timeout_s,
            inband=Inband(media.inband_digits),
        )
        engine.start()
        self._life.callback(engine.stop)
        return engine

    def _phone_changed(self, name: str, reachable: bool) -> None:
        """Who has a phone that can be rung has a seat."""
        seats, record = self._exchange.seats, self._extensions.get(name)
        if record is not None:
            seats.phone_changed(name, record.queues, record.skills, reachable=reachable)
        elif not reachable:
            seats.sign_out(name)

    def _share(self, phones: SharedBindings) -> None:
        """Phones that sign in at another media process are known here too."""
        registrar = self._server.admission.registrar
        phones.on_change = lambda extension: registrar.look(extension, now=self._clock.now())
        feed = BindingFeed(self._bus, phones, post=self._server.post)
        feed.start()
        self._life.callback(feed.close)

    def _listen(self) -> None:
        """To what the worker, the live session and staff want of calls; and tells who sits at the seats."""
        exchange, server = self._exchange, self._server
        for topic, tell in (
            ("number", exchange.number_assigned),
            ("lookup", exchange.looked_up),
            ("session", exchange.session_changed),
        ):
            listener = _Listener(self._bus, topic, lambda event, tell=tell: server.post(lambda: tell(event)))  # type: ignore[misc]
            self._life.callback(listener.close)
        commands = CommandListener(
            open_commands(self._settings),
            exchange,
            settings=self._settings,
            post=server.post,
            publisher=self._publisher,
            prompts=self._prompts,
            clock=self._clock,
            stop=self._stop,
        )
        self._life.callback(commands.close)
        server.post(
            lambda: tell_seats(
                lambda: exchange.acd.seats,
                node=self._settings.node,
                publisher=self._publisher,
                call_later=server.call_later,
            )
        )

    def _alarm(self, trouble: RecordingTrouble) -> None:
        data = {
            "node": self._settings.node,
            "file": trouble.path.name,
            "reason": trouble.reason,
            "saved": trouble.saved,
        }
        self._publisher.publish(Event(name="alarm.recording", at=self._clock.now(), data=data))


def _allow_descriptors(settings: Settings) -> None:
    needed = descriptors_needed(settings.sip.max_calls)
    if 0 <= (limit := raise_descriptor_limit(needed)) < needed:
        log.warning("only %d descriptors may be open, %d calls need %d", limit, settings.sip.max_calls, needed)


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


class _StateWatch:
    """A thread that tells what the bus holds of a kind, again and again; while the broker is away nothing."""

    def __init__(
        self, bus: ValkeyBus, kind: str, every_s: float, tell: Callable[[dict[str, dict[str, Any]]], None]
    ) -> None:
        self._bus, self._kind, self._every_s, self._tell = bus, kind, every_s, tell
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{kind}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(UnavailableError):
                self._tell(self._bus.states(self._kind))
            self._closed.wait(self._every_s)

    def close(self) -> None:
        """Tells no more."""
        self._closed.set()
        self._thread.join(1.0)


def _collect(server: SipServer) -> None:
    """Looks for garbage now and then, on the SIP thread."""
    collect_if_due(calls=server.calls)
    server.call_later(COLLECT_S, lambda: _collect(server))


def _translate_caption(
    event: Partial | Final | Behind | StreamEnded, deliver: Callable[[CaptionEvent], None], corrector: Corrector
) -> None:
    match event:
        case Partial():
            deliver(CaptionPartial(event.text))
        case Final():
            words = tuple((word.text, word.start_ms, word.end_ms, word.confidence) for word in event.words)
            deliver(CaptionFinal(display(event.words, corrector).text, words))
        case Behind(seconds):
            deliver(CaptionsBehind(seconds))
        case StreamEnded(complete, None):
            deliver(CaptionsEnded(complete))
        case StreamEnded(complete, ModelInfo(name, engine, demo)):
            deliver(CaptionsEnded(complete, {"model": name, "engine": engine, "demo": demo}))


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
