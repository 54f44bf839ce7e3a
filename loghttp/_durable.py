"""Durable mode: the buffer whose events wait on disk instead of in memory.

Rule: an event is on disk before any network is touched, and no program's thread ever touches the disk. The
listener commits each burst; the courier reads from the file of this process and, in turn, from those of dead
processes that it has adopted, so that a backlog and fresh events both flow. What the disk will not take waits
in memory as without a spool, loudly: durability may be lost, the program never stops.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from loghttp._batch import Event
from loghttp._options import Delivery
from loghttp._outbox import Marker
from loghttp._queue import Buffer
from loghttp._spool import SpoolFolder
from loghttp._spool_file import SpoolFile, disk
from loghttp._stats import Books, DropReason

_LOOK_EVERY: Final = 10.0
"""Seconds between two looks for files of dead processes, and between two tries to use a disk that failed."""
_STILL_THERE_EVERY: Final = 1.0  # seconds between two looks whether our own file was removed under us
_DISK_ERRORS: Final = (sqlite3.Error, OSError)


class DurableBuffer(Buffer):
    """A `Buffer` that keeps encoded events in spool files.

    Fields below are used by the listener's thread (L), the courier's (C), or both; those that say which rows
    are in hand change under `disk()` only.
    """

    def __init__(self, books: Books, options: Delivery, folder: SpoolFolder) -> None:
        super().__init__(books, options)
        self._folder = folder
        self._uncommitted: list[tuple[Event, int]] = []  # L: events, and the bytes of their records
        self._own: SpoolFile | None = None  # L, C: where new events go
        self._others: list[SpoolFile] = []  # L appends, C removes: files that are only read from
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
        self._own = self._folder.make()

    def has_backlog(self) -> bool:
        return self._folder.holds_any()

    def put_event(self, event: Event, size: int, *, urgent: bool = False) -> None:
        self._uncommitted.append((event, size))
        self._outbox.urgent = self._outbox.urgent or urgent

    def pass_marker(self, marker: Marker) -> None:
        self.commit()
        marker.behind = [(file, file.last) for file in self._files()]
        super().pass_marker(marker)

    def commit(self) -> None:
        """Write what came since the last commit; where that fails, keep it in memory."""
        entries, self._uncommitted = self._uncommitted, []
        if not entries or self._abandoned:
            return
        own = None
        try:
            own = self._usable()
            if own is not None and (kept := self._make_space(entries)):
                self._append(own, kept)
        except Exception as error:  # noqa: BLE001  whatever the disk does, the records go on
            self._degrade(error)
            own = None
        if own is None:
            for event, size in entries:
                super().put_event(event, size, urgent=self._outbox.urgent)

    def _append(self, own: SpoolFile, entries: list[tuple[Event, int]]) -> None:
        if not own.count:
            self._own_since = self._clock()
        count, size = len(entries), sum(size for _, size in entries)
        self._move_to_disk(count, size)  # before it is done: who abandons meanwhile must not count them as well
        try:
            own.append([event for event, _ in entries])
        except BaseException:
            self._move_to_disk(-count, -size)
            if self._abandoned:  # meanwhile; then they were not counted with the others
                self._books.drop("shutdown", count, entries[0][0].created, entries[-1][0].created)
            raise
        with self._lock:
            self._courier_bell.ring()

    def _move_to_disk(self, count: int, size: int) -> None:
        with self._lock:
            self._books.spooled += count
            self._held -= count
            self._held_bytes -= size
            self._freed()

    def _usable(self) -> SpoolFile | None:
        """Our own file, made anew where it was lost or could not be made before."""
        now = self._clock()
        if self._own is not None and now - self._seen_at > _STILL_THERE_EVERY:
            self._seen_at = now
            if not self._own.exists():  # what is in it can still be read: the descriptor is open
                self._degrade(FileNotFoundError("the spool file was removed"))
                self._try_again_at = now
        if self._own is None and now >= self._try_again_at:
            self._own = self._folder.make()
        return self._own

    def _degrade(self, error: Exception) -> None:
        self._folder.tell(error)
        self._try_again_at = self._clock() + _LOOK_EVERY
        if self._own is not None:
            self._others.append(self._own)
            self._own = None

    def _make_space(self, entries: list[tuple[Event, int]]) -> list[tuple[Event, int]]:
        """Keep within `spool_bytes`, by the overflow policy; return what may be written."""
        most = self._options.spool_bytes
        need = sum(len(event.body) for event, _ in entries)
        while entries and sum(file.bytes for file in self._files()) + need > most:
            if self._options.overflow == "block" and not self.closing.wait(0.05):
                continue
            if self._options.overflow == "drop_oldest" and self._drop_oldest(need):
                continue
            event, size = entries.pop()
            need -= len(event.body)
            with self._lock:
                self._books.drop("queue_full", 1, event.created, event.created)
                self._held -= 1
                self._held_bytes -= size
                self._freed()
        return entries

    def _drop_oldest(self, need: int) -> bool:
        with disk():  # so that the courier does not take the same rows meanwhile
            for file in self._files():
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
                    self._in_hand_bytes = sum(event.cost for event in memory)
                    return memory
            events, spool_wait = self._take_from_spool()
            if events:
                self._courier_bell.awaited = False
                return events
            if self._drained and not self._outbox and (self._gave_up or not any(file.count for file in self._files())):
                self._close_files()
                return None
            self._courier_bell.wait(max(0.0, min(wait, spool_wait, _LOOK_EVERY)))

    def _take_from_spool(self) -> tuple[list[Event], float]:
        """The next batch from disk, or how many seconds to wait for one; backlog and own file take turns."""
        if self._gave_up:
            return [], 0.0 if self._drained else _LOOK_EVERY
        own, wait = self._own, float("inf")
        candidates: list[SpoolFile] = [file for file in self._others if file.count]
        if own is not None and own.count:
            wait = self._own_due_in(own)
            if wait <= 0:
                candidates.insert(len(candidates) if self._others_turn else 0, own)
        for file in candidates:
            try:
                with disk():  # so that the listener does not drop the same rows meanwhile
                    events = file.read(self._options.batch_events, self._options.batch_bytes)
                    if events:
                        self._source, self._hand = file, {event.row: event for event in events}
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
        full = own.count >= options.batch_events or own.bytes >= options.batch_bytes
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
            self._gave_up = True  # it stays in the spool: pending, not lost
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
        for file in self._files():
            file.forget()

    def _remove(self, source: SpoolFile, events: Sequence[Event], words: str | None = None) -> None:
        events = [self._hand.pop(event.row, event) for event in events]  # as they were read: some have been cut
        try:
            if words is None:
                source.delete(events)
            else:
                source.bury(events, words)
        except sqlite3.Error as error:
            source.done(events)  # not deleted, but not to be sent again by this process
            self._folder.tell(error)

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
        files = self._files()
        return all(file not in files or file.first > last for file, last in marker.behind)

    # ---- files

    def _files(self) -> list[SpoolFile]:
        own = self._own
        return [*self._others, own] if own else list(self._others)

    def _look_for_files(self) -> None:
        """Let go of files that are empty, and now and then adopt those of the dead."""
        for file in [file for file in self._others if not file.count]:
            self._others.remove(file)
            self._close(file)
        now = self._clock()
        if now - self._looked_at < _LOOK_EVERY or self._closed:
            return
        self._looked_at = now
        for file in self._folder.adopt():
            self._others.append(file)
            with self._lock:
                known = self._books.left_behind.pop(file.path.name, 0)
                self._books.accepted += file.count - known
                self._books.spooled += file.count - known

    def _discard(self, file: SpoolFile, error: Exception) -> None:
        """A file that cannot be read any more: what was in it is lost to us, but not deleted."""
        aside = None
        with contextlib.suppress(*_DISK_ERRORS):
            aside = file.set_aside()
        self._folder.tell(error, file.path, aside)
        with self._lock:
            self._books.drop("unreadable", file.count, file.oldest, time.time())
            self._books.spooled -= file.count
        if file is self._own:
            self._own = None
        else:
            self._others.remove(file)

    def _close(self, file: SpoolFile) -> None:
        try:
            file.close()
        except _DISK_ERRORS as error:  # it stays, and the next process looks at it once more
            self._folder.tell(error, file.path)

    def _close_files(self) -> None:
        for file in self._files():
            if file.count:
                self._books.left_behind[file.path.name] = file.count
            self._close(file)
        self._own, self._others = None, []
