"""A call from dialling to the end, as a person makes it: listen, speak, press a key, listen, hang up."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.g711 import Law, decode
from demo.listening import Heard, Listener, level_dbfs
from demo.rtp import ReceiverStats, RtpStream
from demo.sdp import Direction, answer_direction, describe, parse
from demo.sip import SipUri
from demo.useragent import CallRefusedError, UserAgent
from hotline.errors import ProtocolError, UnavailableError

Emit = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class CallPlan:
    """What to do in a call. Times in seconds."""

    to: SipUri
    caller: str
    law: Law = Law.PCMA
    audio: bytes = b""  # G.711, sent exactly so
    press: str = "#"
    bind: str = ""
    start_after: float | None = None  # None: when the other side has spoken and gone quiet
    quiet: float = 0.7
    patience: float = 15.0  # nobody speaks: begin all the same
    hang_up_after: float | None = None  # after the last word or digit; None: wait for the far end
    ring_limit: float = 30.0
    limit: float = 300.0


@dataclass(frozen=True, kw_only=True)
class CallResult:
    """How the call went. `reason`: far_end_hung_up, hung_up, limit, refused, cancelled, no_answer, bad_answer."""

    reason: str
    status: int
    answer_ms: float | None = None
    duration_s: float = 0.0
    sent: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    heard: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    received: ReceiverStats = field(default_factory=ReceiverStats)
    send_jitter_ms: tuple[float, ...] = ()  # how late each packet left

    @property
    def answered(self) -> bool:
        return self.answer_ms is not None

    def summary(self) -> dict[str, Any]:
        """Plain data for the last line."""
        late = np.percentile(self.send_jitter_ms, 99) if self.send_jitter_ms else 0.0
        return {
            "reason": self.reason,
            "status": self.status,
            "answer_ms": self.answer_ms,
            "duration_s": round(self.duration_s, 3),
            "sent": {
                "samples": len(self.sent),
                "sha256": hashlib.sha256(self.sent.astype("<i2").tobytes()).hexdigest(),
                "packets": len(self.send_jitter_ms),
                "late_p99_ms": round(float(late), 3),
            },
            "received": asdict(self.received),
        }


class Phone:
    """One call from dialling to the end."""

    def __init__(self, plan: CallPlan, emit: Emit = lambda event, data: None) -> None:
        self._plan = plan
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._listener = Listener(quiet_s=plan.quiet)
        self._level = -120.0
        self._turn = asyncio.Event()
        self._answered_at = 0.0
        self._version = 1
        self._agent: UserAgent | None = None
        self._stream: RtpStream | None = None
        self.answered: asyncio.Future[float] = self._loop.create_future()

    async def run(self) -> CallResult:
        """Makes the call; returns when it is over. Raises `UnavailableError` only when no socket can be opened."""
        plan = self._plan
        self._agent = await UserAgent.open(plan.to, plan.caller, bind=plan.bind)
        self._agent.on_provisional = self._on_provisional
        self._agent.on_offer = self._on_offer
        try:
            self._stream = await RtpStream.open(self._agent.local[0], plan.law)
            result = await self._call(self._agent, self._stream)
        finally:
            self._agent.close()
            if self._stream is not None:
                self._stream.close()
        self._emit("ended", {"reason": result.reason})
        return result

    @property
    def packets_received(self) -> int:
        """Audio packets that have come in so far."""
        return self._stream.receiver.stats().received if self._stream is not None else 0

    async def hold(self, direction: Direction = "sendonly") -> None:
        """Puts the call on hold by a re-INVITE; `inactive` also stops our packets."""
        await self._reoffer(direction)

    async def resume(self) -> None:
        """Takes the call up again."""
        await self._reoffer("sendrecv")

    async def hang_up(self) -> None:
        """Ends the call from our side."""
        assert self._agent is not None
        if not self._agent.ended.done():
            self._agent.ended.set_result("hung_up")

    async def cancel(self) -> None:
        """Gives up while it still rings."""
        assert self._agent is not None
        await self._agent.cancel()

    async def _call(self, agent: UserAgent, stream: RtpStream) -> CallResult:
        plan, started = self._plan, self._loop.time()
        offer = describe(agent.local[0], stream.port, plan.law)
        giving_up = self._loop.create_task(self._give_up(agent))
        try:
            response = await agent.invite(offer)
            answer_ms = round(1000 * (self._loop.time() - started), 3)
            media = parse(response.body)
        except CallRefusedError as error:
            return CallResult(reason="cancelled" if error.status == 487 else "refused", status=error.status)
        except UnavailableError:
            return CallResult(reason="no_answer", status=408)
        except ProtocolError:
            await agent.hang_up()
            return CallResult(reason="bad_answer", status=200)
        finally:
            giving_up.cancel()
        self._answered_at = self._loop.time()
        self.answered.set_result(answer_ms)
        self._emit("answered", {"answer_ms": answer_ms, "codec": plan.law.name})
        stream.on_audio = self._on_audio if plan.start_after is None else None
        stream.on_tick = self._on_tick
        stream.start(media.host, media.port, events=media.events)
        talk = self._loop.create_task(self._talk(stream))
        until = self._answered_at + plan.limit
        waiting: set[asyncio.Future[Any]] = {agent.ended, talk}
        await asyncio.wait(waiting, timeout=plan.limit, return_when=asyncio.FIRST_COMPLETED)
        if talk.done():
            talk.result()  # a fault of ours must not look like a caller's silence
            await asyncio.wait([agent.ended], timeout=until - self._loop.time())
        talk.cancel()
        reason = agent.ended.result() if agent.ended.done() else "limit"
        status = 200 if reason == "far_end_hung_up" else await agent.hang_up()
        return CallResult(
            reason=reason,
            status=status,
            answer_ms=answer_ms,
            duration_s=self._loop.time() - self._answered_at,
            sent=stream.sender.sent() if stream.sender is not None else np.zeros(0, np.int16),
            heard=stream.receiver.audio(),
            received=stream.receiver.stats(),
            send_jitter_ms=tuple(1000 * late for late in stream.lateness_s),
        )

    async def _give_up(self, agent: UserAgent) -> None:
        await asyncio.sleep(self._plan.ring_limit)
        await agent.cancel()

    async def _talk(self, stream: RtpStream) -> None:
        """What the person does once the call is answered."""
        plan = self._plan
        if plan.start_after is not None:
            await asyncio.sleep(plan.start_after)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), plan.patience)
        assert stream.sender is not None
        if plan.audio:
            self._emit("speaking", {"offset_ms": self._offset_ms()})
            stream.sender.say(plan.audio)
            await stream.drained()
            self._emit("spoken", {"offset_ms": self._offset_ms()})
        for digit in plan.press:
            await asyncio.sleep(0.3)
            if not stream.sender.press(digit):
                self._emit("digit_refused", {"digit": digit})
                continue
            await stream.drained()
            self._emit("digit", {"digit": digit, "offset_ms": self._offset_ms()})
        if plan.hang_up_after is not None:
            await asyncio.sleep(plan.hang_up_after)
            await self.hang_up()

    async def _reoffer(self, direction: Direction) -> None:
        assert self._agent is not None
        assert self._stream is not None
        self._version += 1
        host, port = self._agent.local[0], self._stream.port
        offer = describe(host, port, self._plan.law, direction=direction, version=self._version)
        media = parse((await self._agent.invite(offer)).body)
        self._stream.start(media.host, media.port, events=media.events)
        self._stream.muted = direction in ("inactive", "recvonly")

    def _on_offer(self, body: bytes) -> bytes | None:
        """The far end's re-INVITE."""
        assert self._agent is not None
        assert self._stream is not None
        try:
            media = parse(body)
        except ProtocolError:
            return None
        if media.law is not self._plan.law:
            return None
        direction = answer_direction(media.direction)
        self._version += 1
        self._stream.start(media.host, media.port, events=media.events)
        self._stream.muted = direction in ("inactive", "recvonly")
        host, port = self._agent.local[0], self._stream.port
        return describe(host, port, self._plan.law, direction=direction, version=self._version)

    def _on_provisional(self, status: int) -> None:
        self._emit("ringing" if status >= 180 else "trying", {"status": status})

    def _on_audio(self, payload: bytes) -> None:
        self._level = max(self._level, level_dbfs(decode(payload, self._plan.law)))

    def _on_tick(self, now: float) -> None:
        heard: Heard | None = self._listener.update(self._level, now - self._answered_at)
        self._level = -120.0
        if heard is not None:
            span = {"start_ms": round(1000 * heard.start_s), "end_ms": round(1000 * heard.end_s)}
            self._emit("heard", span)
            self._turn.set()

    def _offset_ms(self) -> int:
        return round(1000 * (self._loop.time() - self._answered_at))
