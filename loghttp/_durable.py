"""Durable mode: the buffer whose events wait on disk instead of in memory; here, the courier's half.

Rule: an event is on disk before any network is touched. The courier takes from the file of this process and, in turn,
from those of dead processes that it has adopted, so that a backlog and fresh events both flow.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from loghttp import _spooling
from loghttp._batch import Run, cost, count
from loghttp._options import Delivery
from loghttp._outbox import Marker
from loghttp._spool import Spool
from loghttp._spool_file import SpoolFile, disk
from loghttp._spool_rows import taken_out
from loghttp._spooling import SpoolingBuffer
from loghttp._stats import Books, DropReason


class DurableBuffer(SpoolingBuffer):
    """A `Buffer` that keeps encoded events in spool files. Its fields are the courier's."""

    def __init__(self, books: Books, options: Delivery, spool: Spool) -> None:
        super().__init__(books, options, spool)
        self._looked_at = float("-inf")
        self._others_turn = False  # among the files
        self._spools_turn = True  # and between them all and memory: what the disk took is the older

    def take_runs(self) -> list[Run] | None:
        while True:
            self._look_for_files()
            with self._lock:
                self._courier_bell.awaited = True  # before looking, so that no commit goes unheard
                self._settle_markers()
            waits = [_spooling.LOOK_EVERY]
            for from_spool in (self._spools_turn, not self._spools_turn):
                runs, wait = self._take_from_spool() if from_spool else self._take_from_memory()
                if runs:
                    self._courier_bell.awaited = False
                    self._spools_turn = not from_spool
                    return runs
                waits.append(wait)
            if self._drained and not self._outbox and (self._gave_up or self._spool.is_empty()):
                self._spool.close()
                return None
            self._courier_bell.wait(max(0.0, min(waits)))

    def _take_from_memory(self) -> tuple[list[Run], float]:
        """The next batch of what the disk did not take, or how many seconds to wait for one."""
        with self._lock:
            if (wait := self._due_in(self._clock())) > 0:
                return [], wait
            self._source = None
            self._taken = memory = self._outbox.take_batch(past_markers=True)  # these wait for files, which may be long
            self._in_hand, self._in_hand_bytes = count(memory), cost(memory)
            return memory, 0.0

    def _take_from_spool(self) -> tuple[list[Run], float]:
        """The next batch from disk, or how many seconds to wait for one; backlog and own file take turns."""
        if self._gave_up:
            return [], 0.0 if self._drained else _spooling.LOOK_EVERY
        own, wait = self._spool.own, float("inf")
        candidates = [file for file in self._spool.others if file.count]
        if own is not None and own.count:
            wait = self._own_due_in(own)
            if wait <= 0:
                candidates.insert(len(candidates) if self._others_turn else 0, own)
        for file in candidates:
            try:
                with disk():  # so that the listener does not drop the same events meanwhile
                    runs = file.read(self._options.batch_events, self._batch_bytes)
                    if not runs and file.count:
                        raise sqlite3.DatabaseError("events have been removed from it")
                    if runs:
                        self._source, self._hand = file, runs
            except sqlite3.OperationalError as error:  # locked, or the disk: later perhaps
                self._spool.tell(error, file.path)
                wait = _spooling.STILL_THERE_EVERY
                continue
            except sqlite3.Error as error:
                self._discard(file, error)
                continue
            if runs:
                self._others_turn = file is own
                if file is own:
                    self._outbox.urgent = False
                    self._own_since = self._clock()
                return runs, 0.0
        return [], wait

    def delivered(self, runs: Sequence[Run]) -> None:
        if self._source is None:
            super().delivered(runs)
        elif runs:
            self._remove(self._source, runs)
            with self._lock:
                self._books.deliver(count(runs))
                self._books.spooled -= count(runs)

    def dropped(self, runs: Sequence[Run], reason: DropReason, words: str = "") -> None:
        if self._source is None:
            super().dropped(runs, reason)
        elif reason == "shutdown":
            self._gave_up = True
            self._take_from_hand(runs)  # they stay in the spool: pending, not lost
        elif runs:
            self._remove(self._source, runs, words if reason == "refused" else None)
            self._enter(runs, reason)

    def exchanged(self, run: Run, smaller: Run) -> Run:
        return smaller if self._source else super().exchanged(run, smaller)

    def lose_in_hand(self) -> None:
        if self._source is None:
            super().lose_in_hand()
        else:
            self.dropped(self._hand, "encoding")

    def _remove(self, source: SpoolFile, runs: Sequence[Run], words: str | None = None) -> None:
        with disk():
            leaving = self._take_from_hand(runs)
            try:
                if words is None:
                    source.delete(leaving)
                else:
                    source.bury(leaving, words)
            except sqlite3.Error as error:
                source.done(leaving)  # not deleted, but not to be sent again by this process
                self._spool.tell(error)

    def _take_from_hand(self, runs: Sequence[Run]) -> list[Run]:
        """As they were read, and in order: some may have been cut since."""
        with disk():
            if count(runs) == count(self._hand):
                taken, self._hand = self._hand, []
            else:
                taken, self._hand = taken_out(self._hand, runs)
            return taken

    def _settle_markers(self) -> None:
        self._taken = ()
        while (marker := self._outbox.next_marker()) is not None and (self._gave_up or self._has_passed(marker)):
            self._outbox.take_marker()
            self._markers -= 1
            marker.release(self._has_passed(marker))

    def _has_passed(self, marker: Marker) -> bool:
        files = self._spool.files()
        return all(file not in files or file.first > last for file, last in marker.behind)

    def _look_for_files(self) -> None:
        """Let go of files that are empty, and now and then adopt those of the dead."""
        now = self._clock()
        # There may be more than are opened at a time; but to look through a folder of thousands takes its time, too.
        more = self._spool.let_go_of_empty() and not self._spool.others
        if (more or now - self._looked_at >= _spooling.LOOK_EVERY) and not self._closed:
            self._looked_at = now
            self._spool.adopt()

    def _discard(self, file: SpoolFile, error: Exception) -> None:
        """A file that cannot be read any more: what was in it is lost to us, but not deleted."""
        count = self._spool.discard(file, error)
        with self._lock:
            if count:
                self._books.drop("unreadable", count, file.oldest, time.time())
            self._books.spooled -= count
