"""A conversation at a site in memory: who talks with whom, and what they hear."""

import numpy as np
from call_rig import PROMPTS, Leg, Placed, Site
from media_rig import Media

from ivr.calls.call import Call


def talk(site: Site) -> tuple[Call, Leg, Placed]:
    """A caller of the hotline who talks to the seat 8001."""
    site.exchange.seats.sign_in("8001", ("operator",))
    caller = site.place(None)
    seat = site.loop.to("8001")
    seat.answer()
    site.loop.run()
    return site.only_call(), caller, seat


def hears(site: Site, hearer: str, source: str) -> bool:
    return site.engine.calls[0].hears(hearer, source)


def leg(site: Site, name: str) -> Media:
    """The latest leg of a party in the first call."""
    return [each for key, each in site.engine.calls[0].legs.items() if key.split("/")[0] == name][-1]


def plays_music(media: Media) -> bool:
    return media.looped and np.array_equal(media.plays[-1][1], PROMPTS.samples("hold_music"))
