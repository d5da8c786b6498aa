"""Who hears what of a recording: roles, reasons, ranges, downloads and excerpts, and what the log says of each."""

import io
import shutil
import wave
from datetime import timedelta

import httpx
import numpy as np
import pytest
from console_browser import Browser, add_users, browse, make_context
from console_seed import seed_heating_call
from numpy.typing import NDArray
from sqlalchemy import delete, select, update

from asr.models import Segment, Transcript
from console.access_log import purge_log
from console.context import ConsoleContext
from console.models import AuditEntry
from hotline.clock import ManualClock
from hotline.db import Database
from hotline.settings import Settings
from recordings.chain import StoredFile
from recordings.chain_repository import Addition, append_links
from recordings.compression import Compression
from recordings.models import Call
from recordings.redaction import TONE_LEVEL
from recordings.repository import find_recording
from tickets.models import Evidence, Ticket
from tickets.retention import Retention

NUMBER = "YQ20260105000011"
AUDIO, DOWNLOAD = "/recordings/c0ffee/audio", "/recordings/c0ffee/download"
SPAN = f"/tickets/{NUMBER}/recording/span"
UNMASK = f"/tickets/{NUMBER}/unmask"


@pytest.fixture
def context(settings: Settings, database: Database) -> ConsoleContext:
    made = make_context(settings, database)
    add_users(made)
    with database.transaction() as session:
        seed_heating_call(session, made.store, now=made.clock.now())
    return made


def samples(wav: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())


def original(context: ConsoleContext) -> bytes:
    with context.store.open("2026/01/05/c0ffee.wav") as file:
        return file.read()


def number_frames(context: ConsoleContext) -> slice:
    """Where the caller tells the number: from the first 幺 on, at 8 kHz."""
    with context.database.reading() as session:
        last = session.scalars(select(Segment).order_by(Segment.start_ms.desc())).first()
        assert last is not None
        words = last.words[[word[0] for word in last.words].index("幺") :]
    return slice(words[0][1] * 8, words[-1][2] * 8)


def logged(context: ConsoleContext, *actions: str) -> list[tuple[str, str, str, str]]:
    with context.database.reading() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        return [(item.username, item.action, item.subject, item.reason) for item in entries if item.action in actions]


async def unmask(browser: Browser) -> None:
    assert (await browser.post(UNMASK, reason="回访核对")).status_code == 303


async def export(browser: Browser, start_ms: int, end_ms: int, **more: str) -> httpx.Response:
    query = "&".join(f"{key}={value}" for key, value in {"start_ms": start_ms, "end_ms": end_ms, **more}.items())
    return await browser.get(f"{SPAN}?{query}")


