"""The worker process: runs jobs, sweeps spool and store, places survey calls, reports that it lives. Holds no state."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from console.access_log import purge_log
from hotline.bus import ValkeyBus
from hotline.clock import SystemClock
from hotline.errors import UnavailableError
from hotline.jobs import JobFunction, ValkeyJobs
from hotline.probes import HEARTBEAT_S
from hotline.settings import Settings
from hotline.valkey_commands import open_commands
from hotline.wiring.database import open_database
from recordings.jobs import RecordingJobs
from recordings.store import open_store
from tickets.auto_dispatch import AutoDispatchJobs
from tickets.commands import load_desk
from tickets.duplicate_jobs import DuplicateJobs
from tickets.figure_jobs import FigureJobs
from tickets.jobs import TicketJobs
from tickets.notices.jobs import NoticeJobs
from tickets.notices.occasions import tell_reminder
from tickets.reminders import ReminderJobs
from tickets.retention import Retention, RetentionJobs
from tickets.second_pass_job import SecondPassJobs
from tickets.survey_jobs import SurveyJobs
from tickets.topic_jobs import TopicJobs

log = logging.getLogger(__name__)

SHUTDOWN_MS = 3000
SWEEP_S = 10.0
WORKER_THREADS = 4
URGENT_THREADS = 2


def run(settings: Settings, stop: threading.Event) -> None:
    """Works until `stop` is set."""
    clock = SystemClock()
    database = open_database(settings)
    bus = ValkeyBus(settings.effective_valkey_url())
    jobs = ValkeyJobs(settings.effective_valkey_url())
    store = open_store(settings)
    ticket_jobs = TicketJobs(settings=settings, database=database, jobs=jobs, bus=bus, store=store, clock=clock)
    recording_jobs = RecordingJobs(settings=settings, database=database, jobs=jobs, store=store, clock=clock)
    commands = open_commands(settings)
    survey_jobs = SurveyJobs(settings=settings, database=database, jobs=jobs, commands=commands, clock=clock)
    second_pass = SecondPassJobs(settings=settings, database=database, jobs=jobs, bus=bus, store=store, clock=clock)
    functions: dict[str, JobFunction] = (
        ticket_jobs.functions() | survey_jobs.functions() | recording_jobs.functions() | second_pass.functions()
    )
    retention = Retention(settings=settings, database=database, store=store, purge_log=purge_log, clock=clock)
    retention_jobs = RetentionJobs(retention, settings=settings, database=database, jobs=jobs, clock=clock)
    desk = load_desk(settings)
    tell = partial(tell_reminder, plan=desk.notices)
    reminders = ReminderJobs(database=database, jobs=jobs, bus=bus, clock=clock, desk=desk, tell=tell)
    auto_dispatch = AutoDispatchJobs(database=database, jobs=jobs, bus=bus, clock=clock, desk=desk)
    duplicate_jobs = DuplicateJobs(settings=settings.duplicates, database=database, jobs=jobs, clock=clock)
    topic_jobs = TopicJobs(settings=settings, database=database, jobs=jobs, clock=clock)
    figure_jobs = FigureJobs(settings=settings, database=database, jobs=jobs, desk=desk, clock=clock)
    notice_jobs = NoticeJobs(settings=settings, database=database, jobs=jobs, clock=clock, stop=stop)
    functions |= topic_jobs.functions() | retention_jobs.functions() | notice_jobs.functions() | figure_jobs.functions()
    worker = jobs.run(functions, threads=WORKER_THREADS, urgent_threads=URGENT_THREADS)
    log.info("working on %s", ", ".join(sorted(functions)))
    next_sweep = 0.0
    while not stop.is_set():
        try:
            bus.put_state("worker", settings.node, {"at": clock.now().isoformat()}, ttl_s=3 * HEARTBEAT_S)
            if clock.monotonic() >= next_sweep:
                next_sweep = clock.monotonic() + SWEEP_S
                sweep(  # what has a deadline first
                    ticket_jobs.sweep_spool,
                    reminders.sweep,
                    auto_dispatch.sweep,
                    survey_jobs.sweep,
                    notice_jobs.sweep,
                    duplicate_jobs.sweep,
                    recording_jobs.sweep,
                    figure_jobs.sweep,
                    topic_jobs.sweep,
                    retention_jobs.sweep,
                )
        except UnavailableError as error:
            log.warning("waiting: %s", error)
        stop.wait(HEARTBEAT_S)
    worker.stop(timeout_ms=SHUTDOWN_MS)
    commands.close()
    database.close()


def sweep(*sweeps: Callable[[], None]) -> None:
    """Each of them, whatever becomes of those before it; what fails is tried again with the next sweep."""
    for work in sweeps:
        try:
            work()
        except UnavailableError as error:
            log.warning("waiting: %s", error)
        except Exception:
            log.exception("sweeping failed; it is tried again")
