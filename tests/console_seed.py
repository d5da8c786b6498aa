"""Real rows and files for tests of the console: a call with its recording, transcript and ticket."""

import tempfile
import wave
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from asr.models import Segment, Transcript
from asr.recognizer import Word
from asr.search import index_transcript
from asr.text import display
from recordings.models import Call, CallQuality, Recording
from recordings.peaks import peaks_of, serialize_peaks
from recordings.service import peaks_name
from recordings.store import RecordingStore
from tickets.models import Evidence, Ticket, TicketEvent

CALLERS = Path(__file__).resolve().parent.parent / "demo" / "callers"
PHONE = "13800138000"
PROMPTS = CALLERS.parent.parent / "ivr" / "prompts" / "zh"
GREETING = "您好，这里是12345热线。本次通话将被录音，录音只用于办理您的诉求，保存两年。请说出您的诉求，说完请按井号键。"
PAUSE_MS = 400
SPOKEN = (
    "您好 我 姓 张 住 在 延庆区 张山营镇|我家 的 煤改电 设备 坏 了 一直 报警 屋里 温度 上 不 去|"
    "老人 和 孩子 都 冻 着 麻烦 你们 尽快 派 人 来 修 一下|我 的 电话 是 幺 三 八 零 零 幺 三 八 零 零 零"
)


def spoken_words(text: str, start_ms: int, end_ms: int) -> list[Word]:
    """The words of `text` (blanks between them) one after another, each as long as it has characters."""
    words = text.split()
    step = (end_ms - start_ms) / sum(len(word) for word in words)
    result, at = [], float(start_ms)
    for index, word in enumerate(words):
        result.append(Word(word, round(at), round(at + step * len(word)), 0.4 if index % 11 == 7 else 0.93))
        at += step * len(word)
    return result


def stereo_call(caller_wav: Path, target: Path) -> tuple[int, int]:
    """A call's WAV: our announcement on the right, then the caller on the left. Milliseconds of it and of all."""
    notice, rate = _read(PROMPTS / "notice.wav")
    ours = np.concatenate([notice, _read(PROMPTS / "say_demand.wav")[0]])
    theirs, pause = _read(caller_wav)[0], rate * PAUSE_MS // 1000
    stereo = np.zeros((len(ours) + pause + len(theirs), 2), np.int16)
    stereo[: len(ours), 1] = ours
    stereo[len(ours) + pause :, 0] = theirs
    with wave.open(str(target), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(stereo.tobytes())
    return len(ours) * 1000 // rate, len(stereo) * 1000 // rate


def _read(path: Path) -> tuple[NDArray[np.int16], int]:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16), file.getframerate()


def seed_heating_call(
    session: Session,
    store: RecordingStore | None,
    *,
    now: datetime,
    call_id: str = "c0ffee",
    recorded: bool = True,
    number: str = "YQ20260105000011",
) -> Ticket:
    """The call of a Mr Zhang whose heater is broken. Without `store` the rows say what no file backs."""
    name = f"2026/01/05/{call_id}.wav"
    greeting_ms, duration_ms, size = 12_000, 30_000, 0
    if recorded and store is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "call.wav"
            greeting_ms, duration_ms = stereo_call(CALLERS / "heating_zhang.wav", path)
            size = path.stat().st_size
            store.put(path, name)
            with wave.open(str(path), "rb") as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
                store.put_bytes(serialize_peaks(peaks_of(samples, sample_rate=file.getframerate())), peaks_name(name))
    session.add(
        Call(
            id=call_id,
            caller_number=PHONE,
            called_number="12345",
            codec="PCMA",
            started_at=now - timedelta(milliseconds=duration_ms),
            answered_at=now - timedelta(milliseconds=duration_ms),
            ended_at=now,
            answer_ms=3.2,
            duration_ms=duration_ms,
            end_reason="completed",
            qualities=[CallQuality(position=0, party="caller", received_mos=4.3)],
        )
    )
    session.flush()
    if recorded:
        session.add(
            Recording(
                call_id=call_id,
                path=name,
                sha256="ab" * 32,
                size_bytes=size,
                channels=2,
                sample_rate=8000,
                duration_ms=duration_ms,
                stored_at=now,
            )
        )
    segments = _segments(greeting_ms, duration_ms)
    transcript = Transcript(
        call_id=call_id,
        version=1,
        origin="live",
        engine="vosk",
        model="zh_tiny",
        demo_model=True,
        created_at=now,
        segments=segments,
    )
    session.add(transcript)
    session.flush()
    index_transcript(session, transcript)
    ticket = Ticket(
        number=number,
        lookup_code="482913",
        call_id=call_id,
        state="to_dispatch",
        channel="phone",
        type="help",
        tier="T2",
        overlay="coal_to_electric",
        category="供暖/煤改电设备",
        title="张山营镇居民反映煤改电设备坏了一直报警屋里温度上不去",
        content="".join(segment.text for segment in segments[1:]),
        caller_name="张",
        phone=PHONE,
        place="张山营镇",
        keywords=["煤改电"],
        created_at=now,
        updated_at=now,
    )
    ticket.evidence = [
        _evidence("category", "供暖/煤改电设备", segments[2], 2, 4),
        _evidence("tier", "T2", segments[2], 3, 8),
        _evidence("place", "张山营镇", segments[1], 7, 8),
        _evidence("caller_name", "张", segments[1], 2, 4),
        Evidence(field="phone", value=PHONE, source="caller_id", confidence=1.0),
    ]
    ticket.events = [
        TicketEvent(sequence=1, at=now, kind="created", actor="system", origin="call", reason=""),
        TicketEvent(sequence=2, at=now, kind="fields_extracted", actor="system", origin="call", reason=""),
    ]
    session.add(ticket)
    session.flush()
    return ticket


