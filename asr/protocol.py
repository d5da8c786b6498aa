"""The messages of vosk-server's WebSocket protocol. Pure.

Client: {"config": {"sample_rate": 8000, "words": true, "phrase_list": [text], "max_alternatives": 0}}, each key
optional, binary s16le mono audio, {"eof" : 1}. Server: one reply for each binary message and for eof:
{"partial": text} or {"result": [{"word", "start", "end", "conf"}], "text": text}, times in seconds from the start of
the connection, no "result" where the client wants no words. Source: github.com/alphacep/vosk-server,
websocket/asr_server.py.

We give one hypothesis, so a client that asks for alternatives is refused; so is one that wants another model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr.recognizer import Final, ModelInfo, Partial, RecognitionEvent, Word
from asr.text import join_words
from hotline.errors import ProtocolError

HEALTH_PATH = "/health"
DEFAULT_RATE = 8000
MIN_RATE, MAX_RATE = 8000, 48_000
EOF = '{"eof" : 1}'  # to the letter: vosk-server compares text
UNKNOWN_WORDS = ("[unk]", "<unk>")
MAX_PHRASES, MAX_PHRASE_LENGTH = 10_000, 200


@dataclass(frozen=True)
class Config:
    """The client's audio, in Hz, the phrases it expects, and whether it wants words with their times."""

    sample_rate: int = DEFAULT_RATE
    phrases: tuple[str, ...] = ()
    words: bool = True

    def serialize(self) -> str:
        config: dict[str, Any] = {"sample_rate": self.sample_rate, "words": self.words, "max_alternatives": 0}
        if self.phrases:
            config["phrase_list"] = list(self.phrases)
        return json.dumps({"config": config}, ensure_ascii=False)


@dataclass(frozen=True)
class Eof:
    """No more audio: the last words, please."""


@dataclass(frozen=True)
class Health:
    """What a recognizer process says of itself, at `HEALTH_PATH` and on the bus.

    `rtf`: seconds of decoding per second of audio, None before any; `capacity`: streams in real time that it bears.
    """

    model: ModelInfo
    connections: int
    rtf: float | None = None
    capacity: int | None = None

    def state(self) -> dict[str, Any]:
        """As plain data."""
        model = {"name": self.model.name, "engine": self.model.engine, "demo": self.model.demo}
        return {
            "status": "ok",
            "model": model,
            "connections": self.connections,
            "rtf": None if self.rtf is None else round(self.rtf, 4),
            "capacity": self.capacity,
        }

    def serialize(self) -> str:
        return json.dumps(self.state(), ensure_ascii=False)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Health":
        """The inverse of `state`; raises `ProtocolError`."""
        try:
            model = state["model"]
            rtf, capacity = state.get("rtf"), state.get("capacity")
            return cls(
                model=ModelInfo(name=str(model["name"]), engine=str(model["engine"]), demo=bool(model["demo"])),
                connections=int(state["connections"]),
                rtf=None if rtf is None else float(rtf),
                capacity=None if capacity is None else int(capacity),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ProtocolError("not a recognizer's health answer") from error

    @classmethod
    def parse(cls, text: str | bytes) -> "Health":
        """The inverse of `serialize`; raises `ProtocolError`."""
        try:
            return cls.of(_object(text))
        except ProtocolError as error:
            raise ProtocolError("not a recognizer's health answer") from error


def parse_command(text: str) -> Config | Eof:
    """A client's text message; raises `ProtocolError`."""
    raw = _object(text)
    if raw.get("eof"):
        return Eof()
    config = raw.get("config")
    if not isinstance(config, dict):
        raise ProtocolError("neither config nor eof")
    return Config(sample_rate=_sample_rate(config), phrases=_phrases(config.get("phrase_list")), words=_words(config))


def _sample_rate(config: dict[str, Any]) -> int:
    try:
        rate = int(config.get("sample_rate", DEFAULT_RATE))
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError("sample_rate is no number") from error
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ProtocolError(f"sample_rate {rate} is not within {MIN_RATE}-{MAX_RATE}")
    return rate


def _phrases(raw: object) -> tuple[str, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list) or len(raw) > MAX_PHRASES:
        raise ProtocolError(f"phrase_list is no list of at most {MAX_PHRASES} phrases")
    if not all(isinstance(item, str) and 0 < len(item.strip()) <= MAX_PHRASE_LENGTH for item in raw):
        raise ProtocolError(f"phrase_list holds what is no phrase of at most {MAX_PHRASE_LENGTH} characters")
    return tuple(raw)


def _words(config: dict[str, Any]) -> bool:
    if config.get("max_alternatives", 0) != 0:
        raise ProtocolError("max_alternatives is not 0: this recognizer gives one hypothesis")
    if "model" in config:
        raise ProtocolError("model is not taken: this recognizer has one")
    return bool(config.get("words", True))


def serialize_partial(text: str) -> str:
    """The reply while an utterance goes on."""
    return json.dumps({"partial": text}, ensure_ascii=False)


def serialize_result(words: Sequence[Word], *, times: bool = True) -> str:
    """The reply when an utterance ended; without words, or `times`, it has only a text, as vosk-server's."""
    text = " ".join(word.text for word in words)
    if not words or not times:
        return json.dumps({"text": text}, ensure_ascii=False)
    result = [
        {"word": word.text, "start": word.start_ms / 1000, "end": word.end_ms / 1000, "conf": word.confidence}
        for word in words
    ]
    return json.dumps({"result": result, "text": text}, ensure_ascii=False)


def parse_reply(text: str) -> RecognitionEvent | None:
    """A server's reply, None where nothing is being said; raises `ProtocolError`."""
    raw = _object(text)
    try:
        if "partial" in raw:
            partial = join_words(known(str(raw["partial"]).split()))
            return Partial(partial) if partial else None
        words = words_of(raw.get("result", []))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ProtocolError(f"not a recognizer's reply: {len(text)} characters") from error
    if words:
        return Final(words)
    if raw.get("text") != "" and "result" not in raw:
        raise ProtocolError(f"a reply without word times: {len(text)} characters")
    return None


def known(words: Sequence[str]) -> list[str]:
    """The words that a model knows: outside its phrases it says that it heard something."""
    return [word for word in words if word not in UNKNOWN_WORDS]


def words_of(result: list[dict[str, Any]]) -> tuple[Word, ...]:
    """Kaldi's words ({"word", "start", "end", "conf"}, seconds) as `Word`s.

    Raises `ValueError`, `KeyError`, `TypeError` or `OverflowError` for what is none. Rounding may put
    a confidence just outside 0-1 or an end before its start; both are brought back.
    """
    words = []
    for item in result:
        if item["word"] in UNKNOWN_WORDS:
            continue
        start_ms = max(0, round(float(item["start"]) * 1000))
        words.append(
            Word(
                text=str(item["word"]),
                start_ms=start_ms,
                end_ms=max(start_ms, round(float(item["end"]) * 1000)),
                confidence=min(1.0, max(0.0, float(item.get("conf", 1.0)))),
            )
        )
    return tuple(words)


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        raw = json.loads(text)
        json.dumps(raw, ensure_ascii=False).encode()  # JSON may hold halves of surrogate pairs, text may not
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(raw, dict):
        raise ProtocolError("not a JSON object")
    return raw
