"""The one place where records pass between threads: program -> listener -> courier.

Rules: bounded, in events and in bytes, over all stages together; every record that enters leaves exactly
once, into the books; all state is guarded by the books' re-entrant lock, held for a few lines at a time,
because a `__del__` or a signal handler may log in the middle of `put` (bpo-14976, sentry-python#803).
A thread that has nothing to do waits at its bell.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from loghttp._batch import Event
from loghttp._bell import Bell
from loghttp._capture import Captured
from loghttp._options import Delivery
from loghttp._outbox import Marker, Outbox, pop_oldest
from loghttp._selflog import on_own_thread
from loghttp._stats import Books, DropReason


class Buffer:
    """Waiting records, then waiting events; and the rules for when it is full and when a batch is due."""

    def __init__(self, books: Books, options: Delivery, clock: Callable[[], float] = time.monotonic) -> None:
        self._books = books
        self._lock = books.lock
        self._options = options
        self._clock = clock
        self._records: deque[Captured | Marker] = deque()
        # What the threads have in hand cannot give way to newer records: so it is a fraction of a small buffer.
        most_events, most_bytes = max(1, options.buffer_events // 4), max(1, options.buffer_bytes // 8)
        self._outbox = Outbox(
            min(options.batch_events, most_events), min(options.batch_bytes, most_bytes), options.flush_interval
        )
        self._taken: Sequence[Event] = ()  # the batch that the courier took last
        self._in_hand = 0  # how many of it have not left yet
        self._in_hand_bytes = 0
        self._held = 0  # records and events, all stages together: here and in both threads' hands
        self._held_bytes = 0
        self._markers = 0  # flushes under way
        self._closed = False  # no record comes in any more
        self._drained = False  # and the listener has passed on the last
        self._lost_at_end = 0
        self._abandoned = False  # what was left has been entered as lost
        self._room = threading.Condition(self._lock)
        self._listener_bell = Bell()
        self._courier_bell = Bell()
        self._hurry = threading.Event()  # set to end the courier's wait between attempts
        self.closing = threading.Event()
        """Set when waits should end: one more attempt for each batch, and no more."""

    # ---- program's threads

    def put(self, record: Captured) -> bool:
        """Take a record in, or enter it as lost. False: this buffer is closed, and it is in no book yet."""
        with self._lock:
            if self._options.overflow == "block" and not self._has_room(record.size):
                self._wait_for_room(record.size)
            if self._closed:
                return False
            self._books.accepted += 1
            self._books.sequence = record.sequence = self._books.sequence + 1
            if not self._has_room(record.size) and not self._make_room(record.size):
                reason: DropReason = "too_large" if record.size > self._options.buffer_bytes else "queue_full"
                self._books.drop(reason, 1, record.when, record.when)
                return True
            self._held += 1
            self._held_bytes += record.size
            self._records.append(record)
            self._listener_bell.ring()
        return True

    def mark(self) -> Marker:
        """Send a marker after all records that were put before."""
        marker = Marker()
        with self._lock:
            if self._closed:
                marker.release(self._books.stats().pending == 0)
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
        """Enter all that has not left as lost at shutdown; what returns later is ignored.

        Returns how many were lost at shutdown, those included that the courier gave up.
        """
        with self._lock:
            count = 0 if self._abandoned else self._held
            self._abandoned = True
            if count:
                times = [event.created for event in (*self._taken, *self._outbox) if isinstance(event, Event)]
                times += [record.when for record in self._records if isinstance(record, Captured)]
                times = times or [time.time()]  # the last one is in the listener's hand
                self._books.drop("shutdown", count, min(times), max(times))
                self._lost_at_end += count
            for item in (*self._outbox, *self._records):
                if isinstance(item, Marker):
                    item.release(False)
            self._records.clear()
            self._outbox.clear()
            self._held = self._held_bytes = 0
            self._room.notify_all()
            lost, self._lost_at_end = self._lost_at_end, 0
            return lost

    def holds_any(self) -> bool:
        return self._held > 0

    def put_in_process(self, pid: int) -> list[Captured]:
        """After a fork: what this child has put since, before it had a buffer of its own."""
        return [item for item in self._records if isinstance(item, Captured) and item.process == pid]

    # ---- what durable mode does besides

    def open(self) -> None:
        """Called on the listener's thread before the first record."""

    def commit(self) -> None:
        """Called on the listener's thread after each burst of records."""

    def has_backlog(self) -> bool:
        """Whether there is something to deliver before any record has come."""
        return False

    def forget_files(self) -> None:
        """Called in a forked child: what is open belongs to the parent."""

    # ---- the listener's thread

    def wait_for_records(self) -> bool:
        """Wait until there is a record to take; False when the buffer is closed and all have been taken."""
        while True:
            with self._lock:
                if self._records:
                    return True
                if self._closed:
                    self._drained = True
                    self._ring()
                    return False
                self._listener_bell.awaited = True
            self._listener_bell.wait()

    def take_record(self) -> Captured | Marker | None:
        """The oldest record. One at a time: what is not yet encoded can still give way to newer ones."""
        with self._lock:
            return self._records.popleft() if self._records else None

    def put_event(self, event: Event, size: int, *, urgent: bool = False) -> None:
        """Put the event that a record of `size` bytes became."""
        with self._lock:
            if self._abandoned:
                return
            self._held_bytes += event.cost - size
            self._outbox.put(event)
            self._outbox.urgent = self._outbox.urgent or urgent
            if self._held_bytes > self._options.buffer_bytes:
                self._shrink()
            if self._courier_bell.awaited and (len(self._outbox) == 1 or self._due_in(event.born) <= 0):
                self._courier_bell.ring()

    def lose(self, record: Captured) -> None:
        """Enter a record as lost that the listener took and could make no event of."""
        with self._lock:
            if not self._abandoned:
                self._books.drop("encoding", 1, record.when, record.when)
                self._held -= 1
                self._held_bytes -= record.size
                self._freed()

    def pass_marker(self, marker: Marker) -> None:
        with self._lock:
            self._outbox.put_marker(marker)
            self._ring()

    # ---- the courier's thread

    def take_events(self) -> list[Event] | None:
        """The next due batch, waiting for it; None when the buffer is closed and all have been taken."""
        while True:
            with self._lock:
                self._settle_markers()
                wait = self._due_in(self._clock())
                if self._outbox and wait <= 0:
                    self._taken = events = self._outbox.take_batch()
                    self._in_hand = len(events)
                    self._in_hand_bytes = sum(event.cost for event in events)
                    return events
                if self._drained and not self._outbox:
                    return None
                self._courier_bell.awaited = True
            self._courier_bell.wait(None if wait == float("inf") else max(wait, 0.0))

    def pause(self, seconds: float, *, at_least: float = 0.0) -> None:
        """Wait, until closing; after `at_least` seconds a flush ends it too."""
        if self.closing.wait(at_least):
            return
        self._hurry.clear()
        if not self.closing.is_set():  # `close` sets both, in this order
            self._hurry.wait(seconds - at_least)

    def exchanged(self, event: Event, smaller: Event) -> Event:
        """Enter that `event`, in the courier's hand, has become `smaller`."""
        with self._lock:
            self._held_bytes += smaller.cost - event.cost
            self._in_hand_bytes += smaller.cost - event.cost
        return smaller

    def lose_in_hand(self) -> None:
        """Enter as lost what the courier took and neither delivered nor dropped: it met a fault of its own."""
        with self._lock:
            if self._abandoned or not self._in_hand:
                return
            times = [event.created for event in self._taken]
            self._books.drop("encoding", self._in_hand, min(times), max(times))
            self._let_go(self._in_hand, self._in_hand_bytes)

    def delivered(self, events: Sequence[Event]) -> None:
        self._leave(events, None)

    def dropped(self, events: Sequence[Event], reason: DropReason, words: str = "") -> None:  # noqa: ARG002
        """Enter events as lost; `words`, the intake's reply, are kept with them in durable mode."""
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
            if (event := self._outbox.take_oldest()) is not None:
                self._held_bytes -= event.cost
                created = event.created
            elif (record := pop_oldest(self._records)) is not None:
                self._held_bytes -= record.size
                created = record.when
            else:
                return False  # all that is held is in the threads' hands
            self._held -= 1
            self._books.drop("queue_full", 1, created, created)
        return True

    def _shrink(self) -> None:
        """An event came out larger than its record was taken to be: keep to the bytes all the same."""
        if self._options.overflow == "drop_oldest":
            self._make_room(0)
        elif self._options.overflow == "block":  # then so do the program's threads, in their turn
            self._courier_bell.ring()
            self._room.wait_for(lambda: self._closed or self._held_bytes <= self._options.buffer_bytes)
        elif (event := self._outbox.take_latest()) is not None:
            self._held -= 1
            self._held_bytes -= event.cost
            self._books.drop("queue_full", 1, event.created, event.created)

    def _wait_for_room(self, size: int) -> None:
        if size > self._options.buffer_bytes or on_own_thread():
            return  # there will never be room; or it is this thread that would make it
        self._room.wait_for(lambda: self._closed or self._has_room(size), self._options.block_timeout)

    def _leave(self, events: Sequence[Event], reason: DropReason | None) -> None:
        with self._lock:
            if self._abandoned or not events:
                return
            if reason is None:
                self._books.deliver(len(events))
            else:
                times = [event.created for event in events]
                self._books.drop(reason, len(events), min(times), max(times))
                self._lost_at_end += len(events) if reason == "shutdown" else 0
            self._let_go(len(events), sum(event.cost for event in events))

    def _let_go(self, count: int, size: int) -> None:
        """Of what the courier has in hand, so many events and bytes have left."""
        self._held -= count
        self._held_bytes -= size
        self._in_hand -= count
        self._in_hand_bytes -= size
        self._freed()

    def _freed(self) -> None:
        if self._options.overflow == "block":
            self._room.notify_all()

    def _due_in(self, now: float) -> float:
        """As `Outbox.due_in`; a flush and the end make all that waits due."""
        return 0.0 if self._outbox and (self._markers or self._closed) else self._outbox.due_in(now)

    def _settle_markers(self) -> None:
        """The courier has nothing in hand: markers at the head have nothing before them any more."""
        self._taken = ()
        while (marker := self._outbox.take_marker()) is not None:
            self._markers -= 1
            marker.release(True)

    def _ring(self) -> None:
        self._listener_bell.ring()
        self._courier_bell.ring()
