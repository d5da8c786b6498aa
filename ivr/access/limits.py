"""How much a peer may ask, and who is not heard any more. Pure: times are seconds of any clock that never goes back.

A trunk's address is never banned: whoever forges a packet with it would shut the city's callers out. Its calls are
limited instead (`PeerLimits`). Strangers who guess or scan are banned by address (`BanList`) and get no answer at all.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

SCANNERS = re.compile(  # what these programs call themselves
    r"friendly-scanner|sipvicious|sip-?scan|sipcli|sundayddr|vaxsip|pplsip|sipptk|iwar|smap|sipsak|svmap|svwar|svcrack",
    re.IGNORECASE,
)


def is_scanner(user_agent: str) -> bool:
    """Whether a User-Agent is a known scanner's."""
    return SCANNERS.search(user_agent) is not None


@lru_cache(maxsize=4096)
def numeric_address(host: str) -> IPv4Address | IPv6Address | None:
    """`host` as it stands in SIP (an IPv6 address in brackets), None where it is a name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def most_specific(host: str, networks: tuple[Network, ...]) -> int:
    """Length of the longest prefix among `networks` that holds `host`, -1 where none does."""
    address = numeric_address(host)
    return max((network.prefixlen for network in networks if address is not None and address in network), default=-1)


@dataclass(frozen=True)
class TokenBucket:
    """`tokens` at time `at`; one a call. Full it holds a second's worth, at least one."""

    tokens: float
    at: float

    def refilled(self, now: float, *, rate: float) -> "TokenBucket":
        """Tokens at `now`, with `rate` new ones a second."""
        return TokenBucket(min(max(rate, 1.0), self.tokens + max(0.0, now - self.at) * rate), now)


class PeerLimits:
    """Calls a second and calls at once of each peer; `max_peers` are remembered."""

    def __init__(self, *, calls_per_s: float, calls: int, max_peers: int = 10_000) -> None:
        self._rate = calls_per_s
        self._calls = calls
        self._max_peers = max_peers
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, peer: str, *, in_progress: int, now: float) -> int | None:
        """None where one more call is welcome, else in how many seconds (Retry-After) it may be.

        `in_progress`: the peer's calls at this moment.
        """
        if in_progress >= self._calls:
            return 5
        bucket = self._buckets.pop(peer, TokenBucket(max(self._rate, 1.0), now)).refilled(now, rate=self._rate)
        enough = bucket.tokens >= 1
        self._buckets[peer] = TokenBucket(bucket.tokens - 1, now) if enough else bucket
        if len(self._buckets) > self._max_peers:
            self._buckets.popitem(last=False)
        return None if enough else max(1, round((1 - bucket.tokens) / self._rate))


class BanList:
    """Addresses that are not answered any more, for `ban_s` seconds.

    `offences` refused requests within `window_s` ban; a scanner by its name is banned at once. `exempt` tells who is
    never banned. `max_hosts` of either kind are remembered; the one unheard of for longest is forgotten first.
    """

    def __init__(
        self,
        *,
        offences: int,
        window_s: float,
        ban_s: float,
        exempt: Callable[[str], bool] = lambda _host: False,
        max_hosts: int = 10_000,
    ) -> None:
        self._offences = offences
        self._window_s = window_s
        self._ban_s = ban_s
        self._exempt = exempt
        self._max_hosts = max_hosts
        self._suspects: OrderedDict[str, tuple[float, float]] = OrderedDict()  # first offence, how many
        self._banned: OrderedDict[str, float] = OrderedDict()
        self.counters: Counter[str] = Counter()

    def banned(self, host: str, now: float) -> bool:
        """Whether `host` gets no answer now; being asked for is counted as an ignored message."""
        until = self._banned.get(host)
        if until is None:
            return False
        if until <= now:
            del self._banned[host]
            return False
        self.counters["ignored_banned"] += 1
        return True

    def offence(self, host: str, now: float, *, weight: float = 1.0) -> bool:
        """A request of `host` was refused; whether it is banned by that."""
        self.counters["offences" if weight >= 1 else "minor_offences"] += 1
        if self._exempt(host):
            return False
        since, count = self._suspects.pop(host, (now, 0.0))
        if since + self._window_s <= now:
            since, count = now, 0.0
        if count + weight >= self._offences:
            self._ban(host, now)
            return True
        self._suspects[host] = (since, count + weight)
        if len(self._suspects) > self._max_hosts:
            self._suspects.popitem(last=False)
        return False

    def scanner(self, host: str, now: float) -> bool:
        """`host` says that it is a scanner; whether it is banned by that."""
        self.counters["scanners"] += 1
        if self._exempt(host):
            return False
        self._ban(host, now)
        return True

    def lift(self, host: str) -> None:
        """A person, or a right password, says that `host` is welcome."""
        self._banned.pop(host, None)
        self._suspects.pop(host, None)

    def hosts(self, now: float) -> dict[str, float]:
        """Who is banned, and for how many seconds more."""
        return {host: until - now for host, until in self._banned.items() if until > now}

    def _ban(self, host: str, now: float) -> None:
        self._suspects.pop(host, None)
        self._banned.pop(host, None)
        self._banned[host] = now + self._ban_s
        self.counters["bans"] += 1
        if len(self._banned) > self._max_hosts:
            self._banned.popitem(last=False)
