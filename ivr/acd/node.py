"""One media process of several that share a call distributor, as a pure machine: events, frames and leases in, commands
and frames out; `now` is in monotonic seconds.

| role | becomes | when |
|---|---|---|
| waiting | leading, following | the election has a leader: this process, another |
| waiting, following | alone | no leader has been heard of for `ALONE_S` (broker away): own calls go to own seats |
| leading | waiting | its lease ran out (by its own clock, before anybody else can have it) |
| any | leading, following | another term has begun, or a leader is there again |
| following | following, session + 1 | the leader does not know its session |

Whenever the distributor changes, phones that ring are told to stop and the process introduces itself: its seats, its
conversations, its callers with the time they have waited.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hotline.election import Leadership
from ivr.acd.channel import Channel
from ivr.acd.distributor import Distributor, Seat
from ivr.acd.events import QueueCommand, QueueEvent, SeatEvent
from ivr.acd.member import Member
from ivr.acd.site import Routed, Site
from ivr.acd.wire import COMMANDS, Frame, Item

LEASE_S = 2.0
ALONE_S = 3.0
OPENING_S = 1.0  # in which all have heard of a new leader and introduced themselves
HEARTBEAT_S = 0.5
MEMBER_TIMEOUT_S = 3.0
UNKNOWN = -1  # `received` of a frame that refuses a session


class Role(StrEnum):
    """Who distributes the calls of this process."""

    WAITING = "waiting"
    FOLLOWING = "following"
    LEADING = "leading"
    ALONE = "alone"


@dataclass
class Output:
    """What is to be done: commands for this process's calls in order, frames for others."""

    commands: list[QueueCommand] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


@dataclass
class _Session:
    number: int
    channel: Channel
    heard: float


class AcdNode:
    """`name` must be new with each start of the process; `distributor` makes an empty one. `now` never goes back."""

    def __init__(self, name: str, *, queues: Iterable[str], distributor: Callable[[], Distributor], now: float) -> None:
        self.name = name
        self.role = Role.WAITING
        self.leader = Leadership("", 0)
        self._distributor = distributor
        self._member = Member(queues)
        self._site: Site | None = None
        self._session = 0
        self._channel = Channel()  # to the leader
        self._sessions: dict[str, _Session] = {}  # of followers
        self._seen = now  # when somebody was known to lead
        self._lease_until = now
        self._heartbeat = now
        self._output = Output()

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Those that this process distributes calls to: of the whole site where it leads, none where it follows."""
        return () if self._site is None else self._site.seats

    def submit(self, event: QueueEvent, now: float) -> Output:
        """Something happened in this process. Raises as `Member.note` does."""
        self._member.note(event, now)
        self._tell(event, now)
        return self._done()

    def lease(self, found: Leadership, *, asked: float, now: float) -> Output:
        """The election's answer to a question of the moment `asked`."""
        if found.term >= self.leader.term:
            self._seen = max(self._seen, asked)
            if found.holder == self.name:
                self._lease_until = asked + LEASE_S
            if found != self.leader or self.role not in (Role.LEADING, Role.FOLLOWING):
                self._join(found, now)
        return self._done()

    def receive(self, frame: Frame, now: float) -> Output:
        """A frame from the bus, also one for others."""
        if frame.to == self.name and frame.term == self.leader.term:
            if self.role is Role.LEADING:
                self._of_follower(frame, now)
            elif self.role is Role.FOLLOWING and frame.sender == self.leader.holder and frame.session == self._session:
                self._of_leader(frame, now)
        return self._done()

    def tick(self, now: float) -> Output:
        """Time passes; due several times a second."""
        if self.role is Role.LEADING and now >= self._lease_until:
            self.role, self._site = Role.WAITING, None
        if self.role in (Role.WAITING, Role.FOLLOWING) and now - self._seen >= ALONE_S:
            self.role = Role.ALONE
            self._begin(Site(self._distributor(), opens_at=now), now)
        if self._site is not None:
            for name, session in list(self._sessions.items()):
                if now - session.heard >= MEMBER_TIMEOUT_S:
                    del self._sessions[name]
                    self._dispatch(self._site.drop(name, now), now)
            self._dispatch(self._site.tick(now), now)
        if now - self._heartbeat >= HEARTBEAT_S:
            self._heartbeat = now
            self._channel.due = True
            for session in self._sessions.values():
                session.channel.due = True
        return self._done()

    # --- who distributes ---

    def _join(self, leader: Leadership, now: float) -> None:
        self.leader = leader
        leads = leader.holder == self.name
        self.role = Role.LEADING if leads else Role.FOLLOWING
        self._begin(Site(self._distributor(), opens_at=now + OPENING_S) if leads else None, now)

    def _begin(self, site: Site | None, now: float) -> None:
        """Another distributor, which knows nothing of this process."""
        self._output.commands += self._member.stop_ringing()
        self._site = site
        self._session += 1
        self._channel, self._sessions = Channel(), {}
        self._channel.due = True  # even one without seats and callers is there
        for event in self._member.introduction(now):
            self._tell(event, now)

    def _tell(self, event: QueueEvent, now: float) -> None:
        if self._site is not None:
            self._dispatch(self._site.handle(self.name, event, now), now)
        elif self.role is Role.FOLLOWING:
            self._channel.send(event)

    # --- frames ---

    def _of_follower(self, frame: Frame, now: float) -> None:
        assert self._site is not None  # of a leader
        session = self._sessions.get(frame.sender)
        if session is not None and frame.session < session.number:
            return
        if session is None or frame.session > session.number:
            if frame.first > 0:  # it was acknowledged by somebody who has forgotten it
                self._output.frames.append(self._frame(frame.sender, frame.session, Channel(), received=UNKNOWN))
                return
            self._dispatch(self._site.drop(frame.sender, now), now)
            session = self._sessions[frame.sender] = _Session(frame.session, Channel(), now)
        session.heard = now
        for event in session.channel.take(first=frame.first, received=frame.received, items=frame.items):
            if not isinstance(event, COMMANDS):
                self._dispatch(self._site.handle(frame.sender, event, now), now)

    def _of_leader(self, frame: Frame, now: float) -> None:
        if frame.received == UNKNOWN:
            self._begin(None, now)
            return
        for item in self._channel.take(first=frame.first, received=frame.received, items=frame.items):
            self._told(item, now)

    def _dispatch(self, routed: Iterable[Routed], now: float) -> None:
        for name, item in routed:
            if name == self.name:
                self._told(item, now)
            elif name in self._sessions:
                self._sessions[name].channel.send(item)

    def _told(self, item: Item, now: float) -> None:
        """The distributor says so."""
        if isinstance(item, SeatEvent):
            self._member.hear(item, now)
        elif isinstance(item, COMMANDS) and self._member.take(item, now):
            self._output.commands.append(item)

    def _frame(self, to: str, session: int, channel: Channel, *, received: int | None = None) -> Frame:
        first, items = channel.frame()
        return Frame(
            sender=self.name,
            to=to,
            term=self.leader.term,
            session=session,
            first=first,
            received=channel.received if received is None else received,
            items=items,
        )

    def _done(self) -> Output:
        """What has come together."""
        output, self._output = self._output, Output()
        if self.role is Role.FOLLOWING and self._channel.due:
            output.frames.append(self._frame(self.leader.holder, self._session, self._channel))
        for name, session in self._sessions.items():
            if session.channel.due:
                output.frames.append(self._frame(name, session.number, session.channel))
        return output
