"""Where encoded events wait in memory, with the rule for when a batch of them is due.

Rule: it knows no clock and no lock; the buffer owns it and guards it. Order is kept: nothing overtakes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from loghttp._batch import Event


class Marker:
    """What `flush` sends along with the records: when it has come through, so has all that was before it."""

    def __init__(self) -> None:
        self.passed = threading.Event()
        self.in_time = False
        self.behind: list[tuple[Any, int]] = []
        """In durable mode: the spool files, and the last row in each when the marker came by."""

    def release(self, in_time: bool) -> None:
        self.in_time = in_time
        self.passed.set()


class Outbox:
    """Events that wait to be sent, and markers between them, in order."""

    def __init__(self, batch_events: int, batch_bytes: int, flush_interval: float) -> None:
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._flush_interval = flush_interval
        self._items: deque[Event | Marker] = deque()
        self._bytes = 0  # of the events' bodies
        self._count = 0  # of events
        self.urgent = False
        """Whether an event that must not wait is among them."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event | Marker]:
        return iter(self._items)

    def put(self, events: Sequence[Event]) -> None:
        self._items.extend(events)
        self._count += len(events)
        self._bytes += sum([len(event.body) for event in events])

    def put_marker(self, marker: Marker) -> None:
        self._items.append(marker)

    def due_in(self, now: float) -> float:
        """Seconds until the next batch should leave; 0 or less: now; infinite: nothing waits."""
        if not self._count:
            return float("inf")
        if self.urgent or self._count >= self._batch_events or self._bytes >= self._batch_bytes:
            return 0.0
        oldest = self._items[0]
        return oldest.born + self._flush_interval - now if isinstance(oldest, Event) else 0.0

    def take_batch(self) -> list[Event]:
        """The oldest events, as many as one request may carry, but none from behind a marker."""
        items = self._items
        count = min(self._batch_events, self._count)
        if len(items) > self._count:  # there are markers
            count = min(count, next(at for at, item in enumerate(items) if isinstance(item, Marker)))
        events: list[Any] = [items.popleft() for _ in range(count)]
        size = sum([len(event.body) for event in events])
        while size > self._batch_bytes and len(events) > 1:
            items.appendleft(events.pop())
            size -= len(items[0].body)  # type: ignore[union-attr]  # no marker
        self._count -= len(events)
        self._bytes -= size
        self.urgent = self.urgent and self._count > 0
        return events

    def next_marker(self) -> Marker | None:
        """As `take_marker`, but it stays where it is."""
        return marker if self._items and isinstance(marker := self._items[0], Marker) else None

    def take_marker(self) -> Marker | None:
        """The marker at the head, if there is one: nothing is before it any more."""
        if self._items and isinstance(marker := self._items[0], Marker):
            self._items.popleft()
            return marker
        return None

    def take_oldest(self) -> Event | None:
        for index, event in enumerate(self._items):
            if isinstance(event, Event):
                del self._items[index]
                self._count -= 1
                self._bytes -= len(event.body)
                return event
        return None

    def take_latest(self) -> Event | None:
        """The event that was put last, if no marker came after it."""
        if not self._items or not isinstance(event := self._items[-1], Event):
            return None
        self._items.pop()
        self._count -= 1
        self._bytes -= len(event.body)
        return event

    def clear(self) -> None:
        self._items.clear()
        self._count = self._bytes = 0
