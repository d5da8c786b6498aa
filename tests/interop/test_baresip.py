"""baresip as a citizen's phone and on the desks: codecs, keys, hold, transfer, several phones of one extension."""

import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from baresip_rig import MODULES, Baresip
from numpy.typing import NDArray
from office_rig import SETTINGS, TRUNK, add_extensions, secret

from demo.compare import caller_channel_matches
from demo.g711 import Law, decode, encode
from demo.media_process import MediaProcess
from ivr.media import g711
from ivr.media.g722 import G722Decoder, G722Encoder
from ivr.media.types import Codec

MEDIA_SETTINGS = SETTINGS | {"HOTLINE_MEDIA__CODECS": '["PCMA", "PCMU", "G722"]'}
Phones = Callable[..., Baresip]


def voice_of(name: str, law: Law = Law.PCMA) -> NDArray[np.int16]:
    """Three seconds that nobody else says, and that the codec leaves as they are."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).normal(0, 4000, 24000)
    return decode(encode(np.clip(noise, -30000, 30000).astype(np.int16), law), law)


@pytest.fixture(scope="module", autouse=True)
def _extensions(media: MediaProcess) -> None:
    add_extensions(media)


@pytest.fixture
def phone(media: MediaProcess, program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Phones]:
    """Makes phones; an extension's registers."""
    baresip = program("baresip", "baresip-core")
    if not (MODULES / "aufile.so").is_file():
        pytest.skip(f"no baresip modules in {MODULES} (Debian package baresip-core)")
    made: list[Baresip] = []

    def make(name: str, **more: Any) -> Baresip:
        number = len(made)
        given = {"voice": voice_of(name), "host": f"127.0.0.{20 + number}", "secret": secret(name), **more}
        made.append(Baresip(baresip, tmp_path / f"phone{number}", media, name=name, **given))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.close()


def kinds(call: Any, *wanted: str) -> list[str]:
    return [line["kind"] for line in call.journal if line["kind"] in wanted]


def test_citizens_calls_in_both_laws_are_recorded_sample_by_sample(media: MediaProcess, phone: Phones) -> None:
    numbers = {Law.PCMA: "13700000008", Law.PCMU: "13700000000"}
    citizens = {
        law: phone(number, host=TRUNK, secret="", voice=voice_of(number, law), codec=law.name)
        for law, number in numbers.items()
    }
    for citizen in citizens.values():
        citizen.dial("12345")
    time.sleep(3.5)
    for law, citizen in citizens.items():
        citizen.hang_up()
        (call,) = media.calls_of(citizen.name)
        opened, ended = call.first("opened"), call.first("ended")
        assert (opened["called"], opened["codec"]) == ("12345", law.name)
        assert ended["reason"] == "caller_hangup"
        stereo = call.channels()
        assert abs(len(stereo) / 8 - ended["duration_ms"]) <= 120, "but for the jitter buffer"
        match = caller_channel_matches(stereo[:, 0], citizen.voice)
        assert match.exact, match
        announced = g711.decode(g711.encode(stereo[4000:20000, 1], codec=Codec[law.name]), codec=Codec[law.name])
        assert np.abs(announced).max() > 3000
        announced[announced == 0] = 2  # as baresip decodes mu-law's zero
        assert citizen.hears(announced) > 0.9


def wide_voice(seed: int) -> NDArray[np.int16]:
    """Three seconds at 16 kHz, up to 7 kHz."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, 48000))
    spectrum[: 3 * 100] = spectrum[3 * 7000 :] = 0
    signal = np.fft.irfft(spectrum)
    return np.rint(signal / np.abs(signal).max() * 15000).astype(np.int16)


def band_db(samples: NDArray[np.int16], low: int, high: int) -> float:
    """The power of a band of a 16 kHz signal, in dB."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2 / len(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / 16000)
    return float(10 * np.log10(power[(frequency > low) & (frequency < high)].sum() + 1))


def test_a_wideband_call_is_recorded_as_its_decoder_makes_it(media: MediaProcess, phone: Phones) -> None:
    voice, number = wide_voice(1), "13700000722"
    citizen = phone(number, host=TRUNK, secret="", voice=voice, codec="G722/16000", rate=16000)
    citizen.dial("12345")
    time.sleep(3.5)
    citizen.hang_up()
    (call,) = media.calls_of(number)
    opened = call.first("opened")
    assert (opened["codec"], opened["sample_rate"]) == ("G722", 16000)
    stereo = call.channels(sample_rate=16000)
    assert abs(len(stereo) / 16 - call.first("ended")["duration_ms"]) <= 120, "but for the jitter buffer"
    sent = G722Decoder().decode(G722Encoder().encode(voice))
    # After half a second the coder has forgotten what was before the voice.
    match = caller_channel_matches(stereo[:, 0], sent[8000:])
    assert match.exact, match
    heard, announced = citizen.heard()[16000:32000], stereo[16000:32000, 1]
    assert np.abs(announced).max() > 3000
    assert band_db(heard, 300, 3300) == pytest.approx(band_db(announced, 300, 3300), abs=1.0)


