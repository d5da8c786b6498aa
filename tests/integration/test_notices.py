"""Notices from the row that tells of something to the far end, on workers that may die at any moment."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from mail_server import run_mail_server
from sqlalchemy import select

from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConflictError, HotlineError, InvalidInputError
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings
from tickets.notices import repository
from tickets.notices.channel import MemoryChannel, Message
from tickets.notices.delivery import DelayedError, DeliveryState, RefusedError, UnsureError
from tickets.notices.jobs import NoticeJobs
from tickets.notices.kinds import Channel, Recipient
from tickets.notices.models import Notice, NoticeOptOut
from tickets.notices.outbox import caller_number, notify, opt_in, opt_out, retry_notice
from tickets.notices.plan import load_plan

MORNING = datetime.fromisoformat("2026-01-05T09:30:00+08:00")
NIGHT = datetime.fromisoformat("2026-01-05T22:10:00+08:00")
CALLER = Recipient(Channel.SMS, "13800138000")
UNIT = Recipient(Channel.EMAIL, "town@example.cn")
NUMBER = "YQ20260105000011"
RECEIVED = {"number": NUMBER, "code": "482913"}
SENT_BACK = {"number": NUMBER, "reason": "没有附照片"}


@dataclass
class Dying(MemoryChannel):
    """The process is killed when it has sent so many."""

    dies_after: int = 0

    def deliver(self, message: Message) -> None:
        super().deliver(message)
        self.dies_after -= 1
        if self.dies_after == 0:
            raise KeyboardInterrupt


@dataclass
class Post:
    """A site with SMS and e-mail that keep what they are given."""

    settings: Settings
    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(at=MORNING))
    queue: MemoryJobs = field(default_factory=MemoryJobs)
    sms: MemoryChannel = field(default_factory=MemoryChannel)
    email: MemoryChannel = field(default_factory=MemoryChannel)
    stop: threading.Event = field(default_factory=threading.Event)

    def worker(self) -> NoticeJobs:
        jobs = NoticeJobs(
            settings=self.settings, database=self.database, jobs=self.queue, clock=self.clock, stop=self.stop
        )
        jobs._channels = {Channel.SMS: self.sms, Channel.EMAIL: self.email}
        return jobs

    def tell(
        self,
        kind: str = "received",
        to: Recipient = CALLER,
        *,
        key: str = f"{NUMBER}:2",
        urgent: bool = False,
        **values: str,
    ) -> Notice | None:
        given = values or (RECEIVED if kind == "received" else SENT_BACK)
        with self.database.transaction() as session:
            return notify(
                session,
                kind,
                to,
                given,
                key=key,
                now=self.clock.now(),
                plan=load_plan(self.settings),
                ticket=NUMBER,
                urgent=urgent,
            )

    def sweep(self) -> None:
        worker = self.worker()
        worker.sweep()
        self.queue.run_all(worker.functions())

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())
        self.sweep()

    def notices(self) -> list[Notice]:
        with self.database.reading() as session:
            return list(session.scalars(select(Notice).order_by(Notice.id)))

    def states(self) -> list[str]:
        return [notice.state for notice in self.notices()]

    def retry(self) -> None:
        with self.database.transaction() as session:
            retry_notice(session, self.notices()[0].id, plan=load_plan(self.settings), now=self.clock.now())


@pytest.fixture
def post(settings: Settings, database: Database, tmp_path: Path) -> Post:
    notices = NoticeSettings(
        sms_gateway=tmp_path / "x.yaml",
        smtp_host="mail",
        smtp_sender="hotline@example.cn",
        max_attempts=3,
        backoff_s=30,
        max_age_h=10,
    )
    (tmp_path / "x.yaml").write_text("version: 1\nurl: 'https://sms.example.cn/'\njson: {a: b}\n", "utf-8")
    return Post(settings.model_copy(update={"notices": notices}), database)


def test_a_notice_is_sent_once_however_often_the_job_behind_it_runs(post: Post) -> None:
    assert post.tell() is not None
    assert post.tell() is not None
    post.sweep()
    post.sweep()
    [message] = post.sms.sent
    assert message.recipient == "13800138000"
    assert "查询码482913" in message.text
    [notice] = post.notices()
    assert (notice.state, notice.attempts, notice.error, notice.edition) == ("sent", 1, "", "2026-11")
    assert notice.settled_at == MORNING


def test_the_same_news_to_another_address_of_another_kind_or_of_another_day_is_another_notice(post: Post) -> None:
    post.tell()
    post.tell(to=Recipient(Channel.SMS, "13900139000"))
    post.tell(key=f"{NUMBER}:3")
    post.tell("sent_back", UNIT)
    post.sweep()
    assert len(post.sms.sent) == 3
    assert len(post.email.sent) == 1
    assert len({message.key for message in [*post.sms.sent, *post.email.sent]}) == 4


def test_a_notice_goes_with_the_transaction_that_it_belongs_to(post: Post) -> None:
    def tell_and_fail() -> None:
        with post.database.transaction() as session:
            assert notify(session, "received", CALLER, RECEIVED, key="k", now=MORNING, plan=load_plan(post.settings))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        tell_and_fail()
    assert post.notices() == []


def test_two_transactions_that_tell_the_same_at_once_write_one_row(post: Post) -> None:
    start, failures = threading.Barrier(4), list[BaseException]()

    def tell() -> None:
        start.wait()
        try:
            post.tell()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(post.notices()) == 1


def test_nobody_is_told_by_a_channel_that_is_not_set_up_has_no_text_or_cannot_reach_him(post: Post) -> None:
    assert post.tell("sent_back", Recipient(Channel.WECOM, "@all")) is None
    assert post.tell("sent_back", CALLER) is None  # no short text of it
    assert post.tell(to=Recipient(Channel.SMS, "01069101234")) is None  # a landline
    assert post.notices() == []


def test_values_that_are_not_the_kinds_are_the_callers_fault(post: Post) -> None:
    with pytest.raises(InvalidInputError):
        post.tell(number=NUMBER)


def test_callers_are_not_disturbed_at_night_but_units_are_and_so_is_who_is_in_danger(post: Post) -> None:
    post.clock.at = NIGHT
    post.tell()
    post.tell(key="urgent", urgent=True)
    post.tell("sent_back", UNIT)
    post.sweep()
    assert post.states() == ["queued", "sent", "sent"]
    post.later(hours=9)
    assert post.states() == ["queued", "sent", "sent"]
    post.later(hours=1)
    assert post.states() == ["sent", "sent", "sent"]


def test_what_a_worker_that_was_away_missed_until_night_waits_for_the_morning(post: Post) -> None:
    post.clock.at = NIGHT - timedelta(hours=2)
    post.tell()
    post.clock.at = NIGHT
    post.sweep()
    [notice] = post.notices()
    assert (notice.state, notice.attempts) == ("queued", 0)
    assert notice.due_at == datetime.fromisoformat("2026-01-06T08:00:00+08:00")


def test_what_was_refused_now_comes_again_later_and_later_until_its_attempts_are_spent(post: Post) -> None:
    post.sms.answers = [DelayedError("busy") for _ in range(3)]
    post.tell()
    post.sweep()
    assert [(item.state, item.attempts, item.error) for item in post.notices()] == [("queued", 1, "busy")]
    post.later(seconds=29)
    assert post.notices()[0].attempts == 1
    post.later(seconds=1)
    assert post.notices()[0].attempts == 2
    post.later(seconds=60)
    assert (post.states(), post.notices()[0].attempts) == (["failed"], 3)
    post.later(hours=1)
    assert post.sms.sent == []
    post.retry()
    post.sweep()
    assert post.states() == ["sent"]
    with pytest.raises(ConflictError, match="已发送"):
        post.retry()


def test_a_notice_that_comes_too_late_is_not_sent(post: Post) -> None:
    post.tell("sent_back", UNIT)
    post.later(hours=10)
    assert post.states() == ["expired"]
    assert post.email.sent == []


def test_a_far_end_that_takes_nothing_gets_one_attempt_a_sweep_and_holds_no_other_channel_up(post: Post) -> None:
    post.sms.answers = [DelayedError("away", whole=True)]
    for number in range(3):
        post.tell(key=str(number))
    post.tell("sent_back", UNIT)
    post.sweep()
    assert post.states() == ["queued", "queued", "queued", "sent"]
    assert [item.attempts for item in post.notices()] == [1, 0, 0, 1]
    post.later(seconds=30)
    assert post.states() == ["sent"] * 4


def test_one_that_is_refused_for_good_holds_no_other_up(post: Post) -> None:
    post.sms.answers = [RefusedError("550 <zhang@example.cn> 13800138000 unknown"), None]
    post.tell()
    post.tell(key="other")
    post.sweep()
    first, second = post.notices()
    assert (first.state, second.state) == ("failed", "sent")
    assert first.error == "550 <***@example.cn> 138****8000 unknown"


def test_a_worker_killed_before_it_could_note_what_it_sent_sends_it_again_under_the_same_identity(post: Post) -> None:
    post.sms = Dying(dies_after=1)
    post.tell()
    post.tell(key="other")
    with pytest.raises(KeyboardInterrupt):
        post.sweep()
    assert post.states() == ["sending", "queued"]
    post.queue._leases.clear()  # they end with their holder
    post.sweep()
    assert post.states() == ["sending", "sent"]  # whoever had the first may still be at it
    post.later(seconds=post.settings.notices.lease_s)
    assert post.states() == ["sent", "sent"]
    first, _, again = post.sms.sent
    assert first == again


def test_where_the_receiver_knows_nothing_again_a_person_decides(post: Post) -> None:
    post.sms = Dying(dies_after=1, repeats=False)
    post.tell()
    with pytest.raises(KeyboardInterrupt):
        post.sweep()
    post.queue._leases.clear()
    post.later(seconds=post.settings.notices.lease_s)
    assert [(item.state, item.error) for item in post.notices()] == [("failed", "发送时进程中断，不确定对方是否收到")]
    assert len(post.sms.sent) == 1
    post.sms = MemoryChannel(repeats=False, answers=[UnsureError("silent")])
    post.retry()
    post.sweep()
    assert post.states() == ["failed"]


def test_a_worker_that_took_longer_than_its_lease_does_not_overrule_the_one_after_it(post: Post) -> None:
    class Slow(MemoryChannel):
        def deliver(self, message: Message) -> None:
            post.clock.advance(post.settings.notices.lease_s)
            second = post.worker()
            second._channels = {Channel.SMS: post.email}
            post.queue._leases.clear()
            second.send_notices("sms")
            raise RefusedError("late")

    post.sms = Slow()
    post.tell()
    post.sweep()
    assert post.states() == ["sent"]
    assert len(post.email.sent) == 1


def test_a_fault_of_our_own_is_one_failed_attempt(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryChannel):
        def deliver(self, message: Message) -> None:
            raise KeyError("13800138000")

    post.sms = Broken()
    post.tell()
    post.sweep()
    assert [(item.state, item.error) for item in post.notices()] == [("queued", "程序出错：KeyError")]


def test_no_log_line_holds_an_address_or_what_was_said(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    post.sms.answers = [RefusedError("13800138000 rejected")]
    post.tell()
    post.sweep()
    assert "sms: delivery 1, attempt 1: 138****8000 rejected" in caplog.text
    assert "13800138000" not in caplog.text
    assert "482913" not in caplog.text


def test_who_wants_no_notices_gets_none_not_even_those_that_wait(post: Post) -> None:
    post.clock.at = NIGHT
    post.tell()
    with post.database.transaction() as session:
        assert opt_out(session, CALLER, by="cli:x", now=NIGHT)
        assert not opt_out(session, CALLER, by="cli:x", now=NIGHT)
    post.tell(key="later", urgent=True)
    post.later(hours=10)
    assert post.states() == ["withheld", "withheld"]
    assert post.sms.sent == []
    with post.database.transaction() as session:
        assert opt_in(session, CALLER)
        assert not opt_in(session, CALLER)
        assert session.scalars(select(NoticeOptOut)).all() == []
    post.retry()
    post.sweep()
    assert post.states() == ["sent", "withheld"]


def test_units_cannot_opt_out(post: Post) -> None:
    with post.database.transaction() as session:
        opt_out(session, UNIT, by="cli:x", now=MORNING)
    post.tell("sent_back", UNIT)
    post.sweep()
    assert post.states() == ["sent"]


def test_what_opens_something_is_forgotten_when_it_is_sent_and_all_else_in_time(post: Post) -> None:
    link = "https://hotline.example.cn/r/abc"
    post.tell("repair_link", number=NUMBER, unit="张山营镇", link=link, until="2026-01-05 18:00")
    post.tell()
    post.sweep()
    assert link in post.sms.sent[0].text
    opens, received = post.notices()
    assert (opens.text, opens.values) == ("", {})
    assert received.text != ""
    post.later(days=post.settings.notices.keep_days - 1)
    assert post.notices()[1].text != ""
    post.later(days=2)
    opens, received = post.notices()
    assert (received.text, received.values, received.recipient, opens.recipient) == ("", {}, "", "")
    assert post.tell() is not None  # its key is known still
    assert len(post.notices()) == 2


def test_what_is_forgotten_is_not_sent_again(post: Post) -> None:
    post.sms.answers = [RefusedError("no")]
    post.tell()
    post.sweep()
    post.later(days=post.settings.notices.keep_days + 1)
    with pytest.raises(ConflictError, match="已按期清除"):
        post.retry()


def test_a_stop_is_heeded_between_two_messages(post: Post) -> None:
    class Stopping(MemoryChannel):
        def deliver(self, message: Message) -> None:
            super().deliver(message)
            post.stop.set()

    post.sms = Stopping()
    post.tell()
    post.tell(key="other")
    post.sweep()
    assert post.states() == ["sent", "queued"]


def test_a_lane_that_somebody_works_on_is_left_alone(post: Post) -> None:
    post.tell()
    with post.queue.lease("outbox:sms"):
        post.sweep()
        assert post.queue.waiting == []
        post.worker().send_notices("sms")
    assert post.states() == ["queued"]


def test_counts_and_pages(post: Post) -> None:
    post.sms.answers = [RefusedError("no")]
    for number in range(5):
        post.tell(key=str(number))
    post.sweep()
    with post.database.reading() as session:
        assert repository.notice_counts(session) == {("sms", "failed"): 1, ("sms", "sent"): 4}
        assert repository.oldest_due(session) is None
        page = repository.notice_page(session, None, states=("sent",), limit=2)
        more = repository.notice_page(session, None, states=("sent",), before=page[-1].id, limit=9)
        assert [len(page), len(more)] == [2, 2]
        assert len(repository.notice_page(session, None, states=(), ticket=NUMBER, limit=9)) == 5
        assert repository.notice_page(session, None, states=(), ticket="YQ1", limit=9) == []


def test_a_letter_reaches_a_real_server_through_the_whole_of_it(post: Post) -> None:
    with run_mail_server() as server:
        server.rcpt = ["451 4.7.1 greylisted"]
        post.settings = post.settings.model_copy(
            update={
                "notices": NoticeSettings(
                    smtp_host="127.0.0.1", smtp_port=server.port, smtp_security="none", smtp_sender="hotline@example.cn"
                )
            }
        )
        post.tell("sent_back", UNIT)
        worker = NoticeJobs(settings=post.settings, database=post.database, jobs=post.queue, clock=post.clock)
        for _ in range(2):
            worker.sweep()
            post.queue.run_all(worker.functions())
            post.clock.advance(30)
        assert [str(letter["Subject"]) for letter in server.letters] == [f"退回：工单 {NUMBER}"]
    assert post.states() == ["sent"]
    assert DeliveryState(post.notices()[0].state).label == "已发送"


@pytest.mark.parametrize(
    ("phone", "number"),
    [("+86 138-0013-8000", "13800138000"), ("008613800138000", "13800138000"), ("(010) 69101234", "01069101234")],
)
def test_a_callers_number_as_gateways_take_it(phone: str, number: str) -> None:
    assert caller_number(phone) == number
    assert issubclass(ConflictError, HotlineError)
