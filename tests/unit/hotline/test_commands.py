"""Commands to media processes: the same contract for the in-memory adapter and a real Valkey."""

import contextlib
import string
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from hotline.bus import MemoryBus
from hotline.commands import (
    GIVEN_UP,
    MAX_COMMAND_BYTES,
    MAX_DELIVERIES,
    Command,
    CommandReceiver,
    Commands,
    Delivery,
    MemoryCommands,
    Outcome,
    remembered_s,
    send_and_wait,
)
from hotline.errors import InvalidInputError, ProtocolError, UnavailableError
from hotline.valkey_commands import NODE_STREAM_PREFIX, RECORD_PREFIX, SHARED_STREAM, ValkeyCommands

AT = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
SHORT_LEASE_S = 0.1
MAX_WAITING = 5
DONE = Outcome()


def build(request: pytest.FixtureRequest, lease_s: float) -> Iterator[Commands]:
    if request.param == "memory":
        yield MemoryCommands(max_waiting=MAX_WAITING, lease_s=lease_s)
        return
    url = str(request.getfixturevalue("valkey"))
    with contextlib.closing(ValkeyCommands(url, max_age_s=30, max_waiting=MAX_WAITING, lease_s=lease_s)) as opened:
        yield opened


@pytest.fixture(params=["memory", "valkey"])
def commands(request: pytest.FixtureRequest) -> Iterator[Commands]:
    yield from build(request, 30.0)


@pytest.fixture(params=["memory", "valkey"])
def hasty(request: pytest.FixtureRequest) -> Iterator[Commands]:
    """Where a command is taken over soon."""
    yield from build(request, SHORT_LEASE_S)


def command(name: str = "hang_up", **fields: object) -> Command:
    return Command(**{"name": name, "at": AT, "call_id": "c1", "actor": "test", **fields})  # type: ignore[arg-type]


def take(receiver: CommandReceiver, timeout_s: float = 2.0) -> Delivery:
    """The next delivery, which must come."""
    until = time.monotonic() + timeout_s
    while (delivery := receiver.receive(0.05)) is None:
        assert time.monotonic() < until, "no command came"
    return delivery


def test_a_node_gets_its_commands_in_order_and_no_others(commands: Commands) -> None:
    sent = [command(arguments={"number": number}) for number in range(3)]
    one, two = commands.receiver("n1"), commands.receiver("n2")
    for item in sent:
        commands.send(item, node="n1")
    assert two.receive(0.02) is None
    assert [take(one).command for _ in sent] == sent
    assert one.receive(0.02) is None


def test_a_command_sent_before_the_process_was_there_is_received(commands: Commands) -> None:
    first, second = command(id="a"), command(id="b")
    commands.send(first, node="n1")
    commands.send(second)
    receiver = commands.receiver("n1")
    assert {take(receiver).command.id for _ in range(2)} == {"a", "b"}


def test_a_shared_command_is_taken_by_one(commands: Commands) -> None:
    receivers = [commands.receiver(f"n{number}") for number in range(3)]
    for number in range(MAX_WAITING):
        commands.send(command(id=f"id-{number}"))
    taken = []
    for receiver in receivers * 3:
        delivery = receiver.receive(0.01)
        if delivery is not None:
            taken.append(delivery.command.id)
            receiver.finish(delivery, DONE)
    assert sorted(taken) == [f"id-{number}" for number in range(MAX_WAITING)]


def test_an_outcome_is_known_once_it_is_told(commands: Commands) -> None:
    receiver = commands.receiver("n1")
    for item in (command(id="a"), command(id="b")):
        commands.send(item, node="n1")
    assert commands.outcome("a") is None
    receiver.finish(take(receiver), DONE)
    assert (commands.outcome("a"), commands.outcome("b")) == (DONE, None)
    receiver.finish(take(receiver), Outcome("分机 8001 无人接听"))
    assert commands.outcome("a") == DONE
    assert commands.outcome("b") == Outcome("分机 8001 无人接听")
    assert commands.outcome("c") is None


@pytest.mark.parametrize("second", ["n1", "n2", None])
def test_a_copy_of_a_finished_command_brings_the_first_outcome(commands: Commands, second: str | None) -> None:
    receivers = [commands.receiver("n1"), commands.receiver("n2")]
    commands.send(command(id="a"), node="n1")
    receivers[0].finish(take(receivers[0]), Outcome("no such call"))
    commands.send(command(id="a"), node=second)
    copies = [delivery for receiver in receivers if (delivery := receiver.receive(0.05))]
    assert [copy.outcome for copy in copies] == [Outcome("no such call")]
    receivers[0].finish(copies[0], Outcome("no such call"))
    assert [receiver.receive(0.02) for receiver in receivers] == [None, None]


@pytest.mark.parametrize("second", ["n1", "n2", None])
def test_a_copy_of_a_command_in_progress_is_dropped(commands: Commands, second: str | None) -> None:
    receivers = [commands.receiver("n1"), commands.receiver("n2")]
    commands.send(command(id="a"), node="n1")
    commands.send(command(id="a"), node=second)
    first = take(receivers[0])
    assert [receiver.receive(0.02) for receiver in receivers] == [None, None]
    receivers[0].finish(first, DONE)
    assert commands.outcome("a") == DONE


