"""Durable mode, the listener's half: what is encoded goes to disk.

Rule: no logging call touches the disk. Events are on it within milliseconds; those of a few of these are gathered,
because a commit costs as much as many rows. What the disk will not take waits in memory as without a spool, loudly:
durability may be lost, the program never stops.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from loghttp._batch import RUN_EVENTS, Run, cost, count, fitting, parted, span
from loghttp._capture import Bare, Captured
from loghttp._options import Delivery
from loghttp._outbox import Marker
from loghttp._queue import Buffer
from loghttp._spool import Spool
from loghttp._spool_file import SpoolFile, disk
from loghttp._spool_rows import DISK_COST, weight
from loghttp._stats import Books, DropReason

LOOK_EVERY: Final = 10.0
"""Seconds between two looks for files of dead processes, and between two tries to use a disk that failed."""
STILL_THERE_EVERY: Final = 1.0
"""Seconds between two looks whether our own file was removed under us."""

_COMMIT_EVENTS: Final = 250
_COMMIT_EVERY: Final = 0.002
"""There is a commit for so many events, or when so many seconds have gone by since the last one."""


class SpoolingBuffer(Buffer):
    """A `Buffer` that keeps encoded events in spool files. Its fields are the listener's, but for those marked C:
    they belong to the courier and change under `disk()` only."""

    _linger = 0.0  # what is not yet on disk goes with a process that is killed (2 ms: three times as much)

    def __init__(self, books: Books, options: Delivery, spool: Spool) -> None:
        super().__init__(books, options)
        self._spool = spool
        # What is in hand cannot give way to newer events: so it is a fraction of a small spool.
        self._batch_bytes = min(options.batch_bytes, max(1, options.spool_bytes // 8))
        # What is gathered is not kept waiting by the encoding of thousands.
        self._burst_most = min(self._burst_most, RUN_EVENTS)
        self._gathered: list[Run] = []
        self._urgent = False  # one of these must not wait
        self._committed_at = float("-inf")
        self._try_again_at = float("-inf")
        self._seen_at = float("-inf")
        self._own_since = 0.0  # also C: when the oldest event of our own file came, monotonic seconds
        self._source: SpoolFile | None = None  # C: where the batch in hand comes from; None: from memory
        self._hand: list[Run] = []  # C: the events in hand that have not left yet, as they were read
        self._gave_up = False  # C: closing, and the intake does not take any more

    def open(self) -> None:
        self._spool.make()

    def has_backlog(self) -> bool:
        return self._spool.has_backlog()

    # ---- gathering

    def take_records(self) -> list[Captured | Bare] | None:
        while self._gathered:
            with self._lock:
                wait = self._committed_at + _COMMIT_EVERY - self._clock()
                if self._closed or self.abandoned or self._markers:
                    wait = 0.0
                self._have_rung(beyond=0 if wait > 0 else None)
                if wait > 0 and not self._inbox.idle:
                    return super().take_records()  # at once: there are some
            if wait > 0:
                self._listener_bell.wait(wait)
            elif not self._write():
                break
        return super().take_records()

    def _keep(self, runs: Sequence[Run], urgent: bool) -> None:
        self._gathered += runs
        self._urgent = self._urgent or urgent
        if self._urgent or count(self._gathered) >= _COMMIT_EVENTS:
            self._write()

    def _in_burst(self) -> tuple[int, int]:
        records, size = super()._in_burst()
        return records - count(self._gathered), size - cost(self._gathered)

    def pass_markers(self) -> None:
        while True:
            with self._lock:
                if not (self._gathered and self._markers):
                    super().pass_markers()
                    return
            if not self._write():
                return

    def _pass(self, marker: Marker) -> None:
        marker.behind = [(file, file.last) for file in self._spool.files()]
        super()._pass(marker)

    def _write(self) -> bool:
        """Put on disk what is gathered, or where that fails, in memory; False: not even that, for now."""
        try:
            while self._gathered and not self.abandoned:
                try:
                    self._commit_some()
                except Exception as error:  # noqa: BLE001  whatever the disk does, the records go on
                    self._degrade(error)
                if self._spool.own is None:
                    kept, self._gathered = self._gathered, []  # first, so that it is never kept twice
                    super()._keep(kept, self._urgent)
                    break
        except Exception:  # noqa: BLE001  no memory even to say so
            time.sleep(0.02)
            return False
        self._gathered.clear()
        self._urgent, self._committed_at = False, self._clock()
        return True

    # ---- committing

    def _commit_some(self) -> None:
        """Commit the oldest of what is gathered: all, or as much as leaves room for others in a small spool."""
        self._make_usable()
        own, most = self._spool.own, self._options.spool_bytes
        if own is None:
            return
        some: Sequence[Run] = self._gathered
        rest: Sequence[Run] = ()
        if weight(some) > most // 4:
            some, rest = parted(some, fitting(some, count(some), most // 4))
        self._gathered = [*rest]
        try:
            if some[0].size > most and count(some) == 1:  # there will never be room
                late, some = some, ()
                self._turn_away(late, "too_large")
            while some and not self._make_space(weight(some)):
                some, late = parted(some, self._fitting_on_disk(some))
                self._turn_away(late, "queue_full")
            if some:
                self._append(own, some)
        except BaseException:
            self._gathered = [*some, *self._gathered]
            raise

    def _fitting_on_disk(self, runs: Sequence[Run]) -> int:
        """How many of their events the spool has room for."""
        room = self._options.spool_bytes - self._spool.bytes()
        weights = accumulate(DISK_COST + len(event) for run in runs for event in run.events)
        return sum(weight <= room for weight in weights)

    def _append(self, own: SpoolFile, runs: Sequence[Run]) -> None:
        if not own.count:
            self._own_since = self._clock()
        events, size = count(runs), cost(runs)
        if not self._hold(-events, -size):  # before it is done: who abandons meanwhile must not count them as well
            return
        try:
            with disk():  # so that the courier does not take them before they are counted
                own.append(runs, self._options.buffer_bytes // 8)
                with self._lock:
                    self._books.spooled += events
        except BaseException:
            if not self._hold(events, size):  # abandoned meanwhile, when they were not counted with the others
                self._books.drop("shutdown", events, *span(runs))
            raise
        with self._lock:
            self._freed()
            self._outbox.urgent = self._outbox.urgent or self._urgent
            if own.count <= events or self._own_due_in(own) <= 0:  # otherwise it knows when to look
                self._courier_bell.ring()

    def _hold(self, events: int, size: int) -> bool:
        """So much more is in memory; False: all that was has been entered as lost."""
        with self._lock:
            if self.abandoned:
                return False
            self._held += events
            self._held_bytes += size
            self._measure_room()
            return True

    def _make_usable(self) -> None:
        """Have a file of our own: made anew where it was lost, or could not be made before."""
        now, own = self._clock(), self._spool.own
        if own is not None and now - self._seen_at > STILL_THERE_EVERY:
            self._seen_at = now
            if not own.path.exists():  # what is in it can still be read: the descriptor is open
                self._degrade(FileNotFoundError("the spool file was removed"))
                self._try_again_at = now
        if self._spool.own is None and now >= self._try_again_at:
            self._try_again_at = now + LOOK_EVERY
            self._spool.make()

    def _degrade(self, error: Exception) -> None:
        self._spool.tell(error)
        self._try_again_at = self._clock() + LOOK_EVERY
        self._spool.retire_own()

    def _make_space(self, need: int) -> bool:
        """Keep within `spool_bytes`, by the overflow policy; whether there is room for `need` bytes."""
        most, overflow = self._options.spool_bytes, self._options.overflow
        while (used := self._spool.bytes()) + need > most and used:
            if overflow == "drop_oldest" and self._drop_oldest(need):
                continue
            if overflow != "block" or self._gave_up or self.abandoned:
                return False
            time.sleep(0.02)  # the courier makes room, or gives up by the deadline
        return True

    def _turn_away(self, runs: Sequence[Run], reason: DropReason) -> None:
        with self._lock:
            if runs and not self.abandoned:
                self._books.drop(reason, count(runs), *span(runs))
                self._hold(-count(runs), -cost(runs))
                self._freed()

    def _drop_oldest(self, need: int) -> bool:
        with disk():  # so that the courier does not take the same events meanwhile
            for file in self._spool.files():
                after = self._hand[-1].last if self._hand and file is self._source else 0
                try:
                    if victims := file.read(1_000, need, after=after):
                        file.delete(victims)
                        self._enter(victims, "queue_full")
                        return True
                except Exception as error:  # noqa: BLE001  that file's fault, and none of our own's
                    self._spool.tell(error, file.path)
        return False

    # ---- for both threads

    def _own_due_in(self, own: SpoolFile) -> float:
        """Seconds until what is in our own file should leave."""
        options = self._options
        full = own.count >= options.batch_events or own.bytes >= self._batch_bytes
        if full or self._outbox.urgent or self._markers or self._closed:
            return 0.0
        return self._own_since + options.flush_interval - self._clock()

    def _enter(self, runs: Sequence[Run], reason: DropReason) -> None:
        with self._lock:
            self._books.drop(reason, count(runs), *span(runs))
            self._books.spooled -= count(runs)
