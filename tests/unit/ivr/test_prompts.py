import wave
from pathlib import Path

import numpy as np
import pytest

from hotline.errors import ConfigurationError
from hotline.settings import FlowSettings
from ivr.prompts import PromptLibrary

BUNDLED = FlowSettings().prompts_dir


def write_wav(path: Path, frames: int = 800, *, rate: int = 8000, channels: int = 1, width: int = 2) -> None:
    with wave.open(str(path), "wb") as wav:
        wav.setparams((channels, width, rate, 0, "NONE", ""))
        wav.writeframes(bytes(frames * channels * width))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts.tsv").write_text("name\ttext\nhello\t您好，“喂”\nbeep\t\ndigit_1\t幺\n", encoding="utf-8")
    for name in ("hello", "beep", "digit_1"):
        write_wav(tmp_path / f"{name}.wav")
    return tmp_path


@pytest.fixture(scope="module")
def bundled() -> PromptLibrary:
    return PromptLibrary.load(BUNDLED)


def test_text_and_samples_come_from_the_folder(folder: Path) -> None:
    library = PromptLibrary.load(folder)
    assert library.names == ("hello", "beep", "digit_1")
    assert library.text("hello") == "您好，“喂”"
    assert library.text("beep") == ""
    assert library.samples("hello").dtype == np.int16
    assert len(library.samples("hello")) == 800


def test_samples_can_not_be_changed_by_a_call(folder: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        PromptLibrary.load(folder).samples("hello")[0] = 1


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ({"rate": 16000}, "16000 Hz"),
        ({"channels": 2}, "2 channels"),
        ({"width": 1}, "8 bits"),
        ({"frames": 31 * 8000}, "31.0 s long"),
        ({"frames": 0}, "0.0 s long"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(folder: Path, shape: dict[str, int], fault: str) -> None:
    write_wav(folder / "hello.wav", **shape)
    with pytest.raises(ConfigurationError, match=rf"hello\.wav.*{fault}"):
        PromptLibrary.load(folder)


def test_all_faults_are_told_at_once(folder: Path) -> None:
    (folder / "hello.wav").unlink()
    (folder / "beep.wav").write_bytes(b"RIFF and nothing of a sound")
    with pytest.raises(ConfigurationError, match=r"hello\.wav.*beep\.wav"):
        PromptLibrary.load(folder)


def test_a_file_cut_short_is_refused(folder: Path) -> None:
    data = (folder / "hello.wav").read_bytes()
    (folder / "hello.wav").write_bytes(data[:-100])
    with pytest.raises(ConfigurationError, match=r"hello\.wav: cut short"):
        PromptLibrary.load(folder)


@pytest.mark.parametrize(
    ("listed", "fault"),
    [
        ("name\ttext\n", "lists no prompt"),
        ("name\ttext\nhello\ta\nhello\tb\n", "line 3: hello is there twice"),
        ("name\ttext\nhello\n", "line 2"),
        ("name\ttext\n../secret\tx\n", "line 2"),
        ("nothing here", "lists no prompt"),
    ],
)
def test_a_wrong_list_is_named_with_its_line(folder: Path, listed: str, fault: str) -> None:
    (folder / "prompts.tsv").write_text(listed, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=fault):
        PromptLibrary.load(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        PromptLibrary.load(tmp_path / "nowhere")


def test_a_list_in_another_encoding_is_refused(folder: Path) -> None:
    (folder / "prompts.tsv").write_bytes("name\ttext\nhello\t您好\n".encode("gb18030"))
    with pytest.raises(ConfigurationError, match=r"prompts\.tsv"):
        PromptLibrary.load(folder)


def test_unknown_names_are_all_told(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="no prompt named bye, thanks"):
        PromptLibrary.load(folder).require(["thanks", "hello", "bye"])


def test_ticket_number_is_spelled_letter_by_letter_and_digit_by_digit(bundled: PromptLibrary) -> None:
    assert bundled.spell("YQ 20-7") == ["letter_y", "letter_q", "digit_2", "digit_0", "digit_7"]
    assert "".join(bundled.text(name) for name in bundled.spell("yq13")) == "YQ幺三"


@pytest.mark.parametrize("value", ["工单", "1.5", "²", "１"])
def test_what_has_no_prompt_is_not_spelled(bundled: PromptLibrary, value: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be spelled"):
        bundled.spell(value)


def test_bundled_set_is_complete(bundled: PromptLibrary) -> None:
    bundled.require(
        ["notice", "say_demand", "no_speech", "registering", "number_is", "lookup_is", "registered_without_number"]
    )
    bundled.require(["thanks", "goodbye_no_speech", "repeat", "beep"])
    bundled.require(bundled.spell("abcdefghijklmnopqrstuvwxyz0123456789"))


def test_bundled_notice_is_short(bundled: PromptLibrary) -> None:
    assert len(bundled.samples("notice")) <= 7.5 * 8000


def test_bundled_speech_is_trimmed_and_equally_loud(bundled: PromptLibrary) -> None:
    for name in set(bundled.names) - {"hold_music"}:
        audio = bundled.samples(name) / 32768
        blocks = np.sqrt((audio[: len(audio) // 80 * 80].reshape(-1, 80) ** 2).mean(axis=1))
        loud = np.flatnonzero(blocks > blocks.max() * 0.01)
        assert 4 <= loud[0] <= 8, f"{name}: {loud[0] * 10} ms of silence before"
        assert 4 <= len(blocks) - loud[-1] - 1 <= 8, f"{name}: silence after"
        spoken = blocks[blocks > blocks.max() * 10 ** (-25 / 20)]
        assert -19.5 < 20 * np.log10(np.sqrt((spoken**2).mean())) < -17.5, name
        assert np.abs(audio).max() < 0.9, f"{name} is near clipping"


def test_bundled_digits_are_about_a_third_of_a_second(bundled: PromptLibrary) -> None:
    for name in bundled.spell("0123456789"):
        assert 0.30 <= len(bundled.samples(name)) / 8000 <= 0.42, name
