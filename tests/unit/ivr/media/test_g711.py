"""The tables against CPython 3.11's audioop, an independent implementation of G.711."""

import warnings

import numpy as np
import pytest

from ivr.media import g711
from ivr.media.types import Codec

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = pytest.importorskip("audioop", reason="removed from Python 3.13")

CODES = bytes(range(256))
SAMPLES = np.arange(65536, dtype=np.uint16).view(np.int16)


@pytest.mark.parametrize(("codec", "reference"), [(Codec.PCMU, audioop.ulaw2lin), (Codec.PCMA, audioop.alaw2lin)])
def test_every_code_decodes_as_the_reference_does(codec, reference):
    assert g711.decode(CODES, codec=codec).tobytes() == reference(CODES, 2)


@pytest.mark.parametrize(("codec", "reference"), [(Codec.PCMU, audioop.lin2ulaw), (Codec.PCMA, audioop.lin2alaw)])
def test_every_sample_encodes_as_the_reference_does(codec, reference):
    assert g711.encode(SAMPLES, codec=codec) == reference(SAMPLES.tobytes(), 2)


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_coding_again_changes_nothing(codec):
    once = g711.decode(g711.encode(SAMPLES, codec=codec), codec=codec)
    assert np.array_equal(g711.decode(g711.encode(once, codec=codec), codec=codec), once)


def test_silence_is_the_octet_of_zero():
    assert [int(octet) for octet in g711.SILENCE] == [0xFF, 0xD5]
    assert g711.SILENT.tolist() == [
        int(g711.decode(bytes([octet]), codec=codec)[0])
        for octet, codec in zip(g711.SILENCE, (Codec.PCMU, Codec.PCMA), strict=True)
    ]


def test_calls_of_both_laws_are_coded_at_once_as_each_alone():
    codecs = (Codec.PCMA, Codec.PCMU, Codec.PCMA)
    laws = np.array([g711.law(codec) for codec in codecs], np.uint8)
    payloads = np.random.default_rng(3).integers(0, 256, (3, 160), np.uint8)
    samples = g711.decode_frames(payloads, laws=laws)
    octets = g711.encode_frames(np.ascontiguousarray(samples[::-1]), laws=laws)
    for codec, payload, row in zip(codecs, payloads, samples, strict=True):
        assert np.array_equal(row, g711.decode(payload.tobytes(), codec=codec))
    for codec, row, encoded in zip(codecs, samples[::-1], octets, strict=True):
        assert encoded.tobytes() == g711.encode(row, codec=codec)
