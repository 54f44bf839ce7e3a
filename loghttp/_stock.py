"""What a handler holds on its way, counted, and what gives way when it is too much.

Rule: everything here is called under the books' lock. Bounded in events and in bytes, over all stages together:
the inbox, both threads' hands, the outbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from loghttp._batch import Run, cost, count, span
from loghttp._bell import Bell
from loghttp._capture import PLAIN_COST, Bare, Captured, Plain, named
from loghttp._inbox import Inbox
from loghttp._options import Delivery
from loghttp._outbox import Outbox
from loghttp._selflog import on_own_thread
from loghttp._stats import Books, DropReason


class Stock:
    """The state of a `Buffer`, and its bounds."""

    def __init__(self, books: Books, options: Delivery) -> None:
        self._books = books
        self._lock = books.lock
        self._options = options
        # What the threads have in hand cannot give way to newer records: so it is a fraction of a small buffer.
        most_events, most_bytes = max(1, options.buffer_events // 4), max(1, options.buffer_bytes // 8)
        self._burst_most = max(1, options.buffer_events // 50)
        self._inbox = Inbox()
        self._outbox = Outbox(
            min(options.batch_events, most_events), min(options.batch_bytes, most_bytes), options.flush_interval
        )
        self._held = 0  # records and events beyond the inbox: in the outbox and in both threads' hands
        self._held_bytes = 0
        self._in_hand = 0  # of these, what the courier took and has not settled yet
        self._in_hand_bytes = 0
        self._closed = False  # no record comes in any more
        self.abandoned = False
        """Whether what was left has been entered as lost."""
        self._lost_at_end = 0  # events
        self._room = threading.Condition(self._lock)
        self._listener_bell = Bell()
        self._courier_bell = Bell()
        with self._lock:
            books.inboxes.append(self._inbox)
            self._measure_room()

    def _measure_room(self) -> None:
        """Say how many plain records may come in without the lock; after each change to what is held."""
        options, inbox = self._options, self._inbox
        bytes_left = options.buffer_bytes - self._held_bytes - inbox.beyond
        inbox.room = 0 if self._closed else min(options.buffer_events - self._held, bytes_left // PLAIN_COST)

    def _close_inbox(self) -> None:
        """It is empty and stays so: nothing in it is to be added to the books any more."""
        if self._inbox in self._books.inboxes:
            self._books.inboxes.remove(self._inbox)

    def _has_room(self, size: int) -> bool:
        options = self._options
        return (
            self._held + len(self._inbox) < options.buffer_events
            and self._held_bytes + self._inbox.bytes + size <= options.buffer_bytes
        )

    def _make_room(self, size: int) -> bool:
        """With "drop_oldest": drop the oldest waiting events, then records, until `size` more bytes fit."""
        if self._options.overflow == "drop_newest":
            self._turn_back()
        if self._options.overflow != "drop_oldest" or size > self._options.buffer_bytes:
            return False
        while not self._has_room(size):
            if (event := self._outbox.take_oldest()) is not None:
                self._give_way(event)
            elif self._inbox.records:
                self._drop_waiting(self._inbox.take_oldest())
            else:
                return False  # all that is held is in the threads' hands
        return True

    def _turn_back(self) -> None:
        """Drop the newest records while there are too many: some were on their way in when the last room was taken."""
        while self._held + len(self._inbox) > self._options.buffer_events and self._inbox.records:
            self._drop_waiting(self._inbox.take_latest())

    def _exceeds(self) -> bool:
        return self._held_bytes + self._inbox.bytes > self._options.buffer_bytes

    def _shrink(self) -> None:
        """Keep to the bytes, though an event came out larger than its record was taken to be."""
        if not self._exceeds():
            return
        if self._options.overflow == "drop_oldest":
            self._make_room(0)
        elif self._options.overflow == "block":  # then so do the program's threads, in their turn
            self._courier_bell.ring()
            self._room.wait_for(lambda: self._closed or not self._exceeds())
        while self._options.overflow == "drop_newest" and self._exceeds() and (event := self._outbox.take_latest()):
            self._give_way(event)

    def _drop_waiting(self, record: Captured | Plain) -> None:
        self._books.accepted += 1
        self._books.drop("queue_full", 1, record.when, record.when)

    def _give_way(self, event: Run) -> None:
        self._held -= 1
        self._held_bytes -= event.cost
        self._books.drop("queue_full", 1, *span([event]))

    def _wait_for_room(self, size: int) -> bool:
        if size > self._options.buffer_bytes or on_own_thread():
            return False  # there will never be room; or it is this thread that would make it
        return self._room.wait_for(lambda: self._closed or self._has_room(size), self._options.block_timeout)

    def _in_burst(self) -> tuple[int, int]:
        """How many records, and bytes of them, the listener took and has not settled yet: all that is nowhere else."""
        waiting = [item for item in self._outbox if isinstance(item, Run)]
        return (
            self._held - self._in_hand - count(waiting),
            self._held_bytes - self._in_hand_bytes - cost(waiting),
        )

    def _drop_burst(self, left: Sequence[Captured | Bare]) -> None:
        """Drop what the listener has in hand, but for the records that are `left`."""
        records, size = self._in_burst()
        if (lost := records - len(left)) > 0:
            now = time.time()
            self._books.drop("encoding", lost, now, now)
            self._held -= lost
            self._held_bytes -= size - sum(named(record).size for record in left)
            self._freed()

    def _leave(self, runs: Sequence[Run], reason: DropReason | None) -> None:
        """These events, in the courier's hand, have been delivered, or are lost for a reason."""
        if self.abandoned or not runs:
            return
        events = count(runs)
        if reason is None:
            self._books.deliver(events)
        else:
            self._books.drop(reason, events, *span(runs))
            self._lost_at_end += events if reason == "shutdown" else 0
        self._let_go(events, cost(runs))

    def _let_go(self, count: int, size: int) -> None:
        """Of what the courier has in hand, so many events and bytes have left."""
        self._held -= count
        self._held_bytes -= size
        self._in_hand -= count
        self._in_hand_bytes -= size
        self._freed()

    def _ring(self) -> None:
        self._listener_bell.ring()
        self._courier_bell.ring()

    def _freed(self) -> None:
        self._measure_room()
        if self._options.overflow == "block":
            self._room.notify_all()
