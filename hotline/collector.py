"""When Python's garbage collector runs in a process that keeps time.

A full collection stops every thread for as long as it takes to visit all objects: with a thousand calls some tenths of
a second. By itself it runs whenever the objects have grown by a quarter, thus again and again while calls come in.
"""

import gc

YOUNG_OBJECTS = 1000
YOUNG_COLLECTIONS = 10
"""A collection of the middle generation visits so many times as many objects: a millisecond or two."""
NEVER = 1 << 30
LEAST_DUE = 5
CALLS_PER_DUE = 10


def take_over() -> None:
    """What exists now (modules, prompts) is visited no more, and full collections happen in `collect_if_due` only."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, NEVER)


def collect_if_due(*, calls: int) -> bool:
    """Collects everything where enough objects were made for it since the last time; returns whether it did.

    The more calls are up, the longer it would take and the more garbage is borne: 50,000 objects, which some hundred
    ended calls leave, for up to 50 calls, and a million for a thousand.
    """
    due = gc.get_count()[2] >= max(LEAST_DUE, calls // CALLS_PER_DUE)
    if due:
        gc.collect()
    return due
