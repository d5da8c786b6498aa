import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from hotline.errors import ConfigurationError, InvalidInputError
from hotline.settings_sections import FlowSettings
from ivr.announcements.check import check_prompts
from ivr.announcements.importer import import_prompt
from ivr.announcements.prompts import PromptLibrary, load_languages

BUNDLED = FlowSettings().prompts_dir
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


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


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("count:0", "零"),
        ("count:1", "一"),
        ("count:2", "两"),
        ("ordinal:2", "二"),
        ("count:10", "十"),
        ("count:12", "十二"),
        ("count:20", "二十"),
        ("count:21", "二十一"),
        ("count:100", "一百"),
        ("count:101", "一百零一"),
        ("count:110", "一百一十"),
        ("ordinal:215", "二百一十五"),
        ("count:999", "九百九十九"),
        ("count:1000", "幺零零零"),
        ("say:12", "幺二"),
        ("queue_place", "您现在排在第"),
    ],
)
def test_numbers_are_read_as_one_says_them(bundled: PromptLibrary, item: str, words: str) -> None:
    spoken = "".join(bundled.text(name) for name in bundled.expand(item))
    assert spoken == words


def test_the_transcript_of_an_item_is_its_text(bundled: PromptLibrary) -> None:
    assert bundled.words("count:12") == "12"
    assert bundled.words("goodbye") == "欢迎您再次来电，再见。"


def test_a_language_falls_back_prompt_by_prompt(folder: Path) -> None:
    own = folder / "zh"
    other = folder / "en"
    for path, text in ((own, "您好"), (other, "Hello")):
        path.mkdir()
        (path / "prompts.tsv").write_text(f"name\ttext\nhello\t{text}\n", encoding="utf-8")
        write_wav(path / "hello.wav", 800 if path is own else 1600)
    (own / "prompts.tsv").write_text("name\ttext\nhello\t您好\ndigit_1\t幺\ncount_10\t十\n", encoding="utf-8")
    write_wav(own / "digit_1.wav")
    write_wav(own / "count_10.wav")
    languages = load_languages(own)
    assert list(languages) == ["zh", "en"]
    assert languages["en"].text("hello") == "Hello"
    assert len(languages["en"].samples("hello")) == 1600
    assert languages["en"].text("digit_1") == "幺"
    assert languages["en"].expand("count:1") == ["digit_1"]  # numbers as Mandarin joins them are for Mandarin
    assert languages["zh"].text("hello") == "您好"


def test_bundled_folder_has_no_fault() -> None:
    assert check_prompts(BUNDLED) == []


def test_music_goes_round_without_a_jump(bundled: PromptLibrary) -> None:
    music = bundled.samples("hold_music").astype(int)
    assert abs(music[0] - music[-1]) <= np.abs(np.diff(music)).max()
    assert 20 * 8000 <= len(music) <= 30 * 8000


def tone(seconds: float, *, rate: int = 8000, level: float = 0.125, before: float = 0.06, after: float = 0.06) -> bytes:
    """A 400 Hz tone as s16le, `level` is its RMS; silence before and after in seconds."""
    wave_form = level * np.sqrt(2) * np.sin(2 * np.pi * 400 * np.arange(round(seconds * rate)) / rate)
    padded = np.pad(wave_form, (round(before * rate), round(after * rate)))
    return np.round(np.clip(padded, -1, 1) * 32767).astype("<i2").tobytes()


def write_sound(path: Path, data: bytes, *, rate: int = 8000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as wav:
        wav.setparams((channels, 2, rate, 0, "NONE", ""))
        wav.writeframes(data)
    return path


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        (tone(1), ""),
        (tone(1, level=0.02), "speech at -34.0 dBFS"),
        (tone(1, level=0.3), "speech at -10.5 dBFS"),
        (tone(1, level=2.0), "it clips"),
        (tone(1, before=0.5), "500 ms of silence before"),
        (tone(1, after=0.5), "500 ms of silence after"),
        (bytes(16000), "there is only silence"),
    ],
)
def test_a_prompt_that_sounds_wrong_is_told(folder: Path, sound: bytes, fault: str) -> None:
    for name in ("hello", "beep", "digit_1"):
        write_sound(folder / f"{name}.wav", tone(1))
    write_sound(folder / "hello.wav", sound)
    told = [f"{found.name}: {found.message}" for found in check_prompts(folder)]
    assert any(fault in item and item.startswith("hello") for item in told) if fault else told == []


