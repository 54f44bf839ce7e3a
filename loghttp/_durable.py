"""Durable mode: the buffer whose events wait on disk instead of in memory.

Rule: an event is on disk before any network is touched, and no logging call touches the disk. The
listener commits each burst; the courier reads from the file of this process and, in turn, from those of dead
processes that it has adopted, so that a backlog and fresh events both flow. What the disk will not take waits
in memory as without a spool, loudly: durability may be lost, the program never stops.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from loghttp._batch import Event, cost
from loghttp._options import Delivery
from loghttp._outbox import Marker
from loghttp._queue import Buffer
from loghttp._spool import Spool
from loghttp._spool_file import ROW_COST, SpoolFile, disk
from loghttp._stats import Books, DropReason

_LOOK_EVERY: Final = 10.0
"""Seconds between two looks for files of dead processes, and between two tries to use a disk that failed."""
_STILL_THERE_EVERY: Final = 1.0  # seconds between two looks whether our own file was removed under us


class DurableBuffer(Buffer):
    """A `Buffer` that keeps encoded events in spool files.

    Fields below are used by the listener's thread (L), the courier's (C), or both; those that say which rows
    are in hand change under `disk()` only.
    """

    def __init__(self, books: Books, options: Delivery, spool: Spool) -> None:
        super().__init__(books, options)
        self._spool = spool
        # What is in hand cannot give way to newer events: so it is a fraction of a small spool.
        self._batch_bytes = min(options.batch_bytes, max(1, options.spool_bytes // 8))
        self._try_again_at = float("-inf")  # L
        self._seen_at = float("-inf")  # L
        self._looked_at = float("-inf")  # C
        self._own_since = 0.0  # L, C: when the oldest event of our own file came, monotonic seconds
        self._source: SpoolFile | None = None  # C: where the batch in hand comes from; None: from memory
        self._hand: dict[int, Event] = {}  # C: the rows in hand that have not left yet
        self._others_turn = False  # C
        self._gave_up = False  # C: closing, and the intake does not take any more

    # ---- the listener's thread

    def open(self) -> None:
        self._spool.make()

    def has_backlog(self) -> bool:
        return self._spool.has_backlog()

    def _keep(self, events: Sequence[Event], urgent: bool) -> None:
        """Write them to disk; where that fails, keep them in memory."""
        self._outbox.urgent = self._outbox.urgent or urgent
        left = deque(events)
        while left and not self._abandoned:
            try:
                self._commit_some(left)
            except Exception as error:  # noqa: BLE001  whatever the disk does, the records go on
                self._degrade(error)
            if self._spool.own is None:
                super()._keep(left, urgent)
                return

    def _pass(self, marker: Marker) -> None:
        marker.behind = [(file, file.last) for file in self._spool.files()]
        super()._pass(marker)

    def _commit_some(self, events: deque[Event]) -> None:
        """Commit the oldest of `events`: all, or as many as leave room for others in a small spool."""
        self._make_usable()
        own, most = self._spool.own, self._options.spool_bytes
        if own is None:
            return
        some: list[Event] = []
        size = 0  # of `some`; kept up, as weighing all of them anew for each would cost the square of their number
        while events and (not some or size + len(events[0].body) <= most // 4):
            event = events.popleft()
            if len(event.body) > most:
                self._give_way(event, "too_large")
            else:
                some.append(event)
                size += _bytes_of(event)
        try:
            while some and not self._make_space(size):
                size -= _bytes_of(some[-1])
                self._give_way(some.pop(), "queue_full")
            if some:
                self._append(own, some)
        except BaseException:
            events.extendleft(reversed(some))
            raise

    def _append(self, own: SpoolFile, events: list[Event]) -> None:
        if not own.count:
            self._own_since = self._clock()
        count, size = len(events), cost(events)
        self._hold(-count, -size)  # before it is done: who abandons meanwhile must not count them as well
        try:
            own.append(events)
        except BaseException:
            self._hold(count, size)
            if self._abandoned:  # meanwhile; then they were not counted with the others
                self._books.drop("shutdown", count, events[0].created, events[-1].created)
            raise
        with self._lock:
            self._books.spooled += count
            self._freed()
            self._courier_bell.ring()

    def _hold(self, count: int, size: int) -> None:
        with self._lock:
            self._held += count
            self._held_bytes += size
            self._measure_room()

    def _make_usable(self) -> None:
        """Have a file of our own: made anew where it was lost, or could not be made before."""
        now, own = self._clock(), self._spool.own
        if own is not None and now - self._seen_at > _STILL_THERE_EVERY:
            self._seen_at = now
            if not own.path.exists():  # what is in it can still be read: the descriptor is open
                self._degrade(FileNotFoundError("the spool file was removed"))
                self._try_again_at = now
        if self._spool.own is None and now >= self._try_again_at:
            self._try_again_at = now + _LOOK_EVERY
            self._spool.make()

    def _degrade(self, error: Exception) -> None:
        self._spool.tell(error)
        self._try_again_at = self._clock() + _LOOK_EVERY
        self._spool.retire_own()

    def _make_space(self, need: int) -> bool:
        """Keep within `spool_bytes`, by the overflow policy; whether there is room for `need` bytes."""
        most, overflow = self._options.spool_bytes, self._options.overflow
        while (used := self._spool.bytes()) + need > most and used:
            if overflow == "drop_oldest" and self._drop_oldest(need):
                continue
            if overflow != "block" or self._gave_up or self._abandoned:
                return False
            time.sleep(0.02)  # the courier makes room, or gives up by the deadline
        return True

    def _give_way(self, event: Event, reason: DropReason) -> None:
        with self._lock:
            if not self._abandoned:
                self._books.drop(reason, 1, event.created, event.created)
                self._held -= 1
                self._held_bytes -= event.cost
                self._freed()

    def _drop_oldest(self, need: int) -> bool:
        with disk():  # so that the courier does not take the same rows meanwhile
            for file in self._spool.files():
                after = max(self._hand, default=0) if file is self._source else 0
                if victims := file.read(1_000, need, after=after):
                    file.delete(victims)
                    self._enter(victims, "queue_full")
                    return True
        return False

    # ---- the courier's thread

    def take_events(self) -> list[Event] | None:
        while True:
            self._look_for_files()
            with self._lock:
                self._courier_bell.awaited = True  # before looking, so that no commit goes unheard
                self._settle_markers()
                wait = self._due_in(self._clock())
                if self._outbox and wait <= 0:
                    self._courier_bell.awaited, self._source = False, None
                    self._taken = memory = self._outbox.take_batch()
                    self._in_hand = len(memory)
                    self._in_hand_bytes = cost(memory)
                    return memory
            events, spool_wait = self._take_from_spool()
            if events:
                self._courier_bell.awaited = False
                return events
            if self._drained and not self._outbox and (self._gave_up or self._spool.is_empty()):
                self._spool.close()
                return None
            self._courier_bell.wait(max(0.0, min(wait, spool_wait, _LOOK_EVERY)))

    def _take_from_spool(self) -> tuple[list[Event], float]:
        """The next batch from disk, or how many seconds to wait for one; backlog and own file take turns."""
        if self._gave_up:
            return [], 0.0 if self._drained else _LOOK_EVERY
        own, wait = self._spool.own, float("inf")
        candidates = [file for file in self._spool.others if file.count]
        if own is not None and own.count:
            wait = self._own_due_in(own)
            if wait <= 0:
                candidates.insert(len(candidates) if self._others_turn else 0, own)
        for file in candidates:
            try:
                with disk():  # so that the listener does not drop the same rows meanwhile
                    events = file.read(self._options.batch_events, self._batch_bytes)
                    if events:
                        self._source, self._hand = file, {event.row: event for event in events}
            except sqlite3.OperationalError as error:  # locked, or the disk: later perhaps
                self._spool.tell(error, file.path)
                wait = _STILL_THERE_EVERY
                continue
            except sqlite3.Error as error:
                self._discard(file, error)
                continue
            if events:
                self._others_turn = file is own
                if file is own:
                    self._outbox.urgent = False
                    self._own_since = self._clock()
                return events, 0.0
        return [], wait

    def _own_due_in(self, own: SpoolFile) -> float:
        options = self._options
        full = own.count >= options.batch_events or own.bytes >= self._batch_bytes
        if full or self._outbox.urgent or self._markers or self._closed:
            return 0.0
        return self._own_since + options.flush_interval - self._clock()

    def delivered(self, events: Sequence[Event]) -> None:
        if self._source is None:
            super().delivered(events)
        elif events:
            self._remove(self._source, events)
            with self._lock:
                self._books.deliver(len(events))
                self._books.spooled -= len(events)

    def dropped(self, events: Sequence[Event], reason: DropReason, words: str = "") -> None:
        if self._source is None:
            super().dropped(events, reason)
        elif reason == "shutdown":
            self._gave_up, self._hand = True, {}  # they stay in the spool: pending, not lost
        elif events:
            self._remove(self._source, events, words if reason == "refused" else None)
            self._enter(events, reason)

    def exchanged(self, event: Event, smaller: Event) -> Event:
        return smaller if self._source else super().exchanged(event, smaller)

    def lose_in_hand(self) -> None:
        if self._source is None:
            super().lose_in_hand()
        else:
            self.dropped(tuple(self._hand.values()), "encoding")

    def forget_files(self) -> None:
        for file in self._spool.files():
            file.forget()

    def _remove(self, source: SpoolFile, events: Sequence[Event], words: str | None = None) -> None:
        with disk():
            events = [self._hand.pop(event.row, event) for event in events]  # as they were read: some have been cut
            try:
                if words is None:
                    source.delete(events)
                else:
                    source.bury(events, words)
            except sqlite3.Error as error:
                source.done(events)  # not deleted, but not to be sent again by this process
                self._spool.tell(error)

    def _enter(self, events: Sequence[Event], reason: DropReason) -> None:
        times = [event.created for event in events]
        with self._lock:
            self._books.drop(reason, len(events), min(times), max(times))
            self._books.spooled -= len(events)

    def _settle_markers(self) -> None:
        self._taken = ()
        while (marker := self._outbox.next_marker()) is not None and self._has_passed(marker):
            self._outbox.take_marker()
            self._markers -= 1
            marker.release(True)

    def _has_passed(self, marker: Marker) -> bool:
        files = self._spool.files()
        return all(file not in files or file.first > last for file, last in marker.behind)

    def _look_for_files(self) -> None:
        """Let go of files that are empty, and now and then adopt those of the dead."""
        now = self._clock()
        more = self._spool.let_go_of_empty()  # there may be more than are opened at a time
        if (more or now - self._looked_at >= _LOOK_EVERY) and not self._closed:
            self._looked_at = now
            self._spool.adopt()

    def _discard(self, file: SpoolFile, error: Exception) -> None:
        """A file that cannot be read any more: what was in it is lost to us, but not deleted."""
        count = self._spool.discard(file, error)
        with self._lock:
            if count:
                self._books.drop("unreadable", count, file.oldest, time.time())
            self._books.spooled -= count


def _bytes_of(event: Event) -> int:
    return len(event.body) + ROW_COST