def test_a_dead_process_leaves_a_shared_command_to_another(hasty: Commands) -> None:
    dead, other = hasty.receiver("n1"), hasty.receiver("n2")
    hasty.send(command(id="a"))
    first = take(dead)
    second = take(other)
    assert (second.command, second.outcome) == (first.command, None)
    other.finish(second, DONE)
    assert other.receive(1.5 * SHORT_LEASE_S) is None


def test_a_shared_command_is_not_taken_from_a_process_that_may_be_at_it(commands: Commands) -> None:
    one, other = commands.receiver("n1"), commands.receiver("n2")
    commands.send(command(id="a"))
    take(one)
    assert other.receive(0.05) is None


def test_a_restarted_node_gets_at_once_what_it_had_taken(commands: Commands) -> None:
    commands.send(command(id="a"), node="n1")
    first = take(commands.receiver("n1"))
    again = take(commands.receiver("n1"))
    assert (again.command, again.outcome) == (first.command, None)


def test_a_command_that_ends_every_process_is_given_up(commands: Commands) -> None:
    commands.send(command(id="a"), node="n1")
    deliveries = [take(commands.receiver("n1")) for _ in range(MAX_DELIVERIES + 1)]
    assert [delivery.outcome for delivery in deliveries] == [None] * MAX_DELIVERIES + [GIVEN_UP]


def test_what_is_not_begun_within_half_the_lease_is_left_and_comes_again(hasty: Commands) -> None:
    hasty.send(command(id="a"), node="n1")
    receiver = hasty.receiver("n1")
    before = time.monotonic()
    delivery = take(receiver)
    assert before < delivery.begin_by <= time.monotonic() + SHORT_LEASE_S / 2
    assert take(receiver).command == delivery.command


def test_a_full_stream_refuses_and_takes_again_when_commands_have_outcomes(commands: Commands) -> None:
    for _ in range(MAX_WAITING):
        commands.send(command(), node="n1")
    with pytest.raises(UnavailableError, match="5 commands wait"):
        commands.send(command(), node="n1")
    commands.send(command(), node="n2")
    receiver = commands.receiver("n1")
    receiver.finish(take(receiver), DONE)
    commands.send(command(), node="n1")


def test_a_closed_receiver_gives_nothing_and_still_finishes(commands: Commands) -> None:
    receiver = commands.receiver("n1")
    commands.send(command(id="a"), node="n1")
    commands.send(command(id="b"), node="n1")
    delivery = take(receiver)
    receiver.close()
    assert receiver.receive(5) is None
    receiver.finish(delivery, DONE)
    assert commands.outcome("a") == DONE


def test_a_sender_waits_for_the_outcome(commands: Commands) -> None:
    bus, receiver = MemoryBus(), commands.receiver("n1")

    def work() -> None:
        delivery = take(receiver)
        receiver.finish(delivery, Outcome("busy"))
        bus.publish(Outcome("busy").event(delivery.command, AT))

    worker = threading.Thread(target=work)
    worker.start()
    assert send_and_wait(commands, bus, command(), node="n1", timeout_s=10) == Outcome("busy")
    worker.join()


def test_a_sender_learns_the_outcome_although_its_event_was_lost(commands: Commands) -> None:
    receiver = commands.receiver("n1")
    worker = threading.Thread(target=lambda: receiver.finish(take(receiver), DONE))
    worker.start()
    assert send_and_wait(commands, MemoryBus(), command(), node="n1", timeout_s=10) == DONE
    worker.join()


def test_a_sender_whom_nobody_answers_is_told_so(commands: Commands) -> None:
    with pytest.raises(UnavailableError, match="no media process answered within"):
        send_and_wait(commands, MemoryBus(), command(), node="n1", timeout_s=0.02)


def test_the_outcome_event_says_who_wanted_what() -> None:
    item = command(id="a", arguments={"party": "caller"})
    done, failed = DONE.event(item, AT), Outcome("no such call").event(item, AT)
    common = {"command_id": "a", "name": "hang_up", "call_id": "c1", "actor": "test"}
    assert (done.name, done.data) == ("control.done", common)
    assert (failed.name, failed.data) == ("control.failed", {**common, "error": "no such call"})


# --- Valkey alone ---


@pytest.fixture
def client(valkey: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(valkey)) as opened:
        yield opened


@pytest.fixture
def site(valkey: str) -> Iterator[ValkeyCommands]:
    with contextlib.closing(ValkeyCommands(valkey, max_age_s=30)) as opened:
        yield opened


def test_nothing_stays_on_the_broker_for_good(site: ValkeyCommands, client: redis.Redis) -> None:
    receiver = site.receiver("n1")
    site.send(command(id="a"), node="n1")
    site.send(command(id="b"), node="gone")
    receiver.finish(take(receiver), DONE)
    kept = remembered_s(30)
    assert kept > 60
    assert client.xlen(NODE_STREAM_PREFIX + "n1") == 0
    for key in (RECORD_PREFIX + "a", NODE_STREAM_PREFIX + "gone"):
        assert 0 < int(client.ttl(key)) <= kept