def test_missing_foreign_and_unlisted_prompts_are_told(folder: Path) -> None:
    (folder / "hello.wav").unlink()
    write_sound(folder / "beep.wav", tone(1, rate=16000), rate=16000)
    write_sound(folder / "digit_1.wav", tone(1))
    write_sound(folder / "stray.wav", tone(1))
    told = {found.name: found.message for found in check_prompts(folder)}
    assert told["hello"] == "the file is missing"
    assert told["beep"].startswith("1 channels, 16 bits, 16000 Hz")
    assert "not in prompts.tsv" in told["stray"]
    assert "digit_1" not in told


def test_a_folder_without_a_list_is_told(tmp_path: Path) -> None:
    assert [found.name for found in check_prompts(tmp_path)] == [""]


def test_a_recording_becomes_a_prompt_of_the_right_kind(tmp_path: Path) -> None:
    stereo = np.repeat(np.frombuffer(tone(1, rate=44100, level=0.01, before=2, after=1), "<i2"), 2).tobytes()
    source = write_sound(tmp_path / "raw.wav", stereo, rate=44100, channels=2)
    seconds = import_prompt(tmp_path / "zh", source, "hello", "您好")
    assert seconds == pytest.approx(1.12, abs=0.03)
    assert check_prompts(tmp_path / "zh") == []
    assert PromptLibrary.load(tmp_path / "zh").text("hello") == "您好"


@needs_ffmpeg
def test_a_compressed_recording_becomes_a_prompt(tmp_path: Path) -> None:
    raw = write_sound(tmp_path / "raw.wav", tone(1, rate=44100), rate=44100)
    source = tmp_path / "raw.mp3"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", str(raw), str(source)], check=True, timeout=20)
    assert import_prompt(tmp_path / "zh", source, "hello", "您好") == pytest.approx(1.12, abs=0.06)
    assert check_prompts(tmp_path / "zh") == []


def test_importing_again_replaces_the_text_and_keeps_the_other_rows(folder: Path) -> None:
    (folder / "prompts.tsv").write_text("name\ttext\tspeed\nhello\told\t1.1\nbeep\t\t\n", encoding="utf-8")
    import_prompt(folder, write_sound(folder / "raw.bin", tone(1)), "hello", "new")
    import_prompt(folder, folder / "raw.bin", "bye", "再见")
    assert (folder / "prompts.tsv").read_text(encoding="utf-8").splitlines() == [
        "name\ttext\tspeed",
        "hello\tnew\t1.1",
        "beep\t\t",
        "bye\t再见\t",
    ]


@pytest.mark.parametrize(
    ("name", "text", "sound", "words"),
    [
        ("../hello", "x", tone(1), "is no name for a prompt"),
        ("hello", "a\tb", tone(1), "one line without tabs"),
        ("hello", "x", bytes(16000), "only silence"),
        ("hello", "x", b"", "no sound in it"),
        ("hello", "x", tone(31), "at most 30 s allowed"),
    ],
)
def test_what_can_not_be_a_prompt_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, text: str, sound: bytes, words: str
) -> None:
    source = write_sound(tmp_path / "raw.wav", sound)
    with pytest.raises(InvalidInputError, match=words):
        import_prompt(tmp_path / "zh", source, name, text)
    assert not (tmp_path / "zh").exists()


@needs_ffmpeg
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"nothing to hear" * 50)
    with pytest.raises(InvalidInputError, match="not a recording"):
        import_prompt(tmp_path, tmp_path / "notes.txt", "hello", "x")
    with pytest.raises(InvalidInputError, match=r"none\.wav"):
        import_prompt(tmp_path, tmp_path / "none.wav", "hello", "x")


def test_without_ffmpeg_the_operator_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp3").write_bytes(b"ID3" + bytes(500))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="ffmpeg"):
        import_prompt(tmp_path, tmp_path / "a.mp3", "hello", "x")
