import numpy as np

from demo.listening import Heard, Listener, level_dbfs

LOUD, QUIET = -20.0, -120.0


def listen(levels: list[float], *, quiet_s: float = 0.7) -> list[tuple[int, Heard]]:
    listener = Listener(quiet_s=quiet_s)
    told = []
    for tick, level in enumerate(levels):
        heard = listener.update(level, tick * 0.02)
        if heard is not None:
            told.append((tick, heard))
    return told


def test_ones_turn_comes_when_speech_was_followed_by_quiet() -> None:
    told = listen([QUIET] * 10 + [LOUD] * 50 + [QUIET] * 60)
    assert [tick for tick, _ in told] == [94]
    assert told[0][1] == Heard(start_s=0.2, end_s=1.18)


def test_a_pause_between_clauses_is_not_ones_turn() -> None:
    assert len(listen(([LOUD] * 20 + [QUIET] * 25) * 3 + [QUIET] * 40)) == 1


def test_silence_alone_is_nobodys_turn() -> None:
    assert listen([QUIET] * 500) == []


def test_levels_are_in_decibels_of_full_scale() -> None:
    assert round(level_dbfs(np.full(160, 32767, np.int16))) == 0
    assert round(level_dbfs(np.full(160, 3277, np.int16))) == -20
    assert level_dbfs(np.zeros(160, np.int16)) == -120
    assert level_dbfs(np.zeros(0, np.int16)) == -120
