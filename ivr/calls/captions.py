"""What is said in a call, as it is recognized: noted in the journal, published, and kept for pages that open late."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ivr.media.types import AudioTap

KEPT_CAPTIONS = 200
SAMPLE_BYTES = 2
OUR_SIDE = "hotline"
CALLER = "caller"


@dataclass(frozen=True)
class CaptionPartial:
    """What the speaker seems to be saying; may still change."""

    text: str


@dataclass(frozen=True)
class CaptionFinal:
    """A finished utterance; `words`: (text, start_ms, end_ms, confidence)."""

    text: str
    words: tuple[tuple[str, int, int, float], ...]


@dataclass(frozen=True)
class CaptionsBehind:
    """What follows is so many seconds late; 0: no more."""

    seconds: int


@dataclass(frozen=True)
class CaptionsEnded:
    """Nothing follows. `complete`: every word of the call was heard. `model`: which one listened, for the journal."""

    complete: bool
    model: Mapping[str, Any] = field(default_factory=dict)


CaptionEvent = CaptionPartial | CaptionFinal | CaptionsBehind | CaptionsEnded


class CaptionTap(AudioTap, Protocol):
    """An `AudioTap` that turns what it is fed into caption events."""

    def finish(self) -> None:
        """No more audio; `CaptionsEnded` follows."""
        ...


OpenCaptions = Callable[[str, str, int, Callable[[CaptionEvent], None]], CaptionTap]
"""(call id, speaker, sample rate, whom to tell, from any thread) -> a tap."""


class GatedTap:
    """An `AudioTap` of a party that is rung: recognition begins when it takes part in the call.

    `begin` is the leg's start on the recording's clock, in ms; `feed` is called on the engine's thread. The target's
    sample rate must be the same.
    """

    def __init__(self, begin_ms: int, *, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._fed = 0
        self._begin_ms = begin_ms
        self._target: CaptionTap | None = None

    def feed(self, pcm: bytes) -> None:
        self._fed += len(pcm)
        if self._target is not None:
            self._target.feed(pcm)

    @property
    def offset_ms(self) -> int:
        """Where on the recording's clock the next audio lies."""
        return self._begin_ms + self._fed * 1000 // (SAMPLE_BYTES * self.sample_rate)

    def rebase(self, offset_ms: int) -> None:
        """The leg goes on in another call, whose recording is at `offset_ms`."""
        self._begin_ms += offset_ms - self.offset_ms

    def open(self, target: CaptionTap) -> None:
        """What is fed from now on goes to `target`."""
        self._target = target


class Captions:
    """The captions of one call. Everything but the taps' `feed` belongs to the SIP thread.

    `note` writes the journal, `publish` events; `heard(speaker, text, end_ms, final)` is told every utterance, partial
    ones too; `ended` when no tap is open any more.
    """

    def __init__(
        self,
        call_id: str,
        *,
        sample_rate: int,
        open_tap: OpenCaptions,
        post: Callable[[Callable[[], None]], None],
        offset_ms: Callable[[], int],
        note: Callable[..., None],
        publish: Callable[..., None],
        heard: Callable[[str, str, int, bool], None],
        ended: Callable[[], None],
    ) -> None:
        self._call_id = call_id
        self._sample_rate = sample_rate
        self._open_tap = open_tap
        self._post = post
        self._offset_ms = offset_ms
        self._note = note
        self._publish = publish
        self._heard = heard
        self._on_ended = ended
        self._open: dict[str, CaptionTap] = {}  # by the name of the party
        self._speaking_since: dict[str, int] = {}
        self._caller_ended: CaptionsEnded | None = None
        self._behind: dict[str, int] = {}
        self.recent: tuple[dict[str, Any], ...] = ()

    def open(self, name: str, *, speaker: str, shift_ms: int = 0) -> CaptionTap:
        """A tap of the party `name`; its clock begins at `shift_ms` of the recording's."""

        def receive(event: CaptionEvent) -> None:
            self._post(lambda: self._receive(name, speaker, shift_ms, event))

        tap = self._open_tap(self._call_id, speaker, self._sample_rate, receive)
        self._open[name] = tap
        return tap

    def finish(self, name: str | None = None) -> None:
        """No more audio of that party, or of any."""
        for key, tap in list(self._open.items()):
            if name in (None, key):
                tap.finish()

    def give_up(self) -> None:
        """The last words are waited for no longer."""
        self._open.clear()

    @property
    def ended(self) -> bool:
        """Whether nothing follows of anybody."""
        return not self._open

    @property
    def behind_s(self) -> int:
        """How late the captions are, of whom they are latest."""
        return max(self._behind.values(), default=0)

    @property
    def outcome(self) -> CaptionsEnded:
        """How the caller's captions ended: the others are an extra, his are what a transcript is made of."""
        return self._caller_ended or CaptionsEnded(complete=False)

    def said(self, speaker: str, text: str, start_ms: int, end_ms: int) -> None:
        """An utterance, or an announcement of ours."""
        caption = {"speaker": speaker, "text": text, "start_ms": start_ms, "end_ms": end_ms}
        self.recent = (*self.recent[-KEPT_CAPTIONS + 1 :], caption)
        self._publish("caption.final", call_id=self._call_id, **caption)

    def _receive(self, name: str, speaker: str, shift_ms: int, event: CaptionEvent) -> None:
        if name not in self._open:  # given up
            return
        match event:
            case CaptionPartial(text):
                start_ms = self._speaking_since.setdefault(name, self._offset_ms())
                self._publish("caption.partial", call_id=self._call_id, speaker=speaker, text=text, start_ms=start_ms)
                self._heard(speaker, text, self._offset_ms(), False)
            case CaptionFinal(text, words):
                self._speaking_since.pop(name, None)
                shifted = [[word, start + shift_ms, end + shift_ms, sure] for word, start, end, sure in words]
                start_ms, end_ms = words[0][1] + shift_ms, words[-1][2] + shift_ms
                self._note("segment", speaker=speaker, start_ms=start_ms, end_ms=end_ms, words=shifted)
                self.said(speaker, text, start_ms, end_ms)
                self._heard(speaker, text, end_ms, True)
            case CaptionsBehind(seconds):
                self._tell_behind(name, seconds)
            case CaptionsEnded():
                del self._open[name]
                self._tell_behind(name, 0)
                if name == CALLER:
                    self._caller_ended = event
                self._publish("caption.ended", call_id=self._call_id, speaker=speaker, complete=event.complete)
                self._on_ended()

    def _tell_behind(self, name: str, seconds: int) -> None:
        before = self.behind_s
        self._behind[name] = seconds
        if self.behind_s != before:
            self._publish("caption.behind", call_id=self._call_id, seconds=self.behind_s)
