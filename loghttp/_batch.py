"""Encoded events, batches of them, and the rule for when a batch is due.

Rule: events and batches are values that never change; a batch that must become smaller becomes new batches.
The outbox is where events wait; it knows no thread, and the buffer guards it by its lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

EVENT_COST: Final = 250
"""Bytes that a waiting event occupies besides its body (tracemalloc, CPython 3.11)."""


class Event(NamedTuple):
    """One encoded record. A named tuple, as one is made for every record."""

    body: bytes
    created: float
    """The record's own time, seconds since 1970: for telling which records were lost."""
    born: float
    """Monotonic seconds when it was encoded: for knowing its age."""

    @property
    def cost(self) -> int:
        """Bytes it is taken to occupy in memory."""
        return EVENT_COST + len(self.body)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that leave in one request."""

    events: tuple[Event, ...]
    attempts: int = 0
    """How often it, or a larger batch that it was part of, was sent."""

    def __len__(self) -> int:
        return len(self.events)

    @property
    def bodies(self) -> list[bytes]:
        return [event.body for event in self.events]

    def split(self, hint: int | None = None) -> list[Batch]:
        """Smaller batches, in order: around the event that the intake named, else halves."""
        events = self.events
        if hint is not None and hint < len(events):
            parts = [events[:hint], events[hint : hint + 1], events[hint + 1 :]]
        else:
            middle = len(events) // 2
            parts = [events[:middle], events[middle:]]
        return [Batch(part, self.attempts) for part in parts if part]


class Marker:
    """What `flush` sends along with the records: when it has come through, so has all that was before it."""

    def __init__(self) -> None:
        self.passed = threading.Event()
        self.in_time = False

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

    def put(self, event: Event) -> None:
        self._items.append(event)
        self._count += 1
        self._bytes += len(event.body)

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
        events: list[Event] = []
        size = 0
        while self._items and len(events) < self._batch_events and isinstance(event := self._items[0], Event):
            if events and size + len(event.body) > self._batch_bytes:
                break
            size += len(event.body)
            events.append(event)
            self._items.popleft()
        self._count -= len(events)
        self._bytes -= size
        self.urgent = self.urgent and self._count > 0
        return events

    def take_marker(self) -> Marker | None:
        """The marker at the head, if there is one: nothing is before it any more."""
        if self._items and isinstance(marker := self._items[0], Marker):
            self._items.popleft()
            return marker
        return None

    def take_oldest(self) -> Event | None:
        event = pop_oldest(self._items)
        if event is not None:
            self._count -= 1
            self._bytes -= len(event.body)
        return event

    def clear(self) -> None:
        self._items.clear()
        self._count = self._bytes = 0


_Item = TypeVar("_Item")


def pop_oldest(items: deque[_Item | Marker]) -> _Item | None:
    """Remove and return the first item that is no marker."""
    for index, item in enumerate(items):
        if not isinstance(item, Marker):
            del items[index]
            return item
    return None
