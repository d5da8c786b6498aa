"""Live captions: the audio of calls to recognizers and their words back, without ever holding up the media process.

One thread with one event loop serves all streams. When a recognizer dies its streams go to another, or to the same when
it is back, and the audio of the unfinished utterance is told again, so no words are lost; see `asr.replay`. Which takes
a stream is said by `asr.capacity`. A recognizer that is too slow falls behind, which is told, and catches up.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from asr.blocks import BLOCK_MS, bytes_of
from asr.capacity import RecognizerPool
from asr.crosstalk import WINDOW_MS, EchoGate
from asr.engines.remote import read_remote_model
from asr.protocol import EOF, Config, parse_reply
from asr.recognizer import ModelInfo, Partial, RecognitionEvent
from asr.replay import ReplayBuffer
from hotline.errors import HotlineError
from ivr.media.types import SAMPLE_RATE

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 5.0
IMPATIENT_S = 1.5
"""One that does not answer is left after so long where there is another: what hangs is rarer than what is dead."""
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 1.0
NO_PLACE_RETRY_S = 0.5
TOLD_BEHIND_S = 2
"""Captions that are so late are said to be."""


@dataclass(frozen=True)
class StreamEnded:
    """The last event of a stream. `complete`: its finals cover all audio fed. `model`: None where none answered."""

    complete: bool
    model: ModelInfo | None


@dataclass(frozen=True)
class Behind:
    """The recognizer is `seconds` behind the speaker, 0 when it has caught up. Told when it changes."""

    seconds: int


CaptionEvent = RecognitionEvent | Behind | StreamEnded


class CaptionService:
    """Captions of at most `max_live_calls` calls at once; further ones get streams that end incomplete."""

    def __init__(
        self, pool: RecognizerPool, *, max_live_calls: int, max_lag_s: float = 10.0, finish_timeout_s: float = 5.0
    ) -> None:
        """`pool` belongs to the service from now on. `max_lag_s`: audio a stream holds for a slow recognizer.
        `finish_timeout_s`: wait for the last words."""
        self._pool = pool
        self._max_live_calls = max_live_calls
        self._max_lag_ms = int(max_lag_s * 1000)
        self._finish_timeout_s = finish_timeout_s
        self._lock = threading.Lock()
        self._live: Counter[str] = Counter()  # open streams of each call
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="captions", daemon=True)
        self._thread.start()

    def open(
        self,
        call_id: str,
        *,
        speaker: str,
        on_event: Callable[[CaptionEvent], None],
        sample_rate: int = SAMPLE_RATE,
    ) -> "CaptionStream":
        """Begins the captions of one speaker; returns at once. The recognizer brings audio to its model's rate.

        `on_event` is called on the service's thread, with times from the stream's start, last with `StreamEnded`.
        """
        with self._lock:
            admitted = call_id in self._live or len(self._live) < self._max_live_calls
            if admitted:
                self._live[call_id] += 1
        stream = CaptionStream(
            f"{call_id}/{speaker}",
            self._pool,
            self._loop,
            on_event,
            sample_rate=sample_rate,
            admitted=admitted,
            max_lag_ms=self._max_lag_ms,
            finish_timeout_s=self._finish_timeout_s,
        )
        if not admitted:
            log.info("call %s: no live captions, %d calls have them", call_id, self._max_live_calls)
        stream.start(lambda: self._ended(call_id) if admitted else None)
        return stream

    def recognizers_told(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """What the bus holds of recognizers; from any thread."""
        with contextlib.suppress(RuntimeError):  # the service is closed
            self._loop.call_soon_threadsafe(self._pool.tell, states)

    def close(self, timeout_s: float = 2.0) -> None:
        """Ends all streams, those without their last words as incomplete, and the thread."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(timeout_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._loop.close()

    def _ended(self, call_id: str) -> None:
        with self._lock:
            self._live[call_id] -= 1
            if not self._live[call_id]:
                del self._live[call_id]


