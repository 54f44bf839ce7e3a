"""Encoded events and batches of them.

Rule: both are values that never change; a batch that must become smaller becomes new batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

EVENT_COST: Final = 250
"""Bytes that a waiting event occupies besides its body (tracemalloc, CPython 3.11)."""
_LARGE: Final = 4_096
"""Bytes of a body, from which on it counts twice: malloc cannot use again all that lies between such blocks, and a
batch of them is there three times while it is sent (measured with glibc 2.36: `test_memory_is_bounded`)."""


class Event(NamedTuple):
    """One encoded record. A named tuple, as one is made for every record."""

    body: bytes
    created: float
    """The record's own time, seconds since 1970: for telling which records were lost."""
    born: float
    """Monotonic seconds when it was encoded: for knowing its age."""
    row: int = 0
    """Its row in the spool; 0: it is in memory only."""

    @property
    def cost(self) -> int:
        """Bytes it is taken to occupy in memory."""
        return cost((self,))


def cost(events: Sequence[Event]) -> int:
    """Bytes that they are taken to occupy in memory."""
    sizes = [len(event.body) for event in events]
    total = EVENT_COST * len(sizes) + sum(sizes)
    if sizes and max(sizes) >= _LARGE:
        total += sum([size for size in sizes if size >= _LARGE])
    return total


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
