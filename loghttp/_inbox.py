"""Where records wait for the listener.

Rule: the program's threads append plain records without a lock, as long as there is `room`: under a lock, four
threads that log take 54 µs a call, most of it waiting for each other, and 8 µs without (`deque.append` is atomic).
Everything else here is called under the buffer's lock.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from loghttp._capture import PLAIN_COST, Bare, Captured, Plain, named
from loghttp._outbox import Marker

_LARGE = 65_536  # bytes; from there on records are taken one at a time, for each is there several times meanwhile


class Inbox:
    """Records in order, and the flushes that wait among them."""

    def __init__(self) -> None:
        self.records: deque[Captured | Bare] = deque()
        self.room = 0
        """How many records may wait here at present, if the others are plain. Set by the buffer."""
        self.calm = 0
        """While fewer than this wait, one more concerns nobody. Set by the buffer."""
        self.beyond = 0
        """Bytes of the records that are not small and plain, beyond `PLAIN_COST` each."""
        self._taken = 0  # records that have ever left
        self._markers: deque[tuple[int, Marker]] = deque()  # each with the number of records before it

    def __len__(self) -> int:
        return len(self.records)

    @property
    def bytes(self) -> int:
        return len(self.records) * PLAIN_COST + self.beyond

    @property
    def forsaken(self) -> bool:
        """Whether nobody takes records from here any more."""
        return self.calm < 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing for the listener to do."""
        return not self.records and not self._markers

    def put(self, record: Captured | Plain) -> None:
        self.beyond += record.size - PLAIN_COST
        self.records.append(record)

    def put_marker(self, marker: Marker) -> None:
        self._markers.append((self._taken + len(self.records), marker))

    def take(self, most: int) -> list[Captured | Bare]:
        """The oldest records, none from behind a marker."""
        count = min(most, len(self.records))
        if self._markers:
            count = min(count, max(0, self._markers[0][0] - self._taken))
        if self.beyond:
            count = next((at for at in range(count) if named(self.records[at]).size >= _LARGE), count) or min(count, 1)
        records: list[Any] = [None] * count  # the memory first: what has left the deque must not be lost for want of it
        next_record = self.records.popleft
        for at in range(count):
            records[at] = next_record()
        self._taken += count
        if self.beyond:
            self.beyond -= sum([named(record).size for record in records]) - count * PLAIN_COST
        return records

    def take_oldest(self) -> Captured | Plain:
        record = named(self.records.popleft())
        self._taken += 1
        self.beyond -= record.size - PLAIN_COST
        return record

    def take_latest(self) -> Captured | Plain:
        record = self.records[-1]
        self.recall(record)
        return named(record)

    def take_marker(self) -> Marker | None:
        """The first marker, if all records that were before it have left."""
        if self._markers and self._markers[0][0] <= self._taken:
            return self._markers.popleft()[1]
        return None

    def recall(self, record: Captured | Bare) -> bool:
        """Take back a record that should not have been appended; False: the listener has taken it."""
        try:
            index = self.records.index(record)
        except ValueError:
            return False
        del self.records[index]
        self.beyond -= named(record).size - PLAIN_COST
        place = self._taken + index
        self._markers = deque((before - (before > place), marker) for before, marker in self._markers)
        return True

    def forsake(self) -> tuple[list[Captured | Plain], list[Marker]]:
        """All that is left; who appends after this has to `recall`."""
        self.calm = -1
        records = []
        while self.records:  # one by one: others append without a lock
            records.append(self.take_oldest())
        markers = [marker for _, marker in self._markers]
        self._markers.clear()
        return records, markers
