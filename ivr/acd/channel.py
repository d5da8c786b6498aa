"""An ordered stream of items each way over frames that may be lost, doubled or overtaken (go-back-N).

One end numbers what it sends from 0; the other takes item n only after n - 1 and says how many it has. A frame holds
all that is not acknowledged, so the next one makes good for a lost one. One channel serves one session.
"""

from collections import deque
from itertools import islice

from ivr.acd.wire import Item

MAX_ITEMS = 100  # of one frame; what is beyond goes when those before it are acknowledged


class Channel:
    """One end. `due`: there is something that the other end has not been sent."""

    def __init__(self) -> None:
        self.due = False
        self.received = 0
        self._unacknowledged: deque[Item] = deque()
        self._base = 0  # number of the first of them

    def send(self, item: Item) -> None:
        """Queues an item."""
        self._unacknowledged.append(item)
        self.due = True

    def take(self, *, first: int, received: int, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """What a frame brings that is next in order; nothing where one before it is missing."""
        for _ in range(min(received - self._base, len(self._unacknowledged))):
            self._unacknowledged.popleft()
            self._base += 1
            self.due = self.due or len(self._unacknowledged) >= MAX_ITEMS
        known = self.received - first
        new = items[known:] if known >= 0 else ()
        self.received += len(new)
        self.due = self.due or bool(items)  # an acknowledgement
        return new

    def frame(self) -> tuple[int, tuple[Item, ...]]:
        """The number of the first item of the next frame, and its items."""
        self.due = False
        return self._base, tuple(islice(self._unacknowledged, MAX_ITEMS))
