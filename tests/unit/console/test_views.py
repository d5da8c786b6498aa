from datetime import UTC, datetime

from asr.models import Segment, Transcript
from console.views import VoiceQuality, Word, facts, ticket_row, timed, utterances, voice_quality, without_fillers
from recordings.models import Call, CallQuality
from tickets.models import Evidence, Ticket, TicketEvent

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
ROWS = [["我", 0, 200, 0.9], ["坏", 200, 400, 0.3], ["了", 400, 600, 0.9], ["来", 1000, 1200, 0.9]]


def make_ticket(**values: object) -> Ticket:
    defaults = {
        "number": "YQ20260105000011",
        "state": "to_dispatch",
        "tier": "T2",
        "type": "help",
        "category": "供暖/煤改电设备",
        "title": "回电13800138000",
        "caller_name": "张",
        "phone": "13800138000",
        "place": "张山营镇",
        "overlay": "",
        "address": "",
        "community": "",
        "petitioner": {},
        "flags": [],
        "created_at": NOW,
    }
    return Ticket(**(defaults | values), evidence=[], events=[TicketEvent(sequence=1, at=NOW, kind="created")])


def test_recognised_text_keeps_its_punctuation_and_its_words_keep_their_times() -> None:
    assert timed("我坏了，来。", ROWS) == (
        Word("我", 0, 200),
        Word("坏", 200, 400, unsure=True),
        Word("了，", 400, 600),
        Word("来。", 1000, 1200),
    )


def test_spoken_digits_shown_as_figures_seek_digit_by_digit() -> None:
    rows = [[digit, at * 100, at * 100 + 100, 0.9] for at, digit in enumerate("幺三八零零幺三八零零零")]
    words = timed("13800138000。", rows)
    assert "".join(word.text for word in words) == "13800138000。"
    assert [word.start_ms for word in words] == [at * 100 for at in range(11)]


def test_a_person_s_edit_is_shown_and_what_it_left_keeps_its_times() -> None:
    assert timed("我家坏了，快来。", ROWS) == (
        Word("我家", 0, 200),
        Word("坏", 200, 400, unsure=True),
        Word("了，快", 400, 600),
        Word("来。", 1000, 1200),
    )
    assert "".join(word.text for word in timed("完全改写过的文字", ROWS)) == "完全改写过的文字"


def spoken(*texts: str) -> list[list[object]]:
    return [[text, at * 100, at * 100 + 100, 0.9] for at, text in enumerate(texts)]


def test_fillers_are_marked_and_go_where_a_reader_wants_none() -> None:
    segment = Segment(
        position=0,
        speaker="caller",
        start_ms=0,
        end_ms=600,
        text="嗯，我我家停水了。",
        words=spoken("嗯", "我", "我家", "停水", "了"),
    )
    shown = utterances(Transcript(segments=[segment]), masked=True)
    assert [word.text for word in shown[0].words if word.filler] == ["嗯，", "我"]
    left = without_fillers(shown)[0].words
    assert [(word.text, word.start_ms) for word in left] == [("我家", 200), ("停水", 300), ("了。", 400)]


def test_a_name_that_was_corrected_tells_what_was_heard_and_a_number_does_not() -> None:
    words = timed("在妫水北街302。", spoken("在", "桂", "水", "北街", "三零二"))
    assert [(word.text, word.heard) for word in words][:3] == [("在", ""), ("妫", "桂"), ("水", "")]
    assert not any(word.heard for word in words[3:])


def test_damaged_words_leave_the_text_of_the_segment() -> None:
    for words in ([["我", 5]], [["我", 9, 3, 0.5]], [["", 0, 1, 0.5]], ["我"]):
        segment = Segment(position=0, speaker="caller", start_ms=5, end_ms=90, text="我坏了", words=words)
        shown = utterances(Transcript(segments=[segment]), masked=True)
        assert shown[0].words == (Word("我坏了", 5, 90),)


def test_a_phone_in_the_transcript_is_masked_across_words() -> None:
    rows = [[digit, at * 100, at * 100 + 100, 0.9] for at, digit in enumerate("幺三八零零幺三八零零零")]
    segment = Segment(position=0, speaker="caller", start_ms=0, end_ms=1100, text="13800138000。", words=rows)
    transcript = Transcript(segments=[segment])
    assert "".join(word.text for word in utterances(transcript, masked=True)[0].words) == "138****8000。"
    assert "".join(word.text for word in utterances(transcript, masked=False)[0].words) == "13800138000。"


def test_a_phone_told_in_two_breaths_is_masked_across_segments() -> None:
    spoken = [("caller", "电话1380。"), ("hotline", "请说"), ("caller", "0138000。")]
    segments = [
        Segment(position=at, speaker=speaker, start_ms=at * 1000, end_ms=at * 1000 + 900, text=text, words=[])
        for at, (speaker, text) in enumerate(spoken)
    ]
    shown = [
        "".join(word.text for word in item.words) for item in utterances(Transcript(segments=segments), masked=True)
    ]
    assert shown == ["电话138*。", "请说", "***8000。"]


