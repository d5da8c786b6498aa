"""The bus: the same contract for the in-memory adapter and a real Valkey."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from hotline.bus import CHANNEL_PREFIX, BackgroundPublisher, Bus, Event, MemoryBus, ValkeyBus
from hotline.errors import ProtocolError, UnavailableError

AT = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


@pytest.fixture(params=["memory", "valkey"])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    opened: Bus = MemoryBus() if request.param == "memory" else ValkeyBus(request.getfixturevalue("valkey"))
    yield opened
    opened.close()


def event(name: str, **data: object) -> Event:
    return Event(name=name, at=AT, data=data)


def test_a_subscriber_gets_the_events_of_its_topics_in_order(bus: Bus) -> None:
    subscription = bus.subscribe("call", "ticket")
    subscription.get(0.01)  # a first read subscribes
    for number in range(3):
        bus.publish(event("call.answered", number=number))
        bus.publish(event("caption.final", number=number))
    bus.publish(event("ticket.created", number=9))
    got = []
    while (item := subscription.get(0.2)) is not None:
        got.append(item)
    assert [(item.name, item.data["number"]) for item in got] == [
        ("call.answered", 0),
        ("call.answered", 1),
        ("call.answered", 2),
        ("ticket.created", 9),
    ]
    assert got[0].at == AT
    subscription.close()


def test_a_closed_subscription_gives_nothing(bus: Bus) -> None:
    subscription = bus.subscribe("call")
    subscription.close()
    assert subscription.get(0.01) is None


def test_states_are_kept_by_kind_until_dropped(bus: Bus) -> None:
    bus.put_state("call", "a", {"caller": "诉求人"}, ttl_s=10)
    bus.put_state("call", "b", {"caller": "2"}, ttl_s=10)
    bus.put_state("worker", "a", {}, ttl_s=10)
    bus.put_state("call", "b", {"caller": "3"}, ttl_s=10)
    assert bus.states("call") == {"a": {"caller": "诉求人"}, "b": {"caller": "3"}}
    bus.drop_state("call", "a")
    bus.drop_state("call", "a")
    assert bus.states("call") == {"b": {"caller": "3"}}


def test_a_state_that_nobody_refreshes_expires(valkey: str) -> None:
    bus = ValkeyBus(valkey)
    bus.put_state("call", "a", {}, ttl_s=60)
    client = redis.Redis.from_url(valkey)
    assert 0 < int(client.ttl("hotline:state:call:a")) <= 60
    client.close()
    bus.close()


def test_a_foreign_message_does_not_end_a_subscription(valkey: str) -> None:
    bus = ValkeyBus(valkey)
    subscription = bus.subscribe("call")
    subscription.get(0.01)
    client = redis.Redis.from_url(valkey)
    client.publish(CHANNEL_PREFIX + "call", b"\xff not ours")
    client.close()
    bus.publish(event("call.ended"))
    got = [subscription.get(0.2), subscription.get(0.2)]
    assert [item.name for item in got if item is not None] == ["call.ended"]
    subscription.close()
    bus.close()


def test_a_broker_that_is_away_is_an_unavailable_error() -> None:
    bus = ValkeyBus("unix:///nonexistent/valkey.sock")
    with pytest.raises(UnavailableError):
        bus.ping()
    with pytest.raises(UnavailableError):
        bus.publish(event("call.ended"))
    assert bus.subscribe("call").get(0.01) is None


class Door(MemoryBus):
    """A bus whose broker can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.tried = threading.Event()

    def publish(self, event: Event) -> None:
        self.tried.set()
        if not self.open.is_set():
            raise UnavailableError("away")
        super().publish(event)


def test_events_wait_for_a_broker_that_is_away_and_keep_their_order() -> None:
    bus = Door()
    publisher = BackgroundPublisher(bus)
    for number in range(5):
        publisher.publish(event("call.answered", number=number))
    assert bus.tried.wait(5)
    assert bus.published == []
    bus.open.set()
    publisher.close(5)
    assert [item.data["number"] for item in bus.published] == [0, 1, 2, 3, 4]


def test_an_event_that_cannot_be_sent_is_given_up_and_the_next_arrives(
    valkey: str, caplog: pytest.LogCaptureFixture
) -> None:
    bus = ValkeyBus(valkey)
    subscription = bus.subscribe("caption")
    subscription.get(0.01)
    publisher = BackgroundPublisher(bus)
    publisher.publish(event("caption.final", text="\ud800"))
    publisher.publish(event("caption.final", text={1, 2}))
    publisher.publish(event("caption.final", text="您好"))
    publisher.close(5)
    got = subscription.get(2)
    assert got is not None
    assert got.data == {"text": "您好"}
    assert caplog.text.count("a message was given up") == 2
    subscription.close()
    bus.close()


def test_a_full_queue_drops_the_oldest_and_never_blocks() -> None:
    bus = Door()
    publisher = BackgroundPublisher(bus, limit=3)
    publisher.publish(event("call.answered", number=0))
    assert bus.tried.wait(5)  # the first is in the publisher's hands, the queue is empty
    for number in range(1, 7):
        publisher.publish(event("call.answered", number=number))
    assert publisher.dropped == 3
    bus.open.set()
    publisher.close(5)
    assert [item.data["number"] for item in bus.published] == [0, 4, 5, 6]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.dictionaries(st.text(), JSON, max_size=4), st.datetimes(timezones=st.just(UTC)))
def test_events_survive_the_round_trip(data: dict[str, object], at: datetime) -> None:
    sent = Event(name="call.ended", at=at, data=data)
    assert Event.parse(sent.serialize()) == sent


@given(st.one_of(st.text(), st.binary()))
def test_garbage_is_a_protocol_error(garbage: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        Event.parse(garbage)


def test_a_message_that_is_no_event_is_refused_without_telling_what_it_says() -> None:
    for message in ('{"text": "我叫张三"}', "[" * 100_000):
        with pytest.raises(ProtocolError) as refused:
            Event.parse(message)
        assert "张三" not in str(refused.value)


@pytest.mark.parametrize("name", ["call", ""])
def test_an_event_without_a_topic_cannot_be_built(name: str) -> None:
    with pytest.raises(ValueError, match="not an event"):
        Event(name=name, at=AT, data={})