def _segments(greeting_ms: int, duration_ms: int) -> list[Segment]:
    step = greeting_ms / len(GREETING)
    greeting = [[char, round(at * step), round((at + 1) * step), 1.0] for at, char in enumerate(GREETING)]
    rows = [("hotline", GREETING, greeting)]
    parts = SPOKEN.split("|")
    total, at = sum(len(part) for part in parts), float(greeting_ms + PAUSE_MS)
    for part in parts:
        end = at + (duration_ms - greeting_ms - PAUSE_MS) * len(part) / total
        words = spoken_words(part, round(at), round(end) - 250)
        rows.append(("caller", display(words).text, [[w.text, w.start_ms, w.end_ms, w.confidence] for w in words]))
        at = end
    return [
        Segment(
            position=position,
            speaker=speaker,
            start_ms=words[0][1],
            end_ms=words[-1][2],
            text=text,
            confidence=0.9,
            words=words,
        )
        for position, (speaker, text, words) in enumerate(rows)
    ]


def _evidence(field: str, value: str, segment: Segment, first: int, last: int) -> Evidence:
    words = segment.words[first:last]
    return Evidence(
        field=field,
        value=value,
        source="rule",
        confidence=0.92,
        quote="".join(word[0] for word in words),
        segment_id=segment.id,
        start_ms=words[0][1],
        end_ms=words[-1][2],
    )


def seed_many(session: Session, *, count: int, now: datetime) -> None:
    """Tickets without calls, a minute apart, with short and with very long texts."""
    samples = (
        ("妫水北街路灯不亮", "市政园林/路灯", "T3", "to_sign", "儒林街道", "李女士"),
        ("永宁镇某某科技发展有限公司反映施工扰民：" + "夜间十二点仍在施工噪声很大孩子无法入睡" * 4, "城乡建设/施工扰民",
         "T4", "handling", "永宁镇", "阿卜杜热合曼·麦麦提依明江（企业联系人）"),
        ("燃气泄漏", "水电气讯/燃气", "T1", "to_call_back", "香水园街道", "王先生"),
        ("社会保障卡补办咨询", "劳动社保/社会保险", "T3", "answered_directly", "", ""),
        ("工地拖欠工资三个月", "劳动社保/欠薪", "T3", "closed", "张山营镇", "卢先生"),
    )  # fmt: skip
    for index in range(count):
        title, category, tier, state, place, caller = samples[index % len(samples)]
        session.add(
            Ticket(
                number=f"YQ20260104{index:06}",
                lookup_code="000000",
                call_id=None,
                state=state,
                channel="phone",
                type="complaint",
                tier=tier,
                category=category,
                title=title,
                caller_name=caller,
                phone="13900001234" if index % 3 else "01069101234",
                place=place,
                flags=["emergency"] if tier == "T1" else [],
                created_at=now - timedelta(minutes=index + 1),
                updated_at=now,
            )
        )
