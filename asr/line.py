"""What a telephone line does to speech, for evaluation: a codec, noise, lost packets. Pure; the same every time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from ivr.media.concealment import Concealer
from ivr.media.g711 import decode, encode
from ivr.media.g722 import G722Decoder, G722Encoder
from ivr.media.types import FRAME_SAMPLES, SAMPLE_RATE, WIDEBAND_RATE, Codec, Samples

CodecName = Literal["alaw", "ulaw", "g722"]
_G711 = {"alaw": Codec.PCMA, "ulaw": Codec.PCMU}
SPEECH_FRAME_MS = 20
QUIET_DB = 30.0
"""A frame so far below the loudest ones is no speech."""


@dataclass(frozen=True)
class Line:
    """`snr_db`: noise so far below the level of the speech, flat over the band. `loss`: share of the 20 ms packets that
    never come, concealed as in a call."""

    codec: CodecName | None = None
    snr_db: float | None = None
    loss: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1:
            raise ValueError(f"a loss of {self.loss}")

    def carry(self, pcm: bytes, sample_rate: int) -> tuple[bytes, int]:
        """s16le mono audio as the far end hears it, and its rate in Hz; equally long but for a part of a frame."""
        random = np.random.default_rng(self.seed)
        samples: Samples = np.frombuffer(pcm, "<i2").astype(np.int16)
        rate = WIDEBAND_RATE if self.codec == "g722" else SAMPLE_RATE if self.codec or self.loss else sample_rate
        if rate != sample_rate:
            samples = soxr.resample(samples, sample_rate, rate)
        if self.snr_db is not None:
            noise = random.standard_normal(len(samples)) * speech_level(samples, rate) / 10 ** (self.snr_db / 20)
            samples = np.clip(np.round(samples + noise), -32768, 32767).astype(np.int16)
        if self.codec in _G711:
            samples = decode(encode(samples, codec=_G711[self.codec]), codec=_G711[self.codec])
        elif self.codec == "g722":
            samples = samples[: len(samples) // 2 * 2]
            samples = G722Decoder().decode(G722Encoder().encode(samples))
        if self.loss and len(samples):
            if rate != SAMPLE_RATE:
                samples, rate = soxr.resample(samples, rate, SAMPLE_RATE), SAMPLE_RATE
            samples = _conceal(samples, random.random(len(samples) // FRAME_SAMPLES + 1) < self.loss)
        return samples.astype("<i2").tobytes(), rate


def speech_level(samples: Samples, sample_rate: int) -> float:
    """Root mean square of the frames that hold speech, 0 where all is silence."""
    size = sample_rate * SPEECH_FRAME_MS // 1000
    if len(samples) < size:
        return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    loudest = np.percentile(power, 95)
    return float(np.sqrt(np.mean(power[power >= loudest / 10 ** (QUIET_DB / 10)])))


def _conceal(samples: Samples, lost: NDArray[np.bool_]) -> Samples:
    concealer = Concealer(slots=1)
    concealer.open(0)
    slot = np.zeros(1, np.int64)
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).reshape(-1, 1, FRAME_SAMPLES)
    frames = [concealer.update(slot, frame, missing=lost[index : index + 1]) for index, frame in enumerate(padded)]
    heard: Samples = np.concatenate(frames).reshape(-1)[: len(samples)]
    return heard