@pytest.mark.parametrize("forget", ["flush", "expire"])
def test_a_receiver_joins_anew_when_the_broker_has_forgotten_it(
    site: ValkeyCommands, client: redis.Redis, forget: str
) -> None:
    receiver = site.receiver("n1")
    assert receiver.receive(0.01) is None
    if forget == "flush":
        client.flushall()
    else:
        client.expire(NODE_STREAM_PREFIX + "n1", 0)
    site.send(command(id="a"), node="n1")
    assert take(receiver).command.id == "a"


def test_a_receiver_that_waits_notices_that_its_stream_is_gone(
    site: ValkeyCommands, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = site.receiver("n1")
    assert receiver.receive(0.01) is None
    gone = threading.Timer(0.1, client.flushall)
    gone.start()
    receiver.receive(0.3)
    gone.join()
    site.send(command(id="a"), node="n1")
    assert take(receiver).command.id == "a"
    assert "away" not in caplog.text


def test_an_entry_that_is_no_command_is_dropped(site: ValkeyCommands, client: redis.Redis) -> None:
    receiver = site.receiver("n1")
    for fields in ({"command": b"\xff"}, {"other": "1"}, {"command": '{"id": "a"}'}):
        client.xadd(SHARED_STREAM, fields)  # type: ignore[arg-type]
    site.send(command(id="a"))
    assert take(receiver).command.id == "a"
    assert client.xlen(SHARED_STREAM) == 1


def test_a_broker_that_is_away_is_an_unavailable_error_to_senders_and_a_pause_to_receivers() -> None:
    away = ValkeyCommands("unix:///nonexistent/valkey.sock", max_age_s=30)
    with pytest.raises(UnavailableError):
        away.send(command())
    with pytest.raises(UnavailableError):
        away.outcome("a")
    receiver = away.receiver("n1")
    assert receiver.receive(0.01) is None
    with pytest.raises(UnavailableError):
        receiver.finish(Delivery(command=command(), stream="s", entry="1-1", begin_by=0), DONE)


def test_a_receiver_gives_others_time_to_tell_outcomes_before_it_takes_over(valkey: str) -> None:
    with (
        contextlib.closing(ValkeyCommands(valkey, max_age_s=30)) as first,
        contextlib.closing(ValkeyCommands(valkey, max_age_s=30, lease_s=SHORT_LEASE_S)) as hasty,
    ):
        first.send(command(id="a"))
        take(first.receiver("n1"))
        threading.Event().wait(1.5 * SHORT_LEASE_S)  # the lease is over when the other comes
        start = time.monotonic()
        assert take(hasty.receiver("n2")).command.id == "a"
        assert time.monotonic() - start >= SHORT_LEASE_S


# --- commands as text ---

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
IDS = st.text(string.ascii_letters + string.digits + "_.:-", min_size=1, max_size=64)


@given(
    st.builds(
        Command,
        id=IDS,
        name=st.text(string.ascii_lowercase, min_size=1, max_size=40),
        call_id=IDS | st.just(""),
        arguments=st.dictionaries(st.text(), JSON, max_size=4),
        actor=st.text(
            st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=64
        ),
        at=st.datetimes(timezones=st.just(UTC)),
    )
)
def test_commands_survive_the_round_trip(sent: Command) -> None:
    assert Command.parse(sent.serialize()) == sent


@given(st.one_of(st.text(), st.binary(), JSON.map(repr)))
def test_garbage_is_a_protocol_error(garbage: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        Command.parse(garbage)


@pytest.mark.parametrize(
    "change",
    [
        '"id": "我叫张三"',
        '"id": 5',
        '"name": "Hang up"',
        '"call_id": null',
        '"call_id": "a b"',
        '"arguments": 7',
        '"actor": "a\\nb"',
        '"at": "2026-01-05T01:30:00"',
        '"at": 0',
    ],
)
def test_a_command_with_a_wrong_field_is_refused_without_telling_what_it_says(change: str) -> None:
    text = f"{command().serialize()[:-1]}, {change}}}"  # the last of two equal keys counts
    with pytest.raises(ProtocolError) as refused:
        Command.parse(text)
    assert "张三" not in str(refused.value)


def test_a_long_or_deep_command_is_refused_at_both_ends() -> None:
    long = command(arguments={"text": "长" * MAX_COMMAND_BYTES})
    with pytest.raises(InvalidInputError, match="bytes"):
        long.serialize()
    with pytest.raises(ProtocolError):
        Command.parse("[" * MAX_COMMAND_BYTES)
    with pytest.raises(ProtocolError):
        Command.parse(replace(long, arguments={}).serialize() + " " * MAX_COMMAND_BYTES)
    with pytest.raises(InvalidInputError, match="JSON"):
        command(arguments={"when": AT}).serialize()
