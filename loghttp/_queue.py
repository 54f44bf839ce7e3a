"""The one place where records pass between threads: program -> listener -> courier.

Rules: bounded, in events and in bytes, over all stages together; every record that enters leaves exactly
once, into the books; all state is guarded by the books' re-entrant lock, held for a few lines at a time,
because a `__del__` or a signal handler may log in the middle of `put` (bpo-14976, sentry-python#803).
A thread that has nothing to do waits at a bell: `SimpleQueue`, whose `put` is re-entrant by its documentation.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from loghttp._batch import Event
from loghttp._capture import Captured
from loghttp._options import Delivery
from loghttp._stats import Books, DropReason

_Item = TypeVar("_Item", Event, Captured)

_BURST: Final = 100
"""Most records the listener takes at a time: few enough to give the interpreter lock away often."""


class Marker:
    """What `flush` sends along with the records: when it has come through, so has all that was before it."""

    def __init__(self) -> None:
        self.passed = threading.Event()
        self.in_time = False

    def release(self, in_time: bool) -> None:
        self.in_time = in_time
        self.passed.set()


class Buffer:
    """Waiting records, then waiting events; and the rules for when it is full and when a batch is due."""

    def __init__(self, books: Books, options: Delivery, clock: Callable[[], float] = time.monotonic) -> None:
        self._books = books
        self._lock = books.lock
        self._options = options
        self._clock = clock
        self._records: deque[Captured | Marker] = deque()
        self._events: deque[Event | Marker] = deque()
        self._taken: Sequence[Event] = ()  # the batch that the courier took last
        self._in_hand = 0  # how many of it have not left yet
        self._held = 0  # records and events, all stages together: here and in both threads' hands
        self._held_bytes = 0
        self._ready = 0  # events that wait in `_events`
        self._ready_bytes = 0  # of their bodies
        self._urgent = False
        self._markers = 0  # flushes under way
        self._closed = False  # no record comes in any more
        self._drained = False  # and the listener has passed on the last
        self._abandoned = False  # what was left has been entered as lost
        self._room = threading.Condition(self._lock)
        self._blocked = 0  # program threads that wait for room
        self._listener_bell: SimpleQueue[None] = SimpleQueue()
        self._listener_waits = False
        self._courier_bell: SimpleQueue[None] = SimpleQueue()
        self._courier_waits = False
        self._hurry = threading.Event()  # set to end the courier's wait between attempts
        self.closing = threading.Event()
        """Set when waits should end: one more attempt for each batch, and no more."""

    # ---- program's threads

    def put(self, record: Captured) -> bool:
        """Take a record in, or enter it as lost. False: this buffer is closed, and it is in no book yet."""
        with self._lock:
            if not self._has_room(record.size) and self._options.overflow == "block" and not self._closed:
                self._wait_for_room(record.size)
            if self._closed:
                return False
            self._books.accepted += 1
            record.sequence = self._books.accepted
            if not self._has_room(record.size) and not self._make_room(record.size):
                reason: DropReason = "too_large" if record.size > self._options.buffer_bytes else "queue_full"
                self._books.drop(reason, 1, record.when, record.when)
                return True
            self._held += 1
            self._held_bytes += record.size
            self._records.append(record)
            if self._listener_waits:
                self._listener_waits = False
                self._listener_bell.put(None)
        return True

    def mark(self) -> Marker:
        """Send a marker after all records that were put before."""
        marker = Marker()
        with self._lock:
            if self._closed:
                marker.release(self._held == 0)
            else:
                self._markers += 1
                self._records.append(marker)
                self._hurry.set()
                self._ring()
        return marker

    def close(self) -> None:
        """Let no more records in, and end all waits."""
        with self._lock:
            self._closed = True
            self.closing.set()
            self._hurry.set()
            self._room.notify_all()
            self._ring()

    def abandon(self) -> int:
        """Enter all that has not left as lost at shutdown; return its number. What returns later is ignored."""
        with self._lock:
            count = 0 if self._abandoned else self._held
            self._abandoned = True
            if count:
                times = [event.created for event in (*self._taken, *self._events) if isinstance(event, Event)]
                times += [record.when for record in self._records if isinstance(record, Captured)]
                times = times or [time.time()]  # the last one is in the listener's hand
                self._books.drop("shutdown", count, min(times), max(times))
            for item in (*self._events, *self._records):
                if isinstance(item, Marker):
                    item.release(False)
            self._records.clear()
            self._events.clear()
            self._held = self._held_bytes = self._ready = self._ready_bytes = 0
            self._room.notify_all()
            return count

    def put_in_process(self, pid: int) -> list[Captured]:
        """After a fork: what this child has put since, before it had a buffer of its own."""
        return [item for item in self._records if isinstance(item, Captured) and item.process == pid]

    # ---- the listener's thread

    def take_records(self) -> list[Captured | Marker] | None:
        """The next records, waiting for them; None when the buffer is closed and all have been taken."""
        while True:
            with self._lock:
                if self._records:
                    return [self._records.popleft() for _ in range(min(_BURST, len(self._records)))]
                if self._closed:
                    self._drained = True
                    self._ring()
                    return None
                self._listener_waits = True
            self._listener_bell.get()

    def put_event(self, event: Event | None, size: int, *, urgent: bool = False) -> None:
        """Put the event that a record of `size` bytes became; None if it became none (already in the books)."""
        with self._lock:
            if self._abandoned:
                return
            self._held_bytes -= size
            if event is None:
                self._held -= 1
                self._freed()
                return
            self._held_bytes += event.cost
            self._ready += 1
            self._ready_bytes += len(event.body)
            self._urgent = self._urgent or urgent
            self._events.append(event)
            if self._held_bytes > self._options.buffer_bytes and self._options.overflow == "drop_oldest":
                self._make_room(0)  # the event came out larger than its record was taken to be
            if self._courier_waits and (self._ready == 1 or self._due_in(event.born) <= 0):
                self._ring()

    def pass_marker(self, marker: Marker) -> None:
        with self._lock:
            self._events.append(marker)
            self._ring()

    # ---- the courier's thread

    def take_events(self) -> list[Event] | None:
        """The next due batch, waiting for it; None when the buffer is closed and all have been taken."""
        while True:
            with self._lock:
                self._settle_markers()
                wait = self._due_in(self._clock())
                if self._ready and wait <= 0:
                    return self._next_batch()
                if self._drained and not self._ready:
                    return None
                self._courier_waits = True
            with contextlib.suppress(Empty):  # nobody rang: the oldest event has become due
                self._courier_bell.get(timeout=None if wait == float("inf") else max(wait, 0.0))

    def pause(self, seconds: float, *, at_least: float = 0.0) -> None:
        """Wait, until closing; after `at_least` seconds a flush ends it too."""
        if not self.closing.wait(at_least):
            self._hurry.clear()
            self._hurry.wait(seconds - at_least)

    def exchanged(self, event: Event, smaller: Event) -> Event:
        """Enter that `event`, in the courier's hand, has become `smaller`."""
        with self._lock:
            self._held_bytes += smaller.cost - event.cost
        return smaller

    def lose_in_hand(self) -> None:
        """Enter as lost what the courier took and neither delivered nor dropped: it met a fault of its own."""
        with self._lock:
            if self._in_hand:
                self.dropped(self._taken[-self._in_hand :], "encoding")

    def delivered(self, events: Sequence[Event]) -> None:
        self._leave(events, None)

    def dropped(self, events: Sequence[Event], reason: DropReason) -> None:
        self._leave(events, reason)

    # ---- under the lock

    def _has_room(self, size: int) -> bool:
        options = self._options
        return self._held < options.buffer_events and self._held_bytes + size <= options.buffer_bytes

    def _make_room(self, size: int) -> bool:
        """With "drop_oldest": drop the oldest waiting events, then records, until `size` more bytes fit."""
        if self._options.overflow != "drop_oldest" or size > self._options.buffer_bytes:
            return False
        while not self._has_room(size):
            if (event := _pop_oldest(self._events)) is not None:
                self._ready -= 1
                self._ready_bytes -= len(event.body)
                self._held_bytes -= event.cost
                created = event.created
            elif (record := _pop_oldest(self._records)) is not None:
                self._held_bytes -= record.size
                created = record.when
            else:
                return False  # all that is held is in the threads' hands
            self._held -= 1
            self._books.drop("queue_full", 1, created, created)
        return True

    def _wait_for_room(self, size: int) -> None:
        self._blocked += 1
        try:
            self._room.wait_for(lambda: self._closed or self._has_room(size), self._options.block_timeout)
        finally:
            self._blocked -= 1

    def _leave(self, events: Sequence[Event], reason: DropReason | None) -> None:
        with self._lock:
            if self._abandoned or not events:
                return
            if reason is None:
                self._books.deliver(len(events))
            else:
                times = [event.created for event in events]
                self._books.drop(reason, len(events), min(times), max(times))
            self._held -= len(events)
            self._in_hand -= len(events)
            self._held_bytes -= sum(event.cost for event in events)
            self._freed()

    def _freed(self) -> None:
        if self._blocked:
            self._room.notify_all()

    def _due_in(self, now: float) -> float:
        """Seconds until the next batch should leave; 0 or less: now; infinite: nothing waits."""
        options = self._options
        if not self._ready:
            return float("inf")
        full = self._ready >= options.batch_events or self._ready_bytes >= options.batch_bytes
        if full or self._urgent or self._markers or self._closed:
            return 0.0
        oldest = self._events[0]
        return oldest.born + options.flush_interval - now if isinstance(oldest, Event) else 0.0

    def _next_batch(self) -> list[Event]:
        events: list[Event] = []
        size = 0
        while self._events and len(events) < self._options.batch_events:
            event = self._events[0]
            if isinstance(event, Marker):
                break
            if events and size + len(event.body) > self._options.batch_bytes:
                break
            size += len(event.body)
            events.append(event)
            self._events.popleft()
        self._ready -= len(events)
        self._ready_bytes -= size
        if not self._ready:
            self._urgent = False
        self._taken, self._in_hand = events, len(events)
        return events

    def _settle_markers(self) -> None:
        """The courier has nothing in hand: markers at the head have nothing before them any more."""
        self._taken = ()
        while self._events and isinstance(marker := self._events[0], Marker):
            self._events.popleft()
            self._markers -= 1
            marker.release(True)

    def _ring(self) -> None:
        """Wake both threads, if they wait."""
        if self._listener_waits:
            self._listener_waits = False
            self._listener_bell.put(None)
        if self._courier_waits:
            self._courier_waits = False
            self._courier_bell.put(None)


def _pop_oldest(items: deque[_Item | Marker]) -> _Item | None:
    """Remove and return the first item that is no marker."""
    for index, item in enumerate(items):
        if not isinstance(item, Marker):
            del items[index]
            return item
    return None
