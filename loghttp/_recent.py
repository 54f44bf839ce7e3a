"""Events that are on disk and still in memory: the courier mostly wants what was written a moment ago.

Rule: a run of rows without a gap, bounded in bytes; it is never the only place where an event is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final

from loghttp._batch import EVENT_COST, Event

_make: Final[Callable[[Any], Event]] = partial(tuple.__new__, Event)  # as `Event._make`, in half the time


class Recent:
    """The rows that were appended lately, up to the first that did not fit."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0

    @property
    def last(self) -> int | None:
        """The last row held."""
        return self._events[-1].row if self._events else None

    def put(self, events: Sequence[Event], size: int, first: int, most: int) -> None:
        """Add rows, the next of which is `first`, of `size` bytes, if all that is held then has at most `most`."""
        size += EVENT_COST * len(events)
        if self._bytes + size <= most:
            bodies, created, born, _ = zip(*events, strict=True)
            self._events.extend(map(_make, zip(bodies, created, born, count(first), strict=False)))
            self._bytes += size

    def take(self, first: int, most_events: int, most_bytes: int) -> list[Event] | None:
        """The oldest rows from `first` on, at least one; None: that row has to be read from disk."""
        held = self._events
        while held and held[0].row < first:
            self._bytes -= EVENT_COST + len(held.popleft().body)
        if not held or held[0].row > first:
            return None
        events = [held.popleft() for _ in range(min(most_events, len(held)))]
        size = sum([len(event.body) for event in events])
        while size > most_bytes and len(events) > 1:
            held.appendleft(events.pop())
            size -= len(held[0].body)
        self._bytes -= EVENT_COST * len(events) + size
        return events