def test_a_wideband_desk_and_a_narrowband_one_hear_each_other(media: MediaProcess, phone: Phones) -> None:
    wide = phone("8003", voice=wide_voice(2), codec="G722/16000", rate=16000)
    narrow = phone("8004")
    wide.do("dial", wide.address_of("8004"))
    narrow.accept()
    wide.wait("CALL_ESTABLISHED")
    time.sleep(2.0)
    wide.hang_up()
    narrow.wait("CALL_CLOSED")
    call = media.calls_of("8003")[-1]
    assert call.first("opened")["sample_rate"] == 16000
    heard = wide.heard()
    voiced = heard[np.flatnonzero(np.abs(heard) > 2000)[0] :][8000:24000]
    assert band_db(voiced, 300, 3300) > band_db(voiced, 4700, 7500) + 12, "G.722's noise alone"
    assert np.abs(narrow.heard()).max() > 4000
    lower = g711.decode(
        g711.encode(G722Decoder(rate=8000).decode(G722Encoder().encode(wide.voice)), codec=Codec.PCMA), codec=Codec.PCMA
    )
    assert narrow.hears(lower[4000:12000]) > 0.7, "but for the half second in which the coder forgets"


def test_keys_are_digits_and_hold_is_noted(media: MediaProcess, phone: Phones) -> None:
    citizen = phone("13700000009", host=TRUNK, secret="")
    citizen.dial("12345")
    citizen.press("4#")
    citizen.do("hold")
    time.sleep(0.2)
    citizen.do("resume")
    citizen.press("*0")
    citizen.hang_up()
    (call,) = media.calls_of("13700000009")
    assert [line["digit"] for line in call.journal if line["kind"] == "digit"] == ["4", "#", "*", "0"]
    assert kinds(call, "held", "resumed") == ["held", "resumed"]


def test_two_desks_hear_each_other_and_music_while_held(media: MediaProcess, phone: Phones) -> None:
    one, other = phone("8001"), phone("8002")
    one.do("dial", one.address_of("8002"))
    other.accept()
    one.wait("CALL_ESTABLISHED")
    time.sleep(1.0)
    other.do("hold")
    time.sleep(0.5)
    other.do("resume")
    time.sleep(0.3)
    one.hang_up()
    other.wait("CALL_CLOSED")
    (call,) = media.calls_of("8001")
    assert call.first("opened")["purpose"] == "internal"
    assert kinds(call, "joined", "held", "resumed", "left") == ["joined", "held", "resumed", "left", "left"]
    assert one.hears(other.voice[:5000]) > 0.8
    assert other.hears(one.voice[:5000]) > 0.8


def test_a_call_is_passed_on_to_a_third_desk(media: MediaProcess, phone: Phones) -> None:
    one, two, three = phone("8001"), phone("8002"), phone("8003")
    one.do("dial", one.address_of("8002"))
    two.accept()
    one.wait("CALL_ESTABLISHED")
    two.do("transfer", two.address_of("8003"))
    three.accept()
    two.wait("CALL_CLOSED")
    time.sleep(1.0)
    three.hang_up()
    one.wait("CALL_CLOSED")
    call = media.calls_of("8001", count=2)[-1]
    assert kinds(call, "joined", "transferred", "left") == ["joined", "joined", "transferred", "left", "left"]
    assert (call.first("transferred")["party"], call.first("transferred")["target"]) == ("8002", "8003")
    assert one.hears(three.voice[:5000]) > 0.8
    assert three.hears(one.voice) > 0.2


def test_all_phones_of_an_extension_ring_and_one_takes_the_call(phone: Phones) -> None:
    one, desk, mobile = phone("8001"), phone("8002"), phone("8002")
    one.do("dial", one.address_of("8002"))
    desk.wait("CALL_INCOMING")
    mobile.accept()
    desk.wait("CALL_CLOSED")
    one.wait("CALL_ESTABLISHED")
    mobile.hang_up()
    one.wait("CALL_CLOSED")


def test_a_phone_that_has_signed_out_does_not_ring(phone: Phones) -> None:
    one, gone = phone("8001"), phone("8004")
    gone.sign_out()
    one.do("dial", one.address_of("8004"))
    assert "480" in one.wait("CALL_CLOSED")["param"]


def test_a_desk_that_refuses_is_busy(phone: Phones) -> None:
    one, two = phone("8001"), phone("8002")
    one.do("dial", one.address_of("8002"))
    two.wait("CALL_INCOMING")
    two.hang_up()
    assert "486" in one.wait("CALL_CLOSED")["param"]


def test_a_wrong_secret_registers_nobody(phone: Phones) -> None:
    with pytest.raises(AssertionError, match="401"):
        phone("8003", secret="a guess", patience_s=1.0)
