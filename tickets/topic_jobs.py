"""Looks once a day at what people call about, and keeps what it finds day by day."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from hotline.clock import Clock
from hotline.db import Database
from hotline.jobs import Jobs
from hotline.settings import Settings
from tickets import topic_repository as stored
from tickets.gazetteer import load_gazetteer
from tickets.topic_candidates import candidate_for, seasons
from tickets.topic_models import TopicDay, TopicRow, TopicRun, TopicTicket
from tickets.topics import WINDOW, find_topics, match_topics

log = logging.getLogger(__name__)

JOB = LEASE = "find_topics"
_YEARS, _AHEAD = 3, timedelta(days=28)
_YEAR = timedelta(days=364)  # whole weeks: the same days of the week


class TopicJobs:
    """The job with what it works on."""

    def __init__(self, *, settings: Settings, database: Database, jobs: Jobs, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._handed_in: date | None = None

    def functions(self) -> dict[str, Callable[..., None]]:
        """The jobs by the names they are handed in under."""
        return {JOB: self.find_topics}

    def sweep(self) -> None:
        """Hands the day's job in once its hour has come; a missed day is not made up for, the next look sees it all."""
        now = self._clock.now().astimezone(self._settings.zone)
        if not self._settings.topics.enabled or now.hour < self._settings.topics.hour:
            return
        with self._database.reading() as session:
            last = stored.last_run(session)
        due = last is None or last.day < now.date()
        if due and self._handed_in != now.date() and not self._jobs.leased(LEASE):
            self._jobs.enqueue(JOB)
            self._handed_in = now.date()

    def find_topics(self, again: bool = False) -> None:
        """The topics of today. A second time on one day it does nothing, or (`again`) replaces what it wrote."""
        with self._jobs.lease(LEASE):
            now = self._clock.now().astimezone(self._settings.zone)
            with self._database.reading() as session:
                last = stored.last_run(session)
                if last is not None and last.day >= now.date() and not again:
                    return
            count = refresh_topics(self._database, settings=self._settings, now=now)
            log.info("%d topics on %s", count, now.date())


def refresh_topics(database: Database, *, settings: Settings, now: datetime) -> int:
    """Finds and stores the topics of the local day of `now`; how many. Nothing is locked while they are sought."""
    zone, bounds = settings.zone, settings.topics
    today = now.astimezone(zone).date()
    since = datetime.combine(today - timedelta(days=WINDOW - 1), time(), zone)
    gazetteer = load_gazetteer(settings.tickets.gazetteer_path, settings.places_path, limit=settings.tickets.max_places)
    with database.reading() as session:
        texts = stored.texts_since(session, since, until=now + timedelta(seconds=1), limit=bounds.max_texts, zone=zone)
        coming = _seasons(session, now)
    topics = find_topics(
        texts,
        today=today,
        at_least=bounds.at_least,
        max_grouped=bounds.max_grouped,
        place_names={place.spelling for place in gazetteer.spellings},
    )
    with database.transaction() as session:
        identities = match_topics(topics, stored.members_of_topics(session))
        stored.forget_members(session)
        stored.forget_day(session, today)
        session.add(TopicRun(day=today, ran_at=now, texts=len(texts), seasonal=coming))
        for topic, identity in zip(topics, identities, strict=True):
            row = session.get(TopicRow, identity) if identity is not None else None
            if row is None:
                row = TopicRow(name=topic.name[:200], first_day=today, last_day=today)
                session.add(row)
                session.flush()
            row.name, row.last_day = topic.name[:200], today
            session.add(
                TopicDay(
                    topic_id=row.id,
                    day=today,
                    name=row.name,
                    tickets=len(topic.tickets),
                    week=topic.growth.week,
                    before=topic.growth.before,
                    chance=topic.growth.chance,
                    rising=topic.growth.rising,
                    details=topic.to_data(),
                    reasons=candidate_for(topic, large=bounds.large),
                )
            )
            session.add_all(TopicTicket(ticket_id=ticket, topic_id=row.id) for ticket in topic.tickets)
    return len(topics)


def _seasons(session: Session, now: datetime) -> list[dict[str, object]]:
    """What the four weeks to come were like in former years, as far back as there are tickets."""
    oldest = stored.oldest_ticket(session)
    years = min(_YEARS, (now - oldest) // _YEAR if oldest else 0)
    same = Counter[str]()
    for back in range(1, years + 1):
        began = now - back * _YEAR
        same.update(stored.counts_by_category(session, began, began + _AHEAD))
    whole = stored.counts_by_category(session, now - years * _YEAR, now)
    share = sum(same.values()) / max(1, sum(whole.values()))
    return [season.to_data() for season in seasons(same, whole, years=years, share=share)] if years else []
