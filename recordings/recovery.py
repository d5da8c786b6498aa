"""What a killed media process left behind: its journals are closed and its recordings made playable."""

import logging
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from hotline.errors import InvalidInputError
from ivr.journal import JOURNAL_SUFFIX, Journal, JournalWriter
from recordings.wav import repair_wav, wav_info

log = logging.getLogger(__name__)

MEDIA_CRASHED = "media_crashed"


def recover_spool(spool: Path, *, now: datetime) -> list[Journal]:
    """Closes every open journal in a node's spool folder; returns them as they are then.

    Run it before the node takes calls: an open journal belongs to a dead predecessor. Killed on the way, it does the
    rest when it runs again. A journal that the disk refuses is left for the next start: calls come first.
    """
    recovered = []
    for path in sorted(spool.glob(f"*{JOURNAL_SUFFIX}")):
        try:
            journal = _recover(path, now=now)
        except FileNotFoundError:  # a closed one, which a worker has archived meanwhile
            continue
        except OSError as error:
            log.error("call %s was cut short by a crash and waits for the next start: %s", path.stem, error)
            continue
        if journal is not None:
            recovered.append(journal)
            log.warning("call %s was cut short by a crash; its recording is kept", journal.call_id)
    return recovered


def _recover(path: Path, *, now: datetime) -> Journal | None:
    """The journal, closed here; None where it was closed already."""
    journal = Journal.read(path)
    if journal.closed:
        return None
    duration_ms = _repaired_length(journal.audio_path)
    for track in journal.track_paths():
        _repaired_length(track)
    with closing(JournalWriter(path)) as writer:
        if journal.first("ended") is None:
            begun = [entry.data.get("start_ms") for entry in journal.all("demand_begun")]
            if len(begun) > sum(1 for _ in journal.all("demand")):  # the caller was telling it
                writer.append("demand", now, start_ms=begun[-1], end_ms=duration_ms)
            died = _time_of_death(journal, duration_ms, now)
            writer.append("ended", died, reason=MEDIA_CRASHED, duration_ms=duration_ms)
        writer.append("captions", now, complete=False)
        writer.append("closed", now)
    return Journal.read(path)


def _repaired_length(path: Path) -> int:
    """Milliseconds of a recording that is made playable; 0 where there is none or it cannot be."""
    try:
        repair_wav(path)
        return wav_info(path).duration_ms
    except FileNotFoundError:
        return 0
    except (InvalidInputError, OSError) as error:
        log.error("recording %s cannot be repaired: %s", path, error)
        return 0


def _time_of_death(journal: Journal, duration_ms: int, now: datetime) -> datetime:
    """When the last thing happened that is known of: a journal line, or the end of the recording."""
    answered = journal.first("answered")
    known = [entry.at for entry in journal.entries]
    if answered is not None:
        known.append(answered.at + timedelta(milliseconds=duration_ms))
    return min(now, max(known, default=now))
