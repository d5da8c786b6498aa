import numpy as np

from ivr.media.playback import Playback


def piece(length, value):
    return np.full(length, value, np.int16)


def frames(playback):
    """All that is left to play: (the frame's values with their counts, tokens ended)."""
    played = []
    while playback:
        frame = np.zeros(160, np.int16)
        ended = playback.fill(frame)
        played.append(([(int(value), int((frame == value).sum())) for value in dict.fromkeys(frame.tolist())], ended))
    return played


def test_pieces_play_in_order_each_padded_to_a_whole_frame():
    playback = Playback()
    playback.add(piece(200, 1), token=11)
    playback.add(piece(160, 2), token=22)
    assert frames(playback) == [([(1, 160)], []), ([(1, 40), (0, 120)], [11]), ([(2, 160)], [22])]


def test_empty_piece_ends_without_delaying_the_next():
    playback = Playback()
    playback.add(piece(0, 0), token=1)
    playback.add(piece(160, 5), token=2)
    playback.add(piece(0, 0), token=3)
    assert frames(playback) == [([(5, 160)], [1, 2]), ([(0, 160)], [3])]


def test_clearing_names_what_did_not_end_and_the_next_piece_starts_at_its_start():
    playback = Playback()
    playback.add(piece(400, 1), token=1)
    playback.add(piece(400, 2), token=2)
    playback.fill(np.zeros(160, np.int16))
    assert playback.clear() == [1, 2]
    assert not playback
    playback.add(piece(160, 3), token=3)
    assert frames(playback) == [([(3, 160)], [3])]


def test_looped_piece_repeats_without_a_gap_until_cleared():
    playback = Playback()
    playback.add(np.arange(250, dtype=np.int16), token=1, loop=True)
    playback.add(piece(10, 9), token=2)
    played = np.zeros((5, 160), np.int16)
    assert [playback.fill(frame) for frame in played] == [[]] * 5
    assert np.array_equal(played.ravel(), np.resize(np.arange(250), 800))
    assert playback.clear() == [1, 2]


def test_looped_piece_shorter_than_a_frame_fills_it():
    playback = Playback()
    playback.add(np.array([1, 2, 3], np.int16), token=1, loop=True)
    frame = np.zeros(160, np.int16)
    playback.fill(frame)
    assert np.array_equal(frame, np.resize([1, 2, 3], 160))


def test_looped_nothing_ends_at_once():
    playback = Playback()
    playback.add(piece(0, 0), token=1, loop=True)
    assert frames(playback) == [([(0, 160)], [1])]