class CaptionStream:
    """The captions of one speaker; an `AudioTap`. Made by `CaptionService.open`."""

    def __init__(
        self,
        name: str,
        pool: RecognizerPool,
        loop: asyncio.AbstractEventLoop,
        on_event: Callable[[CaptionEvent], None],
        *,
        sample_rate: int,
        admitted: bool,
        max_lag_ms: int,
        finish_timeout_s: float,
    ) -> None:
        self.sample_rate = sample_rate
        self._block_bytes = bytes_of(BLOCK_MS, sample_rate)
        self._window_bytes = bytes_of(WINDOW_MS, sample_rate)
        self._name = name
        self._pool = pool
        self._loop = loop
        self._on_event = on_event
        self._admitted = admitted
        self._finish_timeout_s = finish_timeout_s
        self._buffer = ReplayBuffer(max_lag_ms=max_lag_ms, sample_rate=sample_rate)
        self._wake = asyncio.Event()
        self._finishing = False
        self._echo = EchoGate() if sample_rate == SAMPLE_RATE else None
        self._fed = 0
        self._model: ModelInfo | None = None
        self._had_place = False
        self._behind_s = 0
        self._shown: RecognitionEvent | None = None
        self._task: asyncio.Task[bool] | None = None

    def hear(self, pcm: bytes) -> None:
        """What the speaker is played while he says what is fed next: it may come back from him. Returns at once."""
        if self._echo is not None and self._admitted and not self._finishing:
            self._echo.played(pcm, self._fed)

    def feed(self, pcm: bytes) -> None:
        """Takes s16le mono audio; returns at once, also while the recognizer is away."""
        if not self._admitted or self._finishing:
            return
        self._fed += len(pcm)
        if self._buffer.feed(pcm) >= self._block_bytes:
            self._on_loop(self._wake.set)
        behind_s = self._buffer.behind_ms // 1000
        if behind_s < TOLD_BEHIND_S:
            behind_s = 0
        if behind_s != self._behind_s:
            self._behind_s = behind_s
            self._on_loop(lambda: self._deliver(Behind(behind_s)))

    def finish(self) -> None:
        """No more audio; returns at once, `StreamEnded` follows within the service's `finish_timeout_s`."""
        if not self._finishing:
            self._finishing = True
            self._on_loop(self._finish)

    def start(self, on_ended: Callable[[], None]) -> None:
        """Begins to work; `on_ended` is called before `StreamEnded`."""
        self._on_loop(lambda: self._start(on_ended))

    def _on_loop(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the service is closed: its streams have ended
            self._loop.call_soon_threadsafe(work)

    def _start(self, on_ended: Callable[[], None]) -> None:
        self._task = self._loop.create_task(self._caption() if self._admitted else self._idle())
        self._task.add_done_callback(lambda task: self._ended(task, on_ended))

    def _finish(self) -> None:
        self._wake.set()
        if self._task is not None:
            self._loop.call_later(self._finish_timeout_s, self._task.cancel)

    def _ended(self, task: asyncio.Task[bool], on_ended: Callable[[], None]) -> None:
        on_ended()
        heard_all = False
        if task.cancelled():
            log.warning("captions of %s were given up", self._name)
        elif (error := task.exception()) is not None:
            log.error("captions of %s failed", self._name, exc_info=error)
        else:
            heard_all = task.result() and self._buffer.complete
        self._deliver(StreamEnded(complete=heard_all, model=self._model))

    async def _idle(self) -> bool:
        """A stream that is not admitted: nothing until it is finished."""
        while not self._finishing:
            await self._wake.wait()
        return False

    async def _caption(self) -> bool:
        """Talks to recognizers, over as many connections as it takes, until the last words are here: then True."""
        retry_s = FIRST_RETRY_S
        while True:
            url = self._pool.take(time.monotonic(), moving=self._had_place)
            if url is None:
                if self._finishing:
                    return False
                await asyncio.sleep(NO_PLACE_RETRY_S)
                continue
            try:
                async with connect(
                    url, open_timeout=CONNECT_TIMEOUT_S, close_timeout=1, compression=None, proxy=None
                ) as connection:
                    self._model = await asyncio.to_thread(read_remote_model, url, timeout_s=CONNECT_TIMEOUT_S)
                    await connection.send(Config(sample_rate=self.sample_rate).serialize())
                    self._buffer.rewind()
                    if await self._converse(connection, url):
                        return True
                    retry_s = FIRST_RETRY_S
            except (OSError, WebSocketException, HotlineError) as error:
                self._pool.failed(url, time.monotonic())
                level = logging.WARNING if retry_s == FIRST_RETRY_S else logging.DEBUG  # once an outage
                log.log(level, "captions of %s: %s; trying again", self._name, error)
            finally:
                self._pool.give_back(url)
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, retry_s * 2)

    async def _converse(self, connection: ClientConnection, url: str) -> bool:
        """One connection; True when the last words came, False when audio was dropped and a new one must begin."""
        fresh, before = True, b""
        while not self._buffer.interrupted:
            self._wake.clear()
            finishing, position = self._finishing, self._buffer.sent
            block = self._buffer.take(self._block_bytes, rest=finishing)
            if block:
                before, said = (before + block)[-self._window_bytes :], self._own_words(before, block, position)
                await self._ask(connection, said)
                if fresh:
                    self._pool.answered(url)
                    self._had_place, fresh = True, False
            elif finishing:
                await self._ask(connection, EOF)
                return True
            else:
                await self._wake.wait()
        return False

    def _own_words(self, before: bytes, block: bytes, position: int) -> bytes:
        """The block without the other side's voice."""
        return block if self._echo is None else self._echo.pass_on(before, block, position)

    async def _ask(self, connection: ClientConnection, message: bytes | str) -> None:
        async with asyncio.timeout(REPLY_TIMEOUT_S if len(self._pool) < 2 else IMPATIENT_S):
            await connection.send(message)
            reply = await connection.recv()
        event = self._buffer.answered(parse_reply(str(reply)))
        if event is not None and not (isinstance(event, Partial) and event == self._shown):
            self._shown = event
            self._deliver(event)

    def _deliver(self, event: CaptionEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # a listener's fault must not end the captions of others
            log.exception("the listener of %s failed", self._name)


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
