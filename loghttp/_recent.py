"""Events that are on disk and still in memory: the courier mostly wants what was written a moment ago.

Rule: a run of rows without a gap, bounded in bytes; it is never the only place where an event is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from loghttp._batch import Event, cost


class Recent:
    """The rows that were appended lately, up to the first that did not fit."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0

    @property
    def last(self) -> int | None:
        """The last row held."""
        return self._events[-1].row if self._events else None

    def put(self, events: Sequence[Event], first: int, most: int) -> None:
        """Add rows, the next of which is `first`, if all that is held then occupies at most `most` bytes."""
        size = cost(events)
        if self._bytes + size <= most:
            self._events.extend(
                [Event(body, created, born, row) for row, (body, created, born, _) in enumerate(events, first)]
            )
            self._bytes += size

    def take(self, first: int, most_events: int, most_bytes: int) -> list[Event] | None:
        """The oldest rows from `first` on, at least one; None: that row has to be read from disk."""
        held = self._events
        while held and held[0].row < first:
            self._bytes -= held.popleft().cost
        if not held or held[0].row > first:
            return None
        events = [held.popleft() for _ in range(min(most_events, len(held)))]
        size = sum([len(event.body) for event in events])
        while size > most_bytes and len(events) > 1:
            held.appendleft(events.pop())
            size -= len(held[0].body)
        self._bytes -= cost(events)
        return events
