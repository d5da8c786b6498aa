"""What we report of every stream and what is reported to us (RFC 3550 section 6, appendix A), for all legs at once.

Each leg is a session of two members: reports come by chance around every five seconds (section 6.3) and need no
reconsideration of their timer, for nobody joins a call by the hundred.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ivr.media import rtcp
from ivr.media.quality import estimate_mos
from ivr.media.ring import Slots
from ivr.media.rtcp import Goodbye, Report, ReportBlock, RtcpPacket, SenderInfo, SourceDescription
from ivr.media.types import SAMPLE_RATE, Codec, DirectionQuality, StreamQuality

MAX_DROPOUT = 3000
MAX_MISORDER = 100
"""Steps of sequence numbers beyond these are a restart, once a second packet confirms it (appendix A.1)."""
UNHEARD = -1
"""The SSRC of a leg of which no packet came yet."""
CLOCK_JUMP = 3 * SAMPLE_RATE
"""A transit time that changes by more is a clock set anew, and no jitter."""

_MOST_LOST, _LEAST_LOST = (1 << 23) - 1, -(1 << 23)


class RtcpReports:
    """Tables over `slots` legs. RTP clocks run at 8 kHz, G.722's too (RFC 3551 section 4.5.2).

    Times are seconds of one monotonic clock, which `unix_offset_s`, added once and for all, makes wall-clock time:
    reports must not jump when somebody sets the clock.
    """

    def __init__(self, *, slots: int, cname: str, unix_offset_s: float, random: np.random.Generator) -> None:
        self._cname = cname
        self._unix_offset_s = unix_offset_s
        self._random = random
        self._next = np.full(slots, np.inf)
        self._earliest = np.inf
        # Received.
        self._ssrc = np.full(slots, UNHEARD)
        self._base, self._highest, self._received = np.zeros((3, slots), np.int64)  # sequence numbers with their cycles
        self._past_expected, self._past_received = np.zeros((2, slots), np.int64)  # of streams before this one
        self._expected_prior, self._received_prior = np.zeros((2, slots), np.int64)
        self._after_jump = np.full(slots, -1)
        self._neighbour = np.full(slots, -1)  # the sequence number after the last packet whose arrival is known
        self._timestamp, self._transit = np.zeros((2, slots), np.uint32)
        self._jitter = np.zeros(slots)
        # Sent.
        self._own = np.zeros(slots, np.uint32)
        self._packets, self._octets, self._packets_prior = np.zeros((3, slots), np.int64)
        self._reported = np.zeros(slots, bool)
        # Reported to us.
        self._last_report = np.zeros(slots, np.uint32)
        self._last_report_at = np.zeros(slots)
        self._round_trip_s = np.full(slots, np.nan)
        self._block: list[ReportBlock | None] = [None] * slots
        self._description: dict[int, SourceDescription] = {}

    def open(self, slot: int, *, ssrc: int, now: float) -> None:
        """Begins a leg that sends as `ssrc`."""
        self._ssrc[slot] = UNHEARD
        self._reported[slot] = False
        for counts in (self._received, self._past_expected, self._past_received, self._packets, self._octets):
            counts[slot] = 0
        self._packets_prior[slot] = 0
        self._after_jump[slot] = -1
        self._jitter[slot] = 0
        self._own[slot] = ssrc
        self._description[slot] = SourceDescription.of(ssrc, self._cname)
        self._last_report[slot] = 0
        self._round_trip_s[slot] = np.nan
        self._block[slot] = None
        self._due_at(slot, now + self._interval_s(initial=True))

    def close(self, slot: int) -> None:
        """Nothing is due any more."""
        self._next[slot] = np.inf

    def observe(
        self,
        slots: Slots,
        *,
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        arrival: NDArray[np.uint32] | None,
    ) -> None:
        """One valid packet a leg came, audio or not. Each slot must be named once. `arrival`: when it did, by any
        clock in timestamp units; None where nobody looked, and jitter is not measured."""
        new = self._ssrc[slots] != ssrc
        if new.any():
            self._past(slots[new & (self._ssrc[slots] != UNHEARD)])
            self._begin(slots[new], sequence[new], ssrc[new])
        step = (sequence - self._highest[slots].astype(np.uint16)).view(np.int16)
        jumped = (step >= MAX_DROPOUT) | (step < -MAX_MISORDER)
        if jumped.any():
            restarts = jumped & (sequence == self._after_jump[slots])
            self._after_jump[slots[jumped]] = sequence[jumped] + np.uint16(1)
            self._past(slots[restarts])
            self._begin(slots[restarts], sequence[restarts], ssrc[restarts])
            step[restarts] = 0
            kept = ~jumped | restarts
            slots, step, sequence, timestamp = slots[kept], step[kept], sequence[kept], timestamp[kept]
            arrival = None if arrival is None else arrival[kept]
        self._received[slots] += 1
        self._highest[slots] += np.maximum(step, 0)
        if arrival is not None:
            self._measure_jitter(slots, sequence, timestamp, arrival)

    def sent(self, slots: Slots, *, octets: int) -> None:
        """One packet a leg went out, with so much payload."""
        self._packets[slots] += 1
        self._octets[slots] += octets

    def introduced(self, slot: int) -> bool:
        """Whether the leg sent anything: who did not must not say goodbye (section 6.3.7)."""
        return bool(self._reported[slot] or self._packets[slot])

    def due(self, now: float) -> Slots:
        """The legs whose report is to be built now."""
        if now < self._earliest:
            return np.zeros(0, np.intp)
        self._earliest = float(self._next.min(where=self._next > now, initial=np.inf))
        return np.flatnonzero(self._next <= now)

    def build(self, slot: int, *, now: float, timestamp: int, leaves: bool = False) -> bytes:
        """The leg's report, with a goodbye where it `leaves`; the next is due later. `timestamp`: its RTP clock now."""
        own = int(self._own[slot])
        sender = None
        if self._packets[slot] != self._packets_prior[slot]:
            sender = SenderInfo(
                ntp=self._ntp(now),
                timestamp=timestamp & 0xFFFFFFFF,
                packets=int(self._packets[slot]) & 0xFFFFFFFF,
                octets=int(self._octets[slot]) & 0xFFFFFFFF,
            )
            self._packets_prior[slot] = self._packets[slot]
        blocks = (self._report_block(slot, now=now),) if self._ssrc[slot] != UNHEARD else ()
        packets: list[RtcpPacket] = [
            Report(ssrc=own, sender=sender, blocks=blocks),
            self._description[slot],
        ]
        if leaves:
            packets.append(Goodbye(sources=(own,)))
        self._reported[slot] = True
        self._due_at(slot, math.inf if leaves else now + self._interval_s(initial=False))
        return rtcp.serialize(packets)

    def receive(self, slot: int, datagram: bytes, *, now: float) -> bool:
        """Takes what the far end reports; raises `ProtocolError`. False where nothing is of or about our streams."""
        related = False
        for packet in rtcp.parse(datagram):
            if isinstance(packet, Report):
                theirs = self._ssrc[slot] in (UNHEARD, packet.ssrc)
                if theirs and packet.sender is not None:
                    self._last_report[slot] = rtcp.middle(packet.sender.ntp)
                    self._last_report_at[slot] = now
                related |= self._take_blocks(slot, packet.blocks, now=now) or theirs
        return related

    def quality(self, slot: int, *, codec: Codec) -> StreamQuality:
        """Both directions so far."""
        received = int(self._past_received[slot] + self._received[slot])
        expected = int(self._past_expected[slot] + self._expected(slot))
        loss = max(0, expected - received) / expected if expected else 0.0
        block, round_trip_s = self._block[slot], float(self._round_trip_s[slot])
        return StreamQuality(
            received=_direction(codec, packets=received, loss=loss, jitter=float(self._jitter[slot])),
            sent=None if block is None else self._sent_quality(slot, codec, block),
            round_trip_ms=None if math.isnan(round_trip_s) else round(1000 * round_trip_s, 1),
        )

    def _sent_quality(self, slot: int, codec: Codec, block: ReportBlock) -> DirectionQuality:
        packets = int(self._packets[slot])
        loss = min(max(0, block.lost) / packets, 1.0) if packets else 0.0
        return _direction(codec, packets=packets, loss=loss, jitter=block.jitter)

    def _take_blocks(self, slot: int, blocks: Sequence[ReportBlock], *, now: float) -> bool:
        related = False
        for block in blocks:
            if block.ssrc == self._own[slot]:
                related = True
                self._block[slot] = block
                round_trip_s = rtcp.round_trip_s(block, ntp=self._ntp(now))
                if round_trip_s is not None:
                    self._round_trip_s[slot] = round_trip_s
        return related

    def _report_block(self, slot: int, *, now: float) -> ReportBlock:
        """Appendix A.3: losses are negative with duplicates, but a fraction is not."""
        expected, received = self._expected(slot), int(self._received[slot])
        expected_since = expected - int(self._expected_prior[slot])
        lost_since = expected_since - (received - int(self._received_prior[slot]))
        self._expected_prior[slot], self._received_prior[slot] = expected, received
        fraction = (lost_since << 8) // expected_since if expected_since > 0 and lost_since > 0 else 0
        last_report = int(self._last_report[slot])
        delay = int((now - self._last_report_at[slot]) * 65536) if last_report else 0
        return ReportBlock(
            ssrc=int(self._ssrc[slot]),
            fraction_lost=min(fraction, 255),
            lost=min(max(expected - received, _LEAST_LOST), _MOST_LOST),
            highest_sequence=int(self._highest[slot]) & 0xFFFFFFFF,
            jitter=int(self._jitter[slot]),
            last_report=last_report,
            delay=min(max(delay, 0), 0xFFFFFFFF),
        )

    def _measure_jitter(
        self, slots: Slots, sequence: NDArray[np.uint16], timestamp: NDArray[np.uint32], arrival: NDArray[np.uint32]
    ) -> None:
        """Appendix A.8, of packets next to each other. Those that repeat a timestamp (those of a telephone event) were
        not made when it says."""
        neighbours = self._neighbour[slots] == sequence
        self._neighbour[slots] = sequence + np.uint16(1)
        fresh = ~neighbours | (timestamp != self._timestamp[slots])
        transit = arrival - timestamp
        change = np.abs((transit - self._transit[slots]).view(np.int32).astype(np.float64))
        counts = neighbours & fresh & (change < CLOCK_JUMP)
        self._jitter[slots] += np.where(counts, change - self._jitter[slots], 0) / 16
        self._transit[slots[fresh]] = transit[fresh]
        self._timestamp[slots] = timestamp

    def _begin(self, slots: Slots, sequence: NDArray[np.uint16], ssrc: NDArray[np.uint32]) -> None:
        """A stream starts with that packet, not counted yet; jitter goes on, it is the network's."""
        self._ssrc[slots] = ssrc
        self._base[slots] = self._highest[slots] = sequence
        self._received[slots] = self._expected_prior[slots] = self._received_prior[slots] = 0
        self._after_jump[slots] = self._neighbour[slots] = -1

    def _past(self, slots: Slots) -> None:
        """The streams of those legs end here; their packets still count for the call."""
        self._past_expected[slots] += self._highest[slots] - self._base[slots] + 1
        self._past_received[slots] += self._received[slots]

    def _expected(self, slot: int) -> int:
        return int(self._highest[slot] - self._base[slot]) + 1 if self._ssrc[slot] != UNHEARD else 0

    def _ntp(self, now: float) -> int:
        return rtcp.ntp_time(now + self._unix_offset_s)

    def _due_at(self, slot: int, at: float) -> None:
        self._next[slot] = at
        self._earliest = min(self._earliest, at)

    def _interval_s(self, *, initial: bool) -> float:
        return rtcp.transmission_interval_s(uniform=float(self._random.random()), initial=initial)


def _direction(codec: Codec, *, packets: int, loss: float, jitter: float) -> DirectionQuality:
    jitter_ms = round(1000 * jitter / SAMPLE_RATE, 1)
    mos = estimate_mos(codec, loss=loss) if packets else None
    return DirectionQuality(packets=packets, loss=round(loss, 5), jitter_ms=jitter_ms, mos=mos)