def test_both_sides_stand_in_the_order_of_speech() -> None:
    segments = [
        Segment(position=at, speaker=speaker, start_ms=start, end_ms=start + 1, text=speaker, words=[])
        for at, (speaker, start) in enumerate([("caller", 900), ("hotline", 0), ("seat", 500)])
    ]
    shown = utterances(Transcript(segments=segments), masked=True)
    assert [item.speaker for item in shown] == ["hotline", "seat", "caller"]
    assert utterances(None, masked=True) == ()


def test_the_list_never_shows_a_whole_phone_number() -> None:
    row = ticket_row(make_ticket())
    assert row.phone == "138****8000"
    assert "13800138000" not in repr(row)


def test_facts_carry_their_evidence_and_mask_it() -> None:
    ticket = make_ticket()
    ticket.evidence = [
        Evidence(field="phone", value="13800138000", source="transcript", confidence=0.876, quote="电话13800138000",
                 start_ms=1200, end_ms=3400),
    ]  # fmt: skip
    shown = {fact.field: fact for fact in facts(ticket, masked=True)}
    assert "13800138000" not in repr(shown)
    proof = shown["phone"].proof
    assert proof is not None
    assert (proof.start_ms, proof.end_ms, proof.percent) == (1200, 3400, 88)
    assert shown["category"].value == "供暖 / 煤改电设备"
    assert shown["tier"].proof is None
    assert "overlay" not in shown
    full = {fact.field: fact for fact in facts(ticket, masked=False)}
    assert full["phone"].value == "13800138000"


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert {fact.field: fact.value for fact in facts(make_ticket(type="brand_new"), masked=True)}["type"] == "brand_new"


def test_a_flag_is_a_fact_with_its_evidence() -> None:
    ticket = make_ticket(flags=["emergency"])
    ticket.evidence = [
        Evidence(
            field="emergency", value="gas", source="transcript", confidence=1.0, quote="煤气味", start_ms=5, end_ms=9
        )
    ]
    flag = facts(ticket, masked=True)[-1]
    assert (flag.name, flag.value) == ("标记", "紧急")
    assert flag.proof is not None
    assert flag.proof.quote == "煤气味"


def test_the_worse_direction_of_the_caller_s_stream_is_the_call_s_quality() -> None:
    measured = {"received_loss": 0.012, "received_jitter_ms": 3.4, "received_mos": 4.32}
    reported = {"sent_loss": 0.1, "sent_jitter_ms": 7.0, "sent_mos": 3.21, "round_trip_ms": 41.5}
    seat = CallQuality(position=0, party="8001", received_mos=1.0)
    call = Call(qualities=[seat, CallQuality(position=1, party="caller", **measured, **reported)])
    assert voice_quality(call) == VoiceQuality(
        mos="3.2", details="收：丢包 1.2 %，抖动 3 毫秒；发：丢包 10.0 %，抖动 7 毫秒；往返 42 毫秒"
    )
    unreported = Call(qualities=[CallQuality(position=0, party="caller", **measured)])
    assert voice_quality(unreported) == VoiceQuality(mos="4.3", details="收：丢包 1.2 %，抖动 3 毫秒")


def test_a_call_of_which_nothing_was_measured_has_no_quality() -> None:
    assert voice_quality(Call(qualities=[CallQuality(position=0, party="caller")])) is None
    assert voice_quality(Call(qualities=[CallQuality(position=0, party="8001", received_mos=4.0)])) is None


def test_what_was_observed_and_who_calls_are_facts_where_they_are_known() -> None:
    ticket = make_ticket(
        flags=["vulnerable"], petitioner={"enterprise": "某某公司", "credit_code": "91350100M000100Y43"}
    )
    ticket.evidence = [
        Evidence(field=field, value=value, source="transcript", confidence=0.8, quote=value)
        for field, value in (("wants", "尽快派人来修"), ("mood", "upset"), ("vulnerable", "老人、婴幼儿"))
    ]
    shown = {fact.field: fact.value for fact in facts(ticket, masked=True)}
    assert (shown["wants"], shown["mood"], shown["enterprise"]) == ("尽快派人来修", "焦急", "某某公司")
    assert shown["vulnerable"] == "需要关照：老人、婴幼儿"
    assert shown["credit_code"] == "913***********0Y43"
    assert not {"amounts", "gender", "id_number"} & set(shown)


def test_number_told_in_any_words_is_hidden_with_its_evidence() -> None:
    ticket = make_ticket(petitioner={"id_number": "11010519491231002X"})
    ticket.evidence = [
        Evidence(
            field="phone", value="13800138000", source="transcript", confidence=0.6, quote="幺三八零零要三八零零零"
        ),
    ]
    shown = {fact.field: fact for fact in facts(ticket, masked=True)}
    proof = shown["phone"].proof
    assert proof is not None
    assert proof.quote == "幺三八****八零零零"
    assert shown["id_number"].value == "110***********002X"
    assert {fact.field: fact.value for fact in facts(ticket, masked=False)}["id_number"] == "11010519491231002X"
