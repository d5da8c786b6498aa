import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.protocol import (
    EOF,
    Config,
    Eof,
    Health,
    parse_command,
    parse_reply,
    serialize_partial,
    serialize_result,
)
from asr.recognizer import Final, ModelInfo, Partial, Word
from hotline.errors import ProtocolError

texts = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
words = st.builds(
    lambda text, start, length, confidence: Word(text, start, start + length, confidence),
    texts,
    st.integers(0, 10**7),
    st.integers(0, 10**5),
    st.floats(0, 1),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
keyed = st.dictionaries(st.sampled_from(["result", "partial", "text", "config", "eof", "word", "start"]), json_values)


@given(st.builds(Config, st.integers(8000, 48_000), st.lists(texts, max_size=3).map(tuple), st.booleans()))
def test_config_round_trips(config: Config) -> None:
    assert parse_command(config.serialize()) == config


def test_eof_is_written_as_vosk_server_compares_it() -> None:
    assert EOF == '{"eof" : 1}'


def test_what_a_model_does_not_know_is_no_word() -> None:
    assert parse_reply('{"partial": "[unk] 路灯 [unk]"}') == Partial("路灯")
    assert parse_reply('{"result": [{"word": "[unk]", "start": 0, "end": 1}], "text": "[unk]"}') is None


def test_eof_round_trips() -> None:
    assert parse_command(EOF) == Eof()


@given(st.lists(words, min_size=1, max_size=6))
def test_a_result_round_trips(spoken: list[Word]) -> None:
    assert parse_reply(serialize_result(spoken)) == Final(tuple(spoken))


@given(texts)
def test_a_partial_round_trips(text: str) -> None:
    assert parse_reply(serialize_partial(text)) == Partial(text)


@pytest.mark.parametrize("reply", ['{"partial": ""}', '{"text": ""}', '{"partial": "  "}'])
def test_a_reply_without_speech_is_no_event(reply: str) -> None:
    assert parse_reply(reply) is None


def test_a_stock_servers_partial_loses_the_spaces_between_chinese_words() -> None:
    assert parse_reply('{"partial" : "您好 我 姓张 wifi box"}') == Partial("您好我姓张wifi box")


def test_confidence_and_ends_beside_their_range_are_brought_back() -> None:
    reply = {"result": [{"word": "好", "start": 1.0, "end": 0.9, "conf": 1.0000001}], "text": "好"}
    assert parse_reply(json.dumps(reply)) == Final((Word("好", 1000, 1000, 1.0),))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "3",
        "<html>",
        "{}",
        '{"text": "您好"}',
        '{"result": [{"word": "好"}]}',
        '{"result": 3}',
        '{"result": [{"word": "", "start": 0, "end": 1}]}',
        '{"result": [{"word": "好", "start": NaN, "end": 1}]}',
        '{"result": [{"word": "好", "start": Infinity, "end": 1}]}',
    ],
)
def test_a_reply_that_is_none_is_a_protocol_error(reply: str) -> None:
    with pytest.raises(ProtocolError):
        parse_reply(reply)


@pytest.mark.parametrize(
    "reply",
    ['{"text": "我叫张三"}', '{"result": [{"word": "我叫张三"}]}', '{"result": [{"word": "张三", "start": "张三"}]}'],
)
def test_a_refused_reply_does_not_tell_what_was_said(reply: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_reply(reply)
    assert "张三" not in str(refused.value)


@pytest.mark.parametrize(
    "reply",
    [
        r'{"partial": "\ud800"}',
        r'{"result": [{"word": "\udfff", "start": 0, "end": 1}]}',
        r'{"model": {"name": "\ud800", "engine": "vosk", "demo": false}, "connections": 0}',
    ],
)
def test_half_a_character_is_refused(reply: str) -> None:
    for parse in (parse_reply, Health.parse):
        with pytest.raises(ProtocolError):
            parse(reply)


@given(st.text(max_size=50) | keyed.map(json.dumps) | json_values.map(json.dumps))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for parse in (parse_reply, parse_command, Health.parse):
        with contextlib.suppress(ProtocolError):
            parse(text)


def test_health_round_trips() -> None:
    health = Health(model=ModelInfo(name="模型", engine="vosk", demo=True), connections=3)
    assert Health.parse(health.serialize()) == health
