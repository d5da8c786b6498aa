"""What a killed media process left behind: its journals are closed and its recordings made playable."""

import logging
from datetime import datetime
from pathlib import Path

from hotline.errors import InvalidInputError
from ivr.journal import JOURNAL_SUFFIX, Journal, JournalWriter
from recordings.recorder import repair_wav, wav_info

log = logging.getLogger(__name__)


def recover_spool(spool: Path, *, now: datetime) -> list[Path]:
    """Closes every open journal in a node's spool folder; returns their paths.

    Run it before the node takes calls: an open journal belongs to a dead predecessor.
    """
    recovered = []
    for path in sorted(spool.glob(f"*{JOURNAL_SUFFIX}")):
        journal = Journal.read(path)
        if journal.closed:
            continue
        duration_ms = 0
        if journal.audio_path.exists():
            try:
                repair_wav(journal.audio_path)
                duration_ms = wav_info(journal.audio_path).duration_ms
            except (InvalidInputError, OSError) as error:
                log.error("recording %s cannot be repaired: %s", journal.audio_path, error)
        writer = JournalWriter(path)
        if journal.first("ended") is None:
            writer.append("ended", now, reason="media_crashed", duration_ms=duration_ms)
        writer.append("captions", now, complete=False)
        writer.append("closed", now)
        writer.close()
        recovered.append(path)
        log.warning("call %s was cut short by a crash; its recording is kept", journal.call_id)
    return recovered
