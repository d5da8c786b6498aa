"""What a listener would notice in a prompt folder: prompts missing, loud, quiet, silent or of a wrong kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hotline.errors import ConfigurationError
from ivr.announcements.audio import LEVEL_DBFS, measure
from ivr.announcements.prompts import PROMPT_LIST, read_list, read_samples

LEVEL_TOLERANCE_DB = 2.0
MAX_SILENCE_MS = 300
MAX_PEAK_DBFS = -0.5


@dataclass(frozen=True)
class PromptFault:
    """`name` of the prompt (empty: the folder) and what is wrong with it."""

    name: str
    message: str


def check_prompts(directory: Path) -> list[PromptFault]:
    """All faults of a folder. Rows without a text are tones or music: they may be of any loudness and begin at once."""
    try:
        texts = read_list(directory / PROMPT_LIST)
    except ConfigurationError as error:
        return [PromptFault("", error.message)]
    faults = [fault for name, text in texts.items() for fault in _faults(directory, name, speech=bool(text))]
    extra = sorted(path.stem for path in directory.glob("*.wav") if path.stem not in texts)
    return faults + [PromptFault(name, f"{name}.wav is not in {PROMPT_LIST}") for name in extra]


def _faults(directory: Path, name: str, *, speech: bool) -> list[PromptFault]:
    path = directory / f"{name}.wav"
    if not path.is_file():
        return [PromptFault(name, "the file is missing")]
    try:
        loudness = measure(read_samples(path).astype(np.float64) / 32768)
    except ConfigurationError as error:
        return [PromptFault(name, error.message.removeprefix(f"{path}: "))]
    if loudness is None:
        return [PromptFault(name, "there is only silence")]
    found = []
    if loudness.peak_dbfs > MAX_PEAK_DBFS:
        found.append(f"it clips: peak {loudness.peak_dbfs:.1f} dBFS")
    if speech and abs(loudness.level_dbfs - LEVEL_DBFS) > LEVEL_TOLERANCE_DB:
        found.append(f"speech at {loudness.level_dbfs:.1f} dBFS; {LEVEL_DBFS:.0f} dBFS needed")
    if speech and loudness.before_ms > MAX_SILENCE_MS:
        found.append(f"{loudness.before_ms} ms of silence before")
    if speech and loudness.after_ms > MAX_SILENCE_MS:
        found.append(f"{loudness.after_ms} ms of silence after")
    return [PromptFault(name, message) for message in found]
