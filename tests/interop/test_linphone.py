"""Linphone on the desks: it signs in with SHA-256 where it may, and transfers with consultation."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from linphone_rig import Linphone
from numpy.typing import NDArray
from office_rig import SETTINGS, add_extensions, secret

from demo.media_process import MediaProcess
from demo.phone import write_audio

MEDIA_SETTINGS = SETTINGS | {"HOTLINE_EXTENSIONS__ALGORITHMS": '["SHA-256", "MD5"]'}
Phones = Callable[..., list[Linphone]]


@pytest.fixture(scope="module", autouse=True)
def _extensions(media: MediaProcess) -> None:
    add_extensions(media)


@pytest.fixture
def phones(
    media: MediaProcess, program: Callable[[str, str], str], tmp_path: Path, utterance: NDArray[np.int16]
) -> Iterator[Phones]:
    """Makes signed-in phones, one an extension."""
    linphonec = program("linphonec", "linphone-cli")
    write_audio(tmp_path / "voice.wav", utterance)
    made: list[Linphone] = []

    def make(*names: str) -> list[Linphone]:
        for name in names:
            host = f"127.0.0.{30 + len(made)}"
            (folder := tmp_path / name).mkdir()
            own = {"name": name, "host": host, "secret": secret(name), "voice": tmp_path / "voice.wav"}
            made.append(Linphone(linphonec, folder, media, **own))
        for phone in made:
            phone.start()
        return made

    yield make
    for each in made:
        each.close()


def test_an_extension_calls_presses_keys_holds_and_hangs_up(media: MediaProcess, phones: Phones) -> None:
    (phone,) = phones("8001")
    phone.call("12345")
    phone.wait("Media streams established")
    for digit in "42#":
        phone.type(digit)
        time.sleep(0.3)
    phone.type("pause")
    phone.wait("Call 1 with .* paused")
    phone.type("resume")
    phone.wait("Media streams established")
    time.sleep(1.0)
    phone.type("terminate")
    phone.wait("Call 1 with .* ended")
    (call,) = media.calls_of("8001")
    assert [line["digit"] for line in call.journal if line["kind"] == "digit"] == ["4", "2", "#"]
    assert [line["kind"] for line in call.journal if line["kind"] in ("held", "resumed")] == ["held", "resumed"]
    assert np.abs(call.channels()[:, 0]).max() > 3000


def test_a_desk_asks_a_third_one_and_joins_the_two(media: MediaProcess, phones: Phones) -> None:
    one, two, three = phones("8001", "8002", "8003")
    before = len(media.calls_of("8001", count=0))
    one.call("8002")
    two.wait("Receiving new incoming call")
    two.type("answer")
    one.wait("Media streams established")
    two.type("pause")
    two.wait("Call 1 with .* paused")
    two.call("8003")
    three.wait("Receiving new incoming call")
    three.type("answer")
    two.wait("Media streams established")
    two.type("transfer 1 --to-call 2")
    two.wait("ended")
    two.wait("ended")
    time.sleep(1.0)
    three.type("terminate")
    one.wait("ended")
    call = media.calls_of("8001", count=before + 1)[-1]
    joined = [line["party"] for line in call.journal if line["kind"] == "joined"]
    assert joined[0] == "8002"
    assert call.first("transferred")
    assert call.first("ended")
