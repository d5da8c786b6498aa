"""How good a conversation sounds, estimated from what the network does to it: the E-model (ITU-T G.107, 6/2015).

All that is not the network keeps the recommendation's default values, so the rating is

    R = Ro - Is - Id - Ie,eff        Ro - Is = 93.2        Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)

with Id of the delay alone (echo is taken to be cancelled), and the mean opinion score follows from R (Annex B).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ivr.media.types import Codec

BEST_RATING = 93.2
"""Ro - Is with all default values."""
WIDEBAND_SCALE = 1.29
"""Wideband ratings reach 129 instead of 100 (ITU-T G.107.1)."""


@dataclass(frozen=True)
class Impairment:
    """What a codec costs (Ie), and how well it stands packet loss (Bpl, greater is better)."""

    equipment: float
    robustness: float


CONCEALED: Mapping[Codec, Impairment] = {
    Codec.PCMU: Impairment(equipment=0, robustness=25.1),
    Codec.PCMA: Impairment(equipment=0, robustness=25.1),
    # Ie,wb = 13 of at most 129 (G.113 Appendix IV), on the scale of 100 and against the narrowband best; no Bpl is
    # published for our concealment, which mends its lower band as it mends G.711.
    Codec.G722: Impairment(equipment=BEST_RATING - (129 - 13) / WIDEBAND_SCALE, robustness=25.1),
}
"""Lost frames replaced as by G.711 Appendix I (ITU-T G.113 Appendix I, table I.3)."""

UNCONCEALED: Mapping[Codec, Impairment] = {
    codec: Impairment(equipment=impairment.equipment, robustness=4.3) for codec, impairment in CONCEALED.items()
}
"""Lost frames are silence: the same table without packet loss concealment."""


def rating(impairment: Impairment, *, loss: float, one_way_ms: float = 0.0, burst_ratio: float = 1.0) -> float:
    """R. `loss`: share of the packets, 0-1; `one_way_ms` mouth to ear; `burst_ratio` 1 where losses are random."""
    percent = 100 * min(max(loss, 0.0), 1.0)
    effective = impairment.equipment + (95 - impairment.equipment) * percent / (
        percent / max(burst_ratio, 1.0) + impairment.robustness
    )
    return BEST_RATING - _delay_impairment(one_way_ms) - effective


def opinion_score(rating: float) -> float:
    """The mean opinion score, 1 to 4.5, of a rating (Annex B, equation B-4)."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    # The cubic dips below 1 for ratings up to 6.5.
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)


def estimate_mos(
    codec: Codec, *, loss: float, one_way_ms: float = 0.0, burst_ratio: float = 1.0, concealed: bool = True
) -> float:
    """The score of one direction, to two decimals."""
    impairment = (CONCEALED if concealed else UNCONCEALED)[codec]
    value = rating(impairment, loss=loss, one_way_ms=one_way_ms, burst_ratio=burst_ratio)
    return round(opinion_score(value), 2)


def _delay_impairment(one_way_ms: float) -> float:
    """Idd (equation 7-27, default sensitivity and threshold of 100 ms)."""
    if one_way_ms <= 100:
        return 0.0
    octaves = math.log2(one_way_ms / 100)
    return 25 * (math.pow(1 + octaves**6, 1 / 6) - 3 * math.pow(1 + (octaves / 3) ** 6, 1 / 6) + 2)