@pytest.mark.parametrize(
    ("role", "hears", "downloads"), [("viewer", False, False), ("reviewer", True, False), ("admin", True, True)]
)
async def test_each_role_gets_what_it_may_and_no_numbers_without_a_reason(
    context: ConsoleContext, role: str, hears: bool, downloads: bool
) -> None:
    speech, told = samples(original(context)), number_frames(context)
    async with browse(context) as browser:
        await browser.sign_in(role)
        answers = {
            "audio": (hears, await browser.get(AUDIO)),
            "peaks": (hears, await browser.get("/recordings/c0ffee/peaks")),
            "download": (downloads, await browser.post(DOWNLOAD)),
            "span": (downloads, await export(browser, told.start // 8, told.stop // 8, format="wav")),
        }
        for what, (allowed, answer) in answers.items():
            assert answer.status_code == (200 if allowed else 403), what
        for what in ("audio", "download"):
            if answers[what][0]:
                heard = samples(answers[what][1].content)
                assert heard.shape == speech.shape
                assert np.abs(heard[told]).max() <= TONE_LEVEL < np.abs(speech[told]).max(), what
                assert np.array_equal(heard[: told.start - 8000], speech[: told.start - 8000]), what
        if downloads:
            assert np.abs(samples(answers["span"][1].content)).max() <= TONE_LEVEL
    assert len(logged(context, "hear", "hear_full", "download")) == hears + 2 * downloads


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("path", [AUDIO, DOWNLOAD, SPAN, "/recordings/c0ffee/peaks"])
async def test_no_other_method_leads_to_the_sound(context: ConsoleContext, method: str, path: str) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        answer = await browser.client.request(method, path)
        assert answer.status_code == 405
        assert b"RIFF" not in answer.content
    assert logged(context, "hear", "hear_full", "download") == []


async def test_a_reason_gives_the_whole_sound_for_its_minutes_and_each_is_logged(context: ConsoleContext) -> None:
    whole = original(context)
    async with browse(context) as browser, browse(context) as other:
        await browser.sign_in("reviewer")
        await other.sign_in("admin")
        masked = await browser.get(AUDIO)
        assert masked.content != whole
        assert len(masked.content) == len(whole)
        await unmask(browser)
        full = await browser.get(AUDIO)
        assert full.content == whole
        assert full.headers["etag"] != masked.headers["etag"]
        stale = await browser.get(AUDIO, range="bytes=0-99", if_range=masked.headers["etag"])
        assert stale.status_code == 200, "a player must not join masked and full bytes"
        assert (await other.get(AUDIO)).content == masked.content, "a reason counts for the one who gave it"
        assert isinstance(context.clock, ManualClock)
        context.clock.advance(timedelta(minutes=10.1).total_seconds())
        assert (await browser.get(AUDIO)).content == masked.content
    assert logged(context, "hear", "hear_full") == [
        ("reviewer", "hear", "c0ffee", ""),
        ("reviewer", "hear_full", "c0ffee", ""),
        ("admin", "hear", "c0ffee", ""),
    ]


async def test_every_range_of_the_masked_sound_is_that_part_of_it(context: ConsoleContext) -> None:
    told = number_frames(context)
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        whole = (await browser.get(AUDIO)).content
        size, middle = len(whole), 44 + 4 * (told.start + told.stop) // 2
        for start, end in ((0, 43), (1, 70_000), (middle - 1, middle + 5), (middle, size - 1), (size - 1, size - 1)):
            part = await browser.get(AUDIO, range=f"bytes={start}-{end}")
            assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {start}-{end}/{size}")
            assert part.content == whole[start : end + 1]
        assert (await browser.get(AUDIO, range="bytes=-100")).content == whole[-100:]


async def test_a_download_is_as_it_is_heard(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        masked = await browser.post(DOWNLOAD)
        assert masked.content == (await browser.get(AUDIO)).content
        await unmask(browser)
        assert (await browser.post(DOWNLOAD)).content == original(context)
    assert [reason for *_, reason in logged(context, "download")] == ["号码已遮盖", "号码完整"]


async def test_an_excerpt_is_exact_as_it_is_heard_named_and_logged(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        heard = samples((await browser.get(AUDIO)).content)
        part = await export(browser, 2000, 4500, format="wav")
        assert part.headers["content-type"] == "audio/wav"
        assert part.headers["content-disposition"] == f'attachment; filename="{NUMBER}-2-5s.wav"'
        assert np.array_equal(samples(part.content), heard[16_000:36_000])
        await unmask(browser)
        told = number_frames(context)
        full = await export(browser, told.start // 8, told.stop // 8, format="wav")
        assert np.array_equal(samples(full.content), samples(original(context))[told])
    assert [(who, subject, reason.split("，")[1:]) for who, _, subject, reason in logged(context, "download")] == [
        ("admin", "c0ffee", ["wav", "号码已遮盖"]),
        ("admin", "c0ffee", ["wav", "号码完整"]),
    ]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
async def test_an_excerpt_is_an_mp3_unless_asked_otherwise(context: ConsoleContext) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        part = await export(browser, 0, 1000)
        assert part.headers["content-type"] == "audio/mpeg"
        assert 2000 < len(part.content) < 40_000


def compress(context: ConsoleContext, form: str) -> None:
    """Compresses the call's recording, which is put into the chain before."""
    name = "2026/01/05/c0ffee.wav"
    digest = context.store.digest(name)
    file = StoredFile(name=name, sha256=digest, size_bytes=context.store.size(name), content_sha256=digest)
    with context.database.transaction() as session:
        found = find_recording(session, "c0ffee")
        assert found is not None
        found.sha256 = digest
        append_links(session, [Addition(file)], call_id="c0ffee", now=context.clock.now())
    rules = context.settings.recordings.model_copy(update={"compress_after_days": 1, "compress_to": form})
    site = context.settings.model_copy(update={"recordings": rules})
    clock = ManualClock(context.clock.now() + timedelta(days=2))
    done = Compression(settings=site, database=context.database, store=context.store, clock=clock).run()
    assert (done.files, done.failed) == (1, [])
    assert not context.store.exists(name)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
async def test_a_flac_is_heard_byte_for_byte_as_its_wav_was_by_each_role(context: ConsoleContext) -> None:
    whole = original(context)
    async with browse(context) as browser, browse(context) as viewer:
        await browser.sign_in("admin")
        await viewer.sign_in("viewer")
        masked = await browser.get(AUDIO)
        vcon = (await browser.get(f"/tickets/{NUMBER}/transcript.vcon?audio=inline")).json()
        compress(context, "flac")
        heard = await browser.get(AUDIO)
        assert heard.content == masked.content
        assert heard.headers["content-type"] == "audio/wav"
        assert (await viewer.get(AUDIO)).status_code == 403
        middle = len(whole) // 2
        for start, end in ((0, 43), (middle, middle + 70_000), (len(whole) - 1, len(whole) - 1)):
            part = await browser.get(AUDIO, range=f"bytes={start}-{end}", if_range=heard.headers["etag"])
            assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {start}-{end}/{len(whole)}")
            assert part.content == masked.content[start : end + 1]
        assert (await browser.get(AUDIO, range=f"bytes={len(whole)}-")).status_code == 416
        assert (await browser.get("/recordings/c0ffee/peaks")).status_code == 200
        assert (await browser.get(f"/tickets/{NUMBER}/transcript.vcon?audio=inline")).json()["dialog"] == vcon["dialog"]
        await unmask(browser)
        assert (await browser.post(DOWNLOAD)).content == whole
        part = await export(browser, 1000, 2000, format="wav")
        assert np.array_equal(samples(part.content), samples(whole)[8000:16_000])


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
async def test_numbers_are_hidden_in_opus_where_they_were_said(context: ConsoleContext) -> None:
    told, speech = number_frames(context), samples(original(context))
    compress(context, "opus")
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        heard = samples((await browser.get(AUDIO)).content)
        assert abs(len(heard) - len(speech)) <= 8
        assert np.abs(heard[told]).max() <= TONE_LEVEL
        await unmask(browser)
        full = samples((await browser.get(AUDIO)).content)
        assert np.abs(full[told]).max() > TONE_LEVEL


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
async def test_a_compressed_recording_that_is_damaged_or_gone_is_a_clear_error(context: ConsoleContext) -> None:
    compress(context, "flac")
    context.store.put_bytes(b"no sound", "2026/01/05/c0ffee.flac")
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        assert (await browser.get(AUDIO)).status_code == 500
        context.store.delete("2026/01/05/c0ffee.flac")
        gone = await browser.get(AUDIO)
        assert (gone.status_code, "录音文件缺失" in gone.text) == (404, True)


@pytest.mark.parametrize(
    ("start", "end", "form", "status", "message"),
    [
        (2000, 2000, "wav", 400, "终点"),
        (0, 600_001, "wav", 400, "片段最长 600 秒"),
        (3_000_000, 3_001_000, "wav", 400, "结束之后"),
        (-1, 5, "wav", 400, "start_ms"),
        (0, 2**31, "wav", 400, "end_ms"),
        (0, 1000, "exe", 400, "format"),
    ],
)
async def test_a_senseless_excerpt_is_a_clear_error_and_no_download(
    context: ConsoleContext, start: int, end: int, form: str, status: int, message: str
) -> None:
    async with browse(context) as browser:
        await browser.sign_in("admin")
        answer = await export(browser, start, end, format=form)
        assert answer.status_code == status
        assert message in answer.text
        assert (await browser.get("/tickets/YQ1/recording/span?start_ms=0&end_ms=9")).status_code == 404
    assert logged(context, "download") == []


async def test_what_is_not_transcribed_is_heard_with_a_reason_only(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        session.execute(update(Evidence).values(segment_id=None))
        session.execute(delete(Segment))
        session.execute(delete(Transcript))
    async with browse(context) as browser:
        await browser.sign_in("admin")
        text = (await browser.get(f"/tickets/{NUMBER}")).text
        assert "录音还没有转写" in text
        assert "data-audio" not in text
        for answer in (await browser.get(AUDIO), await browser.post(DOWNLOAD), await export(browser, 0, 1000)):
            assert answer.status_code == 409
            assert "还没有转写" in answer.text
        assert logged(context, "hear", "download") == []
        await browser.get(f"/tickets/{NUMBER}")
        await unmask(browser)
        assert (await browser.get(AUDIO)).content == original(context)
        assert "data-audio" in (await browser.get(f"/tickets/{NUMBER}")).text


async def test_what_any_version_of_the_transcript_knows_is_hidden(context: ConsoleContext) -> None:
    told = number_frames(context)
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        masked = (await browser.get(AUDIO)).content
        with context.database.transaction() as session:
            now = context.clock.now()
            words = [
                ["路灯", 100, 600, 0.9],
                *[[digit, 700 + 100 * at, 800 + 100 * at, 0.9] for at, digit in enumerate("069101234")],
            ]
            segment = Segment(
                position=0, speaker="caller", start_ms=100, end_ms=1600, text="路灯069101234", confidence=1, words=words
            )
            session.add(
                Transcript(
                    call_id="c0ffee", version=2, origin="edit", engine="", model="", demo_model=False, created_at=now,
                    segments=[segment],
                )
            )  # fmt: skip
        heard = samples((await browser.get(AUDIO)).content)
        assert np.array_equal(heard[told], samples(masked)[told])
        assert np.abs(heard[6000:12_000]).max() <= TONE_LEVEL


async def test_a_hold_is_placed_and_released_by_administrators_with_a_reason(context: ConsoleContext) -> None:
    page = f"/tickets/{NUMBER}"
    async with browse(context) as browser, browse(context) as other:
        await other.sign_in("reviewer")
        assert (await other.post(f"{page}/hold", reason="诉讼取证")).status_code == 403
        assert "法律保全" not in (await other.get(page)).text
        await browser.sign_in("admin")
        assert (await browser.post(f"{page}/hold", reason=" ")).status_code == 400
        assert (await browser.post(f"{page}/hold", reason="诉讼取证")).status_code == 303
        assert (await browser.post(f"{page}/hold", reason="诉讼取证")).status_code == 409
        assert ">法律保全</span>" in (await other.get(page)).text
        assert "解除保全" in (await browser.get(page)).text
        assert (await browser.post(f"{page}/release", reason="已结案")).status_code == 303
        assert ">法律保全</span>" not in (await browser.get(page)).text
        assert (await browser.post("/tickets/YQ1/hold", reason="诉讼取证")).status_code == 404
    assert logged(context, "hold", "release_hold") == [
        ("admin", "hold", "c0ffee", "诉讼取证"),
        ("admin", "release_hold", "c0ffee", "已结案"),
    ]


async def test_a_deleted_recording_is_told_with_its_certificate(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        session.scalars(select(Ticket)).one().state = "closed"
    assert isinstance(context.clock, ManualClock)
    context.clock.advance(timedelta(days=1100).total_seconds())
    Retention(
        settings=context.settings,
        database=context.database,
        store=context.store,
        purge_log=purge_log,
        clock=context.clock,
    ).run(actor="system")
    async with browse(context) as browser:
        await browser.sign_in("admin")
        text = (await browser.get(f"/tickets/{NUMBER}")).text
        assert "录音已按保存期限删除，见删除证书第 1 号" in text
        assert "张山营镇" in text, "the transcript stays"
        for path in (AUDIO, "/recordings/c0ffee/peaks", f"{SPAN}?start_ms=0&end_ms=9"):
            assert (await browser.get(path)).status_code == 404


async def test_keys_pressed_in_a_row_are_hidden(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        keys = [{"kind": "digit", "digit": "7", "offset_ms": 3000 + 200 * at} for at in range(6)]
        session.get_one(Call, "c0ffee").details = {"entries": keys}
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        heard = samples((await browser.get(AUDIO)).content)
        assert np.abs(heard[24_000:32_000]).max() <= TONE_LEVEL


async def test_a_recording_without_numbers_is_heard_as_it_is(context: ConsoleContext) -> None:
    with context.database.transaction() as session:
        for segment in session.scalars(select(Segment)):
            if "1380" in segment.text:
                session.delete(segment)
    async with browse(context) as browser:
        await browser.sign_in("reviewer")
        assert (await browser.get(AUDIO)).content == original(context)
        assert "以提示音代替" not in (await browser.get(f"/tickets/{NUMBER}")).text
