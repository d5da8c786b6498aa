import gc
import weakref

import pytest

from hotline.collector import CALLS_PER_DUE, LEAST_DUE, collect_if_due, take_over


class Knot:
    """A cycle, which only a collection frees."""

    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def _collector():
    thresholds = gc.get_threshold()
    take_over()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def aged_knot():
    """A weak reference to garbage that outlived the young generations."""
    knot = Knot()
    reference = weakref.ref(knot)
    gc.collect(1)
    del knot
    return reference


def grow(times):
    for _ in range(times):
        gc.collect(1)


def test_old_garbage_stays_until_enough_objects_were_made():
    knot = aged_knot()
    grow(LEAST_DUE - 2)
    assert not collect_if_due(calls=0)
    assert knot() is not None
    grow(1)
    assert collect_if_due(calls=0)
    assert knot() is None
    assert not collect_if_due(calls=0)


def test_many_calls_put_a_full_collection_off():
    calls = 4 * LEAST_DUE * CALLS_PER_DUE
    knot = aged_knot()
    grow(4 * LEAST_DUE - 2)
    assert not collect_if_due(calls=calls)
    grow(1)
    assert collect_if_due(calls=calls)
    assert knot() is None


def test_no_full_collection_happens_by_itself():
    knot = aged_knot()
    kept = [[] for _ in range(200_000)]
    assert gc.get_count()[2] > LEAST_DUE
    assert knot() is not None
    assert len(kept) == 200_000
