"""A recognizer in another process, ours or any vosk-server, as a `Recognizer`."""

from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from asr.block_stream import BlockStream
from asr.blocks import BLOCK_MS
from asr.protocol import EOF, HEALTH_PATH, Config, Health, parse_reply
from asr.recognizer import Capabilities, ModelInfo, Partial, RecognitionEvent, RecognitionStream
from hotline.errors import ConfigurationError, ProtocolError, UnavailableError

TIMEOUT_S = 10.0
MAX_HEALTH_BYTES = 65_536


def check_url(url: str) -> str:
    """`url` where it is a ws:// or wss:// address with a host; raises `ConfigurationError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConfigurationError(f"not a recognizer's address: {url!r}", hint="it looks like ws://host:2700")
    return url


def read_remote_model(url: str, *, timeout_s: float = TIMEOUT_S) -> ModelInfo:
    """Which model answers at `url`; a stock vosk-server does not say and is named by its address.

    Raises `UnavailableError` where nothing answers.
    """
    parts = urlsplit(check_url(url))
    connection_type = HTTPSConnection if parts.scheme == "wss" else HTTPConnection
    connection = connection_type(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", HEALTH_PATH)
        response = connection.getresponse()
        if response.status == 200:
            return Health.parse(response.read(MAX_HEALTH_BYTES)).model
    except (HTTPException, ProtocolError):
        pass
    except OSError as error:
        raise UnavailableError(f"no recognizer answers at {url}: {error}") from error
    finally:
        connection.close()
    return ModelInfo(name=parts.netloc, engine="vosk-server", demo=False)


class RemoteRecognizer:
    """Opens a connection for each stream."""

    def __init__(
        self, url: str, *, sample_rate: int = 8000, timeout_s: float = TIMEOUT_S, block_ms: int = BLOCK_MS
    ) -> None:
        """`sample_rate` is that of the audio: the server brings it to its model's. Raises `UnavailableError`."""
        self._url = url
        self._timeout_s = timeout_s
        self._block_ms = block_ms
        self.model = read_remote_model(url, timeout_s=timeout_s)
        self.capabilities = Capabilities(
            streaming=True, word_times=True, confidence=True, hotwords=False, sample_rate=sample_rate
        )

    def open_stream(self, phrases: Sequence[str] = ()) -> RecognitionStream:
        """Raises `UnavailableError` where the recognizer is away or full.

        It takes phrases as its own model does; one that cannot closes the connection at the first audio.
        """
        config = Config(self.capabilities.sample_rate, phrases=tuple(phrases))
        return RemoteStream(self._url, config, timeout_s=self._timeout_s, block_ms=self._block_ms)


class RemoteStream(BlockStream):
    """One connection: a block of audio goes out, its reply comes back. Closed by `finish` or the first failure.

    `accept` and `finish` raise `UnavailableError` where it breaks, `ProtocolError` for a reply that is none.
    """

    def __init__(self, url: str, config: Config, *, timeout_s: float, block_ms: int) -> None:
        super().__init__(config.sample_rate, block_ms=block_ms)
        self._url = url
        self._timeout_s = timeout_s
        self._shown: RecognitionEvent | None = None
        self._stack = ExitStack()
        try:
            self._connection = self._stack.enter_context(
                connect(url, open_timeout=timeout_s, close_timeout=1, compression=None, proxy=None)
            )
            self._connection.send(config.serialize())
        except (OSError, WebSocketException) as error:
            self._stack.close()
            raise UnavailableError(f"no recognizer answers at {url}: {error}") from error

    def _hear(self, block: bytes) -> list[RecognitionEvent]:
        return self._ask(block)

    def _end(self) -> list[RecognitionEvent]:
        events = self._ask(EOF)
        self._stack.close()
        return events

    def _ask(self, message: bytes | str) -> list[RecognitionEvent]:
        try:
            self._connection.send(message)
            event = parse_reply(str(self._connection.recv(self._timeout_s)))
        except (OSError, WebSocketException) as error:  # a TimeoutError is an OSError
            self._stack.close()
            raise UnavailableError(f"the recognizer at {self._url} went away: {error}") from error
        except ProtocolError:
            self._stack.close()
            raise
        if event is None or (isinstance(event, Partial) and event == self._shown):
            return []
        self._shown = event
        return [event]
