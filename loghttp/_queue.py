"""The one place where records pass between threads: program -> listener -> courier.

Rules: bounded, in events and in bytes, over all stages together; every record that enters leaves exactly
once, into the books. All state is guarded by the books' re-entrant lock, held for a few lines at a time,
because a `__del__` or a signal handler may log in the middle of `put` (bpo-14976, sentry-python#803); only plain
records come in without it. A thread that has nothing to do waits at its bell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from loghttp._batch import Run, cost, count, span
from loghttp._bell import offer_interpreter
from loghttp._capture import PLAIN_COST, Bare, Captured, Plain, named
from loghttp._encoding import dumps_whole
from loghttp._options import Delivery
from loghttp._outbox import Marker
from loghttp._stats import Books, DropReason
from loghttp._stock import Stock

_BURST: Final = 128 if dumps_whole else 64
"""Least records that the listener takes at a time, if so many wait: few, for meanwhile the program's threads wait.

As many as are encoded in 0.2 ms, with orjson or without; half as many cost a twentieth more CPU."""
_MANY: Final = _BURST - 1
"""When so many wait, one more makes a burst.

A thread that logs without a pause would keep the interpreter for itself until it is taken away from it, after 5 ms, and
then have to wait for as long as it takes to encode the 700 records of that time: 1 ms or more. So at each burst it
offers the interpreter, and waits for that burst at the most.
"""
_AMPLE: Final = 2 * _BURST
"""As long as there is room for more than that, records may wait for others."""


class Buffer(Stock):
    """Waiting records, then waiting events; and the rules for when it is full and when a batch is due."""

    _linger = 0.002
    """Seconds that the listener waits for a whole burst, if it last came for records less than that ago: to be woken by
    each of 2,000 records a second costs as much CPU as all else that is done with them."""

    def __init__(self, books: Books, options: Delivery, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(books, options)
        self._clock = clock
        self._records = self._inbox.records
        self._asked_at = float("-inf")  # when the listener last came for records
        self._taken: Sequence[Run] = ()  # the batch that the courier took last
        self._markers = 0  # flushes under way
        self._drained = False  # and the listener has passed on the last
        self._hurry = threading.Event()  # set to end the courier's wait between attempts
        self.closing = threading.Event()
        """Set when waits should end: one more attempt for each batch, and no more."""

    # ---- program's threads

    def put(self, record: Captured | Bare) -> bool:
        """Take a record in, or enter it as lost. False: this buffer is closed, and it is in no book yet."""
        inbox, records = self._inbox, self._records
        waiting = len(records)
        if waiting < inbox.room and type(record) is tuple:  # a bare one, which is small
            records.append(record)
            if waiting < inbox.calm:
                return True
            if self._listener_bell.awaited:
                self._listener_bell.ring()
            if inbox.forsaken:  # since the look at `room`
                with self._lock:
                    return not inbox.recall(record)
        elif not self._put_locked(named(record)):
            return False
        if waiting & _MANY == _MANY:
            offer_interpreter()
        return True

    def _put_locked(self, record: Captured | Plain) -> bool:
        with self._lock:
            # Who has waited for room has it, though others may have come in since, without the lock.
            has_room = self._has_room(record.size)
            if not has_room and self._options.overflow == "block":
                has_room = self._wait_for_room(record.size)
            if self._closed:
                return False
            if not has_room and not self._make_room(record.size):
                reason: DropReason = "too_large" if record.size > self._options.buffer_bytes else "queue_full"
                self._books.accepted += 1
                self._books.drop(reason, 1, record.when, record.when)
                return True
            self._inbox.put(record)
            self._measure_room()
            if len(self._inbox) > self._inbox.calm or self._inbox.room <= _AMPLE:
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
                self._inbox.put_marker(marker)
                self._hurry.set()
                self._ring()
        return marker

    def withdraw(self, marker: Marker) -> None:
        """Nobody waits for this one any more; what was put before it is due all the same."""
        with self._lock:
            marker.withdrawn = True
            if self._outbox.withdraw(marker):
                self._pass(marker)

    def close(self) -> None:
        """Let no more records in, and end all waits."""
        with self._lock:
            self._closed = True
            self._measure_room()
            self.closing.set()
            self._hurry.set()
            self._room.notify_all()
            self._ring()

    def abandon(self) -> int:
        """Enter all that has not left as lost at shutdown; what returns later is ignored.

        Returns how many were lost at shutdown, those included that the courier gave up.
        """
        with self._lock:
            records, markers = self._inbox.forsake()
            self._books.accepted += len(records)
            lost = len(records) if self.abandoned else self._held + len(records)
            if lost:
                times = [record.when for record in records]
                for run in (*self._taken, *self._outbox):
                    times += run.created if isinstance(run, Run) else ()
                times = times or [time.time()]  # the last one is in the listener's hand
                self._books.drop("shutdown", lost, min(times), max(times))
                self._lost_at_end += lost
            for item in (*self._outbox, *markers):
                if isinstance(item, Marker):
                    item.release(False)
            self._outbox.clear()
            self.abandoned = True
            self._held = self._held_bytes = 0
            self._close_inbox()
            self._room.notify_all()
            lost, self._lost_at_end = self._lost_at_end, 0
            return lost

    def holds_any(self) -> bool:
        return self._held > 0 or len(self._inbox) > 0

    def put_in_process(self, pid: int) -> list[Captured | Plain]:
        """After a fork: what this child has put since, before it had a buffer of its own."""
        return [record for record in map(named, self._inbox.records) if getattr(record, "process", None) == pid]

    # ---- what durable mode does besides

    def open(self) -> None:
        """Called on the listener's thread before the first record."""

    def has_backlog(self) -> bool:
        """Whether there is something to deliver before any record has come."""
        return False

    # ---- the listener's thread

    def take_records(self) -> list[Captured | Bare] | None:
        """The oldest records, after waiting for some; None when the buffer is closed and all have been taken.

        A few at a time: what is not yet encoded can still give way to newer ones. None at all: a flush waits.
        """
        now = self._clock()
        lingers = now - self._asked_at < self._linger
        self._asked_at = now
        while True:
            with self._lock:
                lingers = lingers and not (self._markers or self._closed or self._inbox.room <= _AMPLE)
                self._have_rung(beyond=_MANY if lingers else 0)
                enough = len(self._inbox) > _MANY if lingers else not self._inbox.idle
                if enough and not self.abandoned:
                    self._have_rung(beyond=None)
                    beyond = self._inbox.beyond
                    records = self._inbox.take(min(self._burst_most, max(_BURST, len(self._inbox) // 4)))
                    self._books.accepted += len(records)
                    self._held += len(records)
                    self._held_bytes += len(records) * PLAIN_COST + beyond - self._inbox.beyond
                    self._measure_room()
                    return records
                if self._closed:
                    self._drained = True
                    self._close_inbox()
                    self._ring()
                    return None
            self._listener_bell.wait(self._linger if lingers else None)
            lingers = False

    def _have_rung(self, *, beyond: int | None) -> None:
        """Have the listener rung for when more than so many wait; None: not at all. To be said before it looks."""
        self._listener_bell.awaited = beyond is not None
        self._inbox.calm = -1 if self._closed else _MANY if beyond is None else beyond

    def put_runs(self, runs: Sequence[Run], size: int, *, urgent: bool = False) -> None:
        """Put the events that records of `size` bytes in all became; `urgent`: they must not wait."""
        with self._lock:
            if self.abandoned or not runs:
                return
            self._held_bytes += cost(runs) - size
        self._keep(runs, urgent)

    def _keep(self, runs: Sequence[Run], urgent: bool) -> None:
        with self._lock:
            if self.abandoned or not runs:
                return
            was_empty = not self._outbox
            self._outbox.put(runs)
            self._outbox.urgent = self._outbox.urgent or urgent
            self._shrink()
            self._freed()  # mostly: an event weighs less than its record
            if self._courier_bell.awaited and (was_empty or self._due_in(runs[0].born) <= 0):
                self._courier_bell.ring()

    def lose(self, record: Captured | Plain) -> None:
        """Enter a record as lost that the listener took and could make no event of."""
        with self._lock:
            if not self.abandoned:
                self._books.drop("encoding", 1, record.when, record.when)
                self._held -= 1
                self._held_bytes -= record.size
                self._freed()

    def lose_burst(self, left: Sequence[Captured | Bare]) -> None:
        """Enter as lost what the listener took and has neither put, nor lost, nor `left`: it met a fault of its own."""
        with self._lock:
            if not self.abandoned:
                self._drop_burst(left)

    def pass_markers(self) -> None:
        """Send on the markers whose records have all been put."""
        with self._lock:
            while (marker := self._inbox.take_marker()) is not None:
                self._pass(marker)
                self._ring()

    def _pass(self, marker: Marker) -> None:
        if marker.withdrawn:
            self._markers -= 1
            self._outbox.urgent = True
        else:
            self._outbox.put_marker(marker)

    # ---- the courier's thread

    def take_runs(self) -> list[Run] | None:
        """The next due batch, waiting for it; None when the buffer is closed and all have been taken."""
        while True:
            with self._lock:
                self._settle_markers()
                wait = self._due_in(self._clock())
                if self._outbox and wait <= 0:
                    self._taken = runs = self._outbox.take_batch()
                    self._in_hand, self._in_hand_bytes = count(runs), cost(runs)
                    return runs
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

    def exchanged(self, run: Run, smaller: Run) -> Run:
        """Enter that `run`, in the courier's hand, has become `smaller`."""
        with self._lock:
            self._held_bytes += smaller.cost - run.cost
            self._in_hand_bytes += smaller.cost - run.cost
            self._freed()
        return smaller

    def lose_in_hand(self) -> None:
        """Enter as lost what the courier took and neither delivered nor dropped: it met a fault of its own."""
        with self._lock:
            if self.abandoned or not self._in_hand:
                return
            self._books.drop("encoding", self._in_hand, *span(self._taken))
            self._let_go(self._in_hand, self._in_hand_bytes)

    def delivered(self, runs: Sequence[Run]) -> None:
        with self._lock:
            self._leave(runs, None)

    def dropped(self, runs: Sequence[Run], reason: DropReason, words: str = "") -> None:  # noqa: ARG002
        """Enter events as lost; `words`, the intake's reply, are kept with them in durable mode."""
        with self._lock:
            self._leave(runs, reason)

    # ---- under the lock

    def _due_in(self, now: float) -> float:
        """As `Outbox.due_in`; a flush and the end make all that waits due."""
        return 0.0 if self._outbox and (self._markers or self._closed) else self._outbox.due_in(now)

    def _settle_markers(self) -> None:
        """The courier has nothing in hand: markers at the head have nothing before them any more."""
        self._taken = ()
        while (marker := self._outbox.take_marker()) is not None:
            self._markers -= 1
            marker.release(True)
