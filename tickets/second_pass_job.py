"""The worker's job that recognises a call once more and stores a further version of its transcript."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from asr.repository import machine_transcripts
from asr.second_pass import channels_with_people, hear_again, merge
from asr.service import store_transcript
from hotline.bus import Bus, Event
from hotline.clock import Clock
from hotline.db import Database
from hotline.errors import HotlineError, UnavailableError
from hotline.jobs import Jobs
from hotline.settings import Settings
from recordings.repository import find_recording
from recordings.sound import Sounds
from recordings.store import RecordingStore
from tickets.lexicon import watch_lexicon

log = logging.getLogger(__name__)

ORIGIN: Literal["second"] = "second"


class SecondPassJobs:
    """The job with what it works on. May run again: a call has one second pass."""

    def __init__(
        self, *, settings: Settings, database: Database, jobs: Jobs, bus: Bus, store: RecordingStore, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._bus = bus
        self._sounds = Sounds(store, settings)
        self._clock = clock
        self._lexicon = watch_lexicon(settings)

    def functions(self) -> dict[str, Callable[..., None]]:
        """The job by the name it is handed in under."""
        return {"second_pass": self.second_pass}

    def second_pass(self, call_id: str) -> None:
        """Hears the call's recording again; its ticket, made long ago, stays as it is.

        Raises `UnavailableError`, to be tried again, while store, database or recognizer are away. What will not be
        better the next time is logged and given up.
        """
        with self._jobs.lease(f"second-{call_id}"):
            try:
                self._second_pass(call_id)
            except UnavailableError:
                raise
            except HotlineError as error:
                log.error("call %s has no second pass: %s", call_id, error.message)

    def _second_pass(self, call_id: str) -> None:
        if not self._settings.asr.second_pass:
            return
        with self._database.reading() as session:
            versions = machine_transcripts(session, call_id)
            recording = find_recording(session, call_id)
            if recording is None or not versions or any(version.origin == ORIGIN for version in versions):
                return
            first = list(versions[-1].segments)
        with tempfile.TemporaryDirectory(prefix="second-pass-") as folder:
            wav = Path(folder) / "call.wav"
            with self._sounds.open(recording) as source, wav.open("wb") as target:
                shutil.copyfileobj(source, target)
            channels = channels_with_people([segment.speaker for segment in first])
            heard, model = hear_again(self._settings.asr, wav, channels)
        utterances = merge(first, heard, self._lexicon.get().corrector)
        now = self._clock.now()
        with self._database.transaction() as session:
            transcript = store_transcript(
                session,
                call_id=call_id,
                origin=ORIGIN,
                model=model,
                segments=utterances,
                now=now,
                unsure_below=self._settings.review.unsure_below,
            )
            shown = transcript.current
        self._bus.publish(Event(name="transcript.second", at=now, data={"call_id": call_id, "shown": shown}))
