"""The recognizer process: one model in memory, spoken to over vosk-server's WebSocket protocol (see `asr.protocol`).

Audio is decoded in a bounded pool of threads, a slice of each connection at a time: the pool's queue is first come,
first served, so a client that sends minutes at once cannot hold up one that speaks live.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from asr.batch import ChannelReader
from asr.blocks import BYTES_PER_SAMPLE, bytes_of
from asr.capacity import SpeedMeter, capacity
from asr.protocol import (
    HEALTH_PATH,
    Config,
    Health,
    parse_command,
    serialize_partial,
    serialize_result,
)
from asr.recognizer import Final, RecognitionEvent, RecognitionStream, Recognizer
from asr.resample import open_stream_at
from asr.site import site_recognizer
from hotline.errors import ConfigurationError, HotlineError, InvalidInputError, ProtocolError
from hotline.settings import Settings

log = logging.getLogger(__name__)
connection_log = logging.getLogger(f"{__name__}.connections")
connection_log.setLevel(logging.WARNING)  # websockets tells of every connection

SLICE_MS = 200
WARM_UP_PROMPT = "notice.wav"
WARM_UP_PIECES = 4
CLOSE_TIMEOUT_S = 1.0
T = TypeVar("T")


def serve_recognizer(
    settings: Settings, stop: threading.Event, *, on_listening: Callable[[int], None] | None = None
) -> None:
    """Loads the site's model and serves it until `stop` is set; blocks. `on_listening` is told the port.

    Raises `ConfigurationError` for a model that cannot be used or an address that cannot be bound.
    """
    server = load_server(settings)
    server.run(settings.asr.address, settings.asr.port, stop, on_listening=on_listening)


def load_server(settings: Settings) -> "RecognizerServer":
    """A server of the site's model, warm; raises `ConfigurationError` for a model that cannot be used."""
    server = RecognizerServer(
        site_recognizer(settings),
        threads=settings.asr.threads,
        max_connections=settings.asr.max_connections,
        max_message_bytes=settings.asr.max_message_bytes,
    )
    server.warm_up(settings.flow.prompts_dir / WARM_UP_PROMPT)
    return server


