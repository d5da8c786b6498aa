from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from recordings.certificates import GENESIS, Certificate, as_text, faults, sealed

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


def chain(count):
    made, previous = [], GENESIS
    for number in range(1, count + 1):
        files = [{"name": f"{number}.wav", "sha256": "ab" * 32, "size_bytes": 44}]
        made.append(
            sealed(
                Certificate(
                    number=number, at=NOW, kind="audio", call_id=f"c{number}", ticket="YQ1", rule="audio 2y",
                    due_at=NOW, actor="system", files=files, previous=previous, digest="",
                )
            )
        )  # fmt: skip
        previous = made[-1].digest
    return made


@given(st.integers(2, 8), st.data())
def test_a_certificate_changed_or_taken_out_shows(count, data):
    made = chain(count)
    assert list(faults(made)) == []
    place = data.draw(st.integers(0, count - 1))
    changed = made.copy()
    changed[place] = replace(made[place], rule="audio 1d")
    assert [number for number, _ in faults(changed)] == [place + 1]
    resealed = made.copy()
    resealed[place] = sealed(changed[place])
    assert [number for number, _ in faults(resealed)] == ([place + 2] if place + 1 < count else [])
    gone = made[:place] + made[place + 1 :]
    assert [number for number, _ in faults(gone)] == ([place + 2] if place + 1 < count else [])


def test_a_certificate_prints_what_it_proves():
    text = as_text(chain(1)[0])
    for shown in ("第 1 号", "c1", "YQ1", "audio 2y", "1.wav", "ab" * 32, GENESIS):
        assert shown in text
