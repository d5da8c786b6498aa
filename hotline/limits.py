"""How many descriptors the media process may hold open (getrlimit(2), RLIMIT_NOFILE), and how many its calls need."""

import resource

PER_CALL = 8
"""RTP and RTCP of two parties, the recording, two tracks and the journal."""
BESIDES = 256
"""Of the process itself: SIP, broker, captions, models, logs."""


def descriptors_needed(max_calls: int) -> int:
    """What a media process needs for so many calls at once."""
    return BESIDES + PER_CALL * max_calls


def raise_descriptor_limit(needed: int) -> int:
    """Raises this process's soft limit to `needed`, or as near as the hard limit allows; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