class RecognizerServer:
    """Serves one recognizer to many connections."""

    def __init__(self, recognizer: Recognizer, *, threads: int, max_connections: int, max_message_bytes: int) -> None:
        self._recognizer = recognizer
        self._max_connections = max_connections
        self._max_message_bytes = max_message_bytes
        self._connections = 0
        self._stopping = False
        self._threads = min(threads, len(os.sched_getaffinity(0)))
        self._speed = SpeedMeter()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def warm_up(self, wav_path: Path) -> None:
        """Decodes a few seconds of speech, so that the first caller waits for no page of the model and the speed is
        known. Without the file, or for an engine that fails, nothing."""
        try:
            with ChannelReader(wav_path, 0) as audio:
                pcm, rate = b"".join(islice(audio, WARM_UP_PIECES)), audio.sample_rate
        except HotlineError as error:
            log.warning("no warming up: %s", error)
            return
        for _ in range(2):  # the second time tells the speed
            began = time.process_time()  # others on the machine may be busy now and not later
            stream = open_stream_at(self._recognizer, rate)
            stream.accept(pcm)
            stream.finish()
            spent = time.process_time() - began
        self._speed.warmed_up(audio_s=max(0.1, len(pcm) / BYTES_PER_SAMPLE / rate), decode_s=spent)

    def health(self) -> Health:
        """How it is now; from any thread."""
        rtf = self._speed.rtf
        return Health(
            model=self._recognizer.model,
            connections=self._connections,
            rtf=rtf,
            capacity=capacity(rtf, threads=self._threads, most=self._max_connections),
        )

    def run(
        self, address: str, port: int, stop: threading.Event, *, on_listening: Callable[[int], None] | None = None
    ) -> None:
        """Serves until `stop` is set and is gone within 2 s of it; port 0 takes a free one."""
        asyncio.run(self._run(address, port, stop, on_listening))

    async def _run(
        self, address: str, port: int, stop: threading.Event, on_listening: Callable[[int], None] | None
    ) -> None:
        with self._pool:
            try:
                server = await serve(
                    self._serve,
                    address,
                    port,
                    process_request=self._answer_health,
                    max_size=self._max_message_bytes,
                    compression=None,  # speech does not compress
                    max_queue=4,  # messages in memory for each connection
                    close_timeout=CLOSE_TIMEOUT_S,
                    logger=connection_log,
                )
            except OSError as error:
                raise ConfigurationError(f"the recognizer cannot listen on {address}:{port}: {error}") from error
            async with server:
                listening = next(iter(server.sockets)).getsockname()[1]
                self._announce(address, listening)
                if on_listening is not None:
                    on_listening(listening)
                await _wait(stop)
                self._stopping = True
                server.close(reason="the recognizer is stopping")

    def _announce(self, address: str, port: int) -> None:
        model = self._recognizer.model
        log.info("model %s (%s) listens on %s:%d", model.name, model.engine, address, port)
        if model.demo:
            log.warning("demo model: does not understand real people")

    def _answer_health(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != HEALTH_PATH:
            return None
        body = self.health().serialize().encode()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
        return Response(200, "OK", headers, body)

    async def _serve(self, connection: ServerConnection) -> None:
        if self._connections >= self._max_connections:
            reason = f"the recognizer holds {self._connections} streams and takes no more"
            await connection.close(CloseCode.TRY_AGAIN_LATER, reason)
            return
        self._connections += 1
        try:
            await self._converse(connection)
        except ConnectionClosed:
            pass
        except ProtocolError as error:
            log.warning("client %s: %s", connection.remote_address, error.message)
            await connection.close(CloseCode.POLICY_VIOLATION, error.message)
        finally:
            self._connections -= 1

    async def _converse(self, connection: ServerConnection) -> None:
        """One stream: an optional config, audio, eof."""
        stream: RecognitionStream | None = None
        config = Config()
        replies = Replies()
        async for message in connection:
            if isinstance(message, bytes):
                if stream is None:
                    stream = await self._open(config)
                size = bytes_of(SLICE_MS, config.sample_rate)
                events: list[RecognitionEvent] = []
                for at in range(0, len(message), size):
                    if self._stopping:
                        return
                    piece = message[at : at + size]
                    found, spent = await self._decode(partial(timed, stream.accept, piece))
                    events += found
                    self._speed.add(audio_s=len(piece) / BYTES_PER_SAMPLE / config.sample_rate, decode_s=spent)
                await connection.send(replies.after(events))
                continue
            command = parse_command(message)
            if isinstance(command, Config):
                if stream is not None:
                    raise ProtocolError("config after audio")
                config, replies = command, Replies(times=command.words)
                continue
            await connection.send(replies.last([] if stream is None else await self._decode(stream.finish)))
            return

    async def _open(self, config: Config) -> RecognitionStream:
        try:
            return await self._decode(partial(open_stream_at, self._recognizer, config.sample_rate, config.phrases))
        except InvalidInputError as error:  # the client's phrases
            raise ProtocolError(error.message) from error

    async def _decode(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


class Replies:
    """Events of a stream as the protocol's replies: exactly one for each message of audio."""

    def __init__(self, *, times: bool = True) -> None:
        self._partial = ""
        self._times = times

    def after(self, events: list[RecognitionEvent]) -> str:
        """The reply to a message of audio; a long one that ended several utterances gets them as one."""
        for event in events:
            self._partial = "" if isinstance(event, Final) else event.text
        words = [word for event in events if isinstance(event, Final) for word in event.words]
        return serialize_result(words, times=self._times) if words else serialize_partial(self._partial)

    def last(self, events: list[RecognitionEvent]) -> str:
        """The reply to eof."""
        words = [word for event in events if isinstance(event, Final) for word in event.words]
        return serialize_result(words, times=self._times)


def timed(work: Callable[[bytes], T], pcm: bytes) -> tuple[T, float]:
    """What `work` makes of the audio, and the seconds it took."""
    began = time.perf_counter()
    return work(pcm), time.perf_counter() - began


async def _wait(stop: threading.Event) -> None:
    """Waits for an event of another thread or a signal handler."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def watch() -> None:
        stop.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server failed before it was stopped
            loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=watch, name="stop", daemon=True).start()
    await stopped.wait()
