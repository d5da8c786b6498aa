"""Signed webhooks from a ticket's change to another system's server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from console_seed import PHONE, seed_heating_call
from http_receiver import Receiver, answer, run_receiver
from sqlalchemy import select

from console.certificates import ensure_certificates, server_context
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.errors import ConfigurationError, ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from hotline.jobs import MemoryJobs
from hotline.settings import Settings
from hotline.settings_notices import NoticeSettings, WebhookSettings
from tickets.events import record_event
from tickets.models import Ticket
from tickets.notices import repository
from tickets.notices.jobs import NoticeJobs
from tickets.notices.models import Notice, WebhookDelivery, WebhookSubscription
from tickets.notices.signing import parse_secret, verify
from tickets.notices.subscriptions import (
    CLOSED,
    CREATED,
    EVENTS,
    STATE_CHANGED,
    add_subscription,
    check_url,
    host_allowed,
    load_webhook_keys,
    publish_event,
    publish_test,
    retry_delivery,
    rotate_secret,
    set_active,
    webhook_key_path,
)
from tickets.notices.subscriptions import (
    Receiver as Wanted,
)

NUMBER = "YQ20260105000011"
LOOPBACK = WebhookSettings(allowed_hosts=("127.0.0.1",), private_networks=("127.0.0.0/8",), timeout_s=2)


@dataclass
class Exchange:
    """A site, a ticket, and another system."""

    settings: Settings
    database: Database
    receiver: Receiver
    clock: ManualClock = field(default_factory=ManualClock)
    queue: MemoryJobs = field(default_factory=MemoryJobs)

    def subscribe(self, name: str = "grid", *, events: tuple[str, ...] = EVENTS, personal: bool = False) -> str:
        with self.database.transaction() as session:
            wanted = Wanted(name, f"{self.receiver.url}/hook?tenant=1", events, personal)
            return add_subscription(session, wanted, settings=self.settings, by="cli:x", now=self.clock.now())[1]

    def change(self, state: str = "to_sign", *, event: str = STATE_CHANGED, confidential: bool = False) -> int:
        with self.database.transaction() as session:
            ticket = session.scalars(select(Ticket)).one()
            before, ticket.state, ticket.confidential = ticket.state, state, confidential
            record_event(session, ticket, "dispatch", now=self.clock.now(), data={"from": before, "to": state})
            return publish_event(session, event, ticket, {"command": "dispatch", "from": before}, self.clock.now())

    def sweep(self) -> None:
        worker = NoticeJobs(settings=self.settings, database=self.database, jobs=self.queue, clock=self.clock)
        worker.sweep()
        self.queue.run_all(worker.functions())

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())
        self.sweep()

    def deliveries(self) -> list[WebhookDelivery]:
        with self.database.reading() as session:
            return list(reversed(repository.deliveries(session, None, limit=100)))

    def states(self) -> list[str]:
        return [item.state for item in self.deliveries()]

    def subscription(self) -> WebhookSubscription:
        with self.database.reading() as session:
            return session.scalars(select(WebhookSubscription)).one()

    def verified(self, secret: str, *, index: int = -1) -> bool:
        request = self.receiver.received[index]
        return verify(
            parse_secret(secret),
            message=request.headers["webhook-id"],
            timestamp=request.headers["webhook-timestamp"],
            signatures=request.headers["webhook-signature"],
            body=request.body,
            now=self.clock.now(),
        )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def exchange(settings: Settings, database: Database, receiver: Receiver) -> Exchange:
    made = Exchange(settings.model_copy(update={"webhooks": LOOPBACK}), database, receiver)
    with database.transaction() as session:
        seed_heating_call(session, None, now=made.clock.now())
    return made


def test_a_change_reaches_the_other_system_signed_and_without_anything_personal(exchange: Exchange) -> None:
    secret = exchange.subscribe()
    assert exchange.change() == 1
    exchange.sweep()
    exchange.sweep()
    [request] = exchange.receiver.received
    assert (request.method, request.target) == ("POST", "/hook?tenant=1")
    assert exchange.verified(secret)
    payload = json.loads(request.body)
    assert (payload["type"], payload["timestamp"]) == ("ticket.state_changed", "2026-01-05T01:30:00.000Z")
    data = payload["data"]
    assert data | {"sequence": 0} == {
        "number": NUMBER,
        "state": "to_sign",
        "channel": "phone",
        "type": "help",
        "tier": "T2",
        "category": "供暖/煤改电设备",
        "unit": "",
        "confidential": False,
        "created_at": "2026-01-05T01:30:00.000Z",
        "sequence": 0,
        "command": "dispatch",
        "from": "to_dispatch",
    }
    assert PHONE not in request.body.decode()
    assert exchange.states() == ["sent"]
    assert exchange.subscription().delivered_at == exchange.clock.now()


def test_only_who_wants_an_event_is_told_and_nobody_twice(exchange: Exchange) -> None:
    exchange.subscribe("closing", events=(CLOSED,))
    exchange.subscribe("all")
    assert exchange.change() == 1
    with exchange.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert publish_event(session, STATE_CHANGED, ticket, {}, exchange.clock.now()) == 1
        assert publish_event(session, CREATED, ticket, {}, exchange.clock.now()) == 1
    exchange.change("closed", event=CLOSED)
    exchange.sweep()
    told = sorted((item.subscription.name, item.event) for item in exchange.deliveries())
    assert told == [("all", CLOSED), ("all", CREATED), ("all", STATE_CHANGED), ("closing", CLOSED)]
    identities = {request.headers["webhook-id"] for request in exchange.receiver.received}
    assert len(identities) == len(exchange.receiver.received) == 4


def test_a_callers_data_go_only_to_who_may_have_them_over_tls_and_never_of_a_confidential_ticket(
    exchange: Exchange, settings: Settings
) -> None:
    with pytest.raises(ForbiddenError, match="https"):
        exchange.subscribe(personal=True)
    files = ensure_certificates(settings, now=datetime.now(UTC))
    with run_receiver(server_context(files)) as trusted:
        exchange.receiver = trusted
        exchange.settings = exchange.settings.model_copy(
            update={"webhooks": LOOPBACK.model_copy(update={"ca_file": files.authority})}
        )
        exchange.subscribe(personal=True)
        exchange.change()
        exchange.change("handling", confidential=True)
        exchange.sweep()
        first, second = (json.loads(request.body)["data"] for request in trusted.received)
    assert first["personal"]["phone"] == PHONE
    assert "personal" not in second
    assert (second["confidential"], second["category"], second["type"]) == (True, "", "")


def test_what_is_not_taken_comes_again_under_the_same_identity_with_a_new_time(exchange: Exchange) -> None:
    secret = exchange.subscribe()
    exchange.receiver.answers = [answer(500), answer(400), b"", answer(202)]
    exchange.change()
    exchange.sweep()
    for seconds in (5, 30, 180):
        assert exchange.states() == ["queued"]
        exchange.later(seconds=seconds)
    assert exchange.states() == ["sent"]
    requests = exchange.receiver.received
    assert len(requests) == 4
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.headers["webhook-timestamp"] for request in requests}) == 4
    assert len({request.body for request in requests}) == 1
    assert exchange.verified(secret)
    assert exchange.subscription().failing_since is None


def test_a_receiver_that_asks_for_time_gets_it_and_one_that_moved_is_not_followed(exchange: Exchange) -> None:
    exchange.subscribe()
    exchange.receiver.answers = [answer(429, b"", Retry_After="600"), answer(301, b"", Location="/elsewhere")]
    exchange.change()
    exchange.sweep()
    exchange.later(seconds=599)
    assert len(exchange.receiver.received) == 1
    exchange.later(seconds=1)
    assert [request.target for request in exchange.receiver.received] == ["/hook?tenant=1"] * 2
    assert "不跟随" in exchange.deliveries()[0].error


def test_a_dead_receiver_gets_one_attempt_a_sweep_and_is_disabled_in_the_end(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    notices = NoticeSettings(smtp_host="127.0.0.1", smtp_sender="hotline@example.cn", operators=("ops@example.cn",))
    exchange.settings = exchange.settings.model_copy(update={"notices": notices})
    exchange.subscribe()
    exchange.receiver.answers = [answer(503)]
    for _ in range(3):
        exchange.change()
    exchange.sweep()
    assert len(exchange.receiver.received) == 1
    for _ in range(6):
        exchange.change()
        exchange.later(days=1)
    subscription = exchange.subscription()
    assert not subscription.active
    assert subscription.disabled_reason == "对方暂不可用：503"
    assert "webhook grid is disabled" in caplog.text
    with exchange.database.reading() as session:
        notice = session.scalars(select(Notice)).one()
    assert notice.recipient == "ops@example.cn"
    assert "连续 5 天没有送达" in notice.text
    asked = len(exchange.receiver.received)
    assert exchange.change() == 0
    exchange.later(days=1)
    assert len(exchange.receiver.received) == asked


def test_a_receiver_that_is_gone_is_disabled_at_once_and_may_be_taken_up_again(exchange: Exchange) -> None:
    exchange.subscribe()
    exchange.receiver.answers = [answer(410), answer(200)]
    exchange.change()
    exchange.change("handling")
    exchange.sweep()
    assert not exchange.subscription().active
    assert exchange.states() == ["failed", "queued"]
    with exchange.database.transaction() as session:
        set_active(session, "grid", active=True, reason="", now=exchange.clock.now())
        retry_delivery(session, 1, settings=LOOPBACK, now=exchange.clock.now())
        with pytest.raises(ConflictError, match="待发送"):
            retry_delivery(session, 2, settings=LOOPBACK, now=exchange.clock.now())
    exchange.sweep()
    assert exchange.states() == ["sent", "sent"]


def test_while_a_secret_is_replaced_both_sign(exchange: Exchange) -> None:
    old = exchange.subscribe()
    with exchange.database.transaction() as session:
        new = rotate_secret(session, "grid", settings=exchange.settings, now=exchange.clock.now())
    exchange.change()
    exchange.sweep()
    assert exchange.verified(old)
    assert exchange.verified(new)
    exchange.clock.advance(LOOPBACK.rotation_h * 3600)
    exchange.change("handling")
    exchange.sweep()
    assert not exchange.verified(old)
    assert exchange.verified(new)


def test_no_secret_is_in_the_database_and_the_key_is_the_owners_alone(exchange: Exchange) -> None:
    secret = exchange.subscribe()
    path = webhook_key_path(exchange.settings)
    assert path.stat().st_mode & 0o777 == 0o600
    with exchange.database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM webhook_subscriptions").all()
    assert secret.removeprefix("whsec_") not in str(rows)
    assert parse_secret(secret).hex() not in str(rows)


def test_without_the_key_events_wait_for_it(exchange: Exchange) -> None:
    exchange.subscribe()
    exchange.change()
    path = webhook_key_path(exchange.settings)
    hidden = path.rename(path.with_name("hidden"))
    with pytest.raises(ConfigurationError, match="No such file"):
        load_webhook_keys(exchange.settings)
    exchange.sweep()
    assert exchange.states() == ["queued"]
    path.write_text("2:" + "A" * 43 + "=\n", "utf-8")
    exchange.later(seconds=5)
    assert "signed under the key '1'" in exchange.deliveries()[0].error
    hidden.rename(path)
    exchange.later(seconds=30)
    assert exchange.states() == ["sent"]


def test_a_host_or_an_address_that_is_not_allowed_any_more_gets_nothing(exchange: Exchange) -> None:
    exchange.subscribe()
    exchange.change()
    for settings, error in (
        (WebhookSettings(), "不允许发往 127.0.0.1"),
        (WebhookSettings(allowed_hosts=("127.0.0.1",)), "127.0.0.1 is not an address that may be sent to"),
    ):
        exchange.settings = exchange.settings.model_copy(update={"webhooks": settings})
        exchange.later(minutes=10)
        assert error in exchange.deliveries()[0].error
    assert exchange.receiver.received == []


def test_subscriptions_that_are_refused(exchange: Exchange) -> None:
    def add(**changes: object) -> None:
        values = {"name": "a", "url": "https://127.0.0.1/", "events": EVENTS} | changes
        with exchange.database.transaction() as session:
            add_subscription(session, Wanted(**values), settings=exchange.settings, by="x", now=exchange.clock.now())  # type: ignore[arg-type]

    for changes, error in (
        ({"url": "https://other.example.cn/"}, ForbiddenError),
        ({"url": "https://127.0.0.1.evil.example/"}, ForbiddenError),
        ({"url": "gopher://127.0.0.1/"}, InvalidInputError),
        ({"url": "https://127.0.0.1/" + "x" * 500}, InvalidInputError),
        ({"events": ("ticket.eaten",)}, InvalidInputError),
        ({"events": ()}, InvalidInputError),
        ({"name": " "}, InvalidInputError),
        ({"name": "x" * 65}, InvalidInputError),
    ):
        with pytest.raises(error):
            add(**changes)
    add()
    with pytest.raises(ConflictError, match="已有名为 a"):
        add()
    exchange.settings = exchange.settings.model_copy(
        update={"webhooks": LOOPBACK.model_copy(update={"max_subscriptions": 1})}
    )
    with pytest.raises(ConflictError, match="上限"):
        add(name="b")
    with exchange.database.transaction() as session, pytest.raises(NotFoundError):
        rotate_secret(session, "nobody", settings=exchange.settings, now=exchange.clock.now())


def test_a_test_event_is_sent_to_one_receiver(exchange: Exchange) -> None:
    exchange.subscribe()
    with exchange.database.transaction() as session:
        for _ in range(2):
            publish_test(session, repository.subscription_named(session, "grid"), now=exchange.clock.now())
    exchange.sweep()
    assert [json.loads(request.body)["type"] for request in exchange.receiver.received] == ["webhook.test"] * 2


def test_what_was_delivered_is_forgotten_in_time(exchange: Exchange) -> None:
    exchange.subscribe()
    exchange.change()
    exchange.sweep()
    assert exchange.deliveries()[0].body != ""
    exchange.later(days=LOOPBACK.keep_days + 1)
    assert exchange.deliveries()[0].body == ""
    with exchange.database.reading() as session:
        assert repository.delivery_counts(session) == {(1, "sent"): 1}


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("a.example.cn", True),
        ("A.Example.CN.", True),
        ("b.a.example.cn", False),
        ("x.gov.cn", True),
        ("y.x.gov.cn", True),
        ("gov.cn", False),
        ("evilgov.cn", False),
        ("fd00::1", True),
        ("10.0.0.1", False),
    ],
)
def test_which_hosts_are_allowed(host: str, allowed: bool) -> None:
    assert host_allowed(host, ("a.example.cn", "*.gov.cn", "[fd00::1]")) is allowed
    if not allowed:
        with pytest.raises(ForbiddenError, match="不允许发往"):
            check_url(f"https://{host}/", WebhookSettings(allowed_hosts=("a.example.cn",)), personal=False)
