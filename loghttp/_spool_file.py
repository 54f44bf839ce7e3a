"""One spool file: encoded events on disk, from the moment they are encoded until they are delivered.

Invariants:

- A file belongs to the process that holds the `flock` on its `.lock` file; the kernel frees that lock when
  the process dies, however it dies. Only the owner opens the database.
- An event is in the file when `append` has returned: committed to SQLite's write-ahead log, which survives
  the death of the process, and with `fsync` a power cut too (https://www.sqlite.org/wal.html,
  "PRAGMA synchronous").
- An event is deleted only after the intake has taken it, or when it is entered as dropped. So a crash between
  the two sends it twice, and never loses it. Those of its row that stay are written anew in the same transaction.
- No credential is stored: events wait without them, and the file's name bears a digest of its destination.
- A file that cannot be read is moved aside, never deleted.

Every method may raise `sqlite3.Error` or `OSError`; what that means is for `_spool`, `_spooling` and `_durable` to say.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from loghttp._batch import Run, count, fitting, parted
from loghttp._recent import Recent
from loghttp._spool_paths import DAMAGED, REFUSED, SUFFIX, NotOurs, own, remove, rename
from loghttp._spool_rows import DISK_COST, TABLE, delete, extents, insert, numbered, select, weight

SCHEMA_VERSION: Final = 1
DEAD_LETTERS: Final = 10_000
DEAD_LETTER_BYTES: Final = 16 * 1024 * 1024
"""Refused events kept, and the bytes of their bodies; older ones give way."""

_SCHEMA: Final = f"""
{TABLE}
CREATE TABLE dead_letters (id INTEGER PRIMARY KEY, created REAL NOT NULL, refused REAL NOT NULL,
                           words TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE destination (url TEXT NOT NULL);
"""
_TIDY_FROM: Final = 512 * 1024
"""Bytes of an empty database and its log that are worth giving back to the file system, which waits for the disk."""

_FORGET_DEAD_LETTERS: Final = """
DELETE FROM dead_letters WHERE id NOT IN (
    SELECT id FROM (SELECT id, row_number() OVER latest AS number, sum(length(body)) OVER latest AS bytes
                    FROM dead_letters WINDOW latest AS (ORDER BY id DESC))
    WHERE number <= ? AND bytes <= ?)
"""

_BEGAN: Final = time.time() - time.monotonic()
_files: Final[set[SpoolFile]] = set()  # those that this process owns; changed under `disk`
_inherited: Final[list[object]] = []  # see `forget_files`
_disk = threading.RLock()


def disk() -> threading.RLock:
    """Held around every use of SQLite in this process, by our own threads only; before the books' lock, never after.

    SQLite has mutexes of its own for the whole process. A fork while another thread holds one would leave it
    held for ever in the child, so the fork waits until this one is free.
    """
    return _disk


def forget_files() -> None:
    """In a forked child: the files are the parent's, and this copy of the lock is held by the thread that forked.

    The descriptors of their locks are closed, which frees nothing there; the databases are never touched again, not
    even to close them (https://www.sqlite.org/howtocorrupt.html, section 2.6).
    """
    global _disk  # noqa: PLW0603
    _disk = threading.RLock()
    for file in _files:
        file.forget()
    _files.clear()


class NewerSchema(Exception):  # noqa: N818  no error either: a later loghttp will read it
    """The file was written by a later version."""


class SpoolFile:
    """A spool file that this process owns; its methods may be called from any thread."""

    def __init__(self, path: Path, *, fsync: bool = False, url: str = "", made: bool = True) -> None:
        """Open, or make, the file at `path`. Raises `NotOurs` or `NewerSchema` besides."""
        self.path = path
        self._gone: list[tuple[int, int]] = []  # numbers, first and last, of what left and could not be deleted
        self._recent = Recent()
        with disk():  # a fork does not find it half open
            self._lock_fd = own(path)
            _files.add(self)
            try:
                if not made and not path.exists():  # its owner has delivered it, and removed it, a moment ago
                    path.with_suffix(".lock").unlink(missing_ok=True)
                    raise NotOurs(path.name)
                self._db = self._open(fsync, url)
                self.count, self.bytes, self.oldest, last = self._sums()
                self.last = last
                """The number of the event that was appended last."""
                self.first = self._first()
                """The number of the oldest event; where there is none, one more than the last."""
                self._read = self.first - 1
                """The number of the event that was read last."""
            except BaseException:
                if "_db" in vars(self):  # it could be opened, and not be read
                    self._db.close()
                if made:  # or a disk that is full would soon be full of these
                    with suppress(OSError):
                        remove(path)
                self._unlock()
                raise

    @classmethod
    def adopt(cls, path: Path, *, fsync: bool) -> SpoolFile:
        """Take over a file whose owner is dead. Raises as the constructor, and `NotOurs` for one that is gone."""
        return cls(path, fsync=fsync, made=False)

    @classmethod
    def make(cls, folder: Path, destination: str, *, fsync: bool, url: str) -> SpoolFile:
        """A new file in `folder`, which is made if need be; both for the owner's eyes only."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{destination}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        return cls(folder / name, fsync=fsync, url=url)

    def append(self, runs: Sequence[Run], remember: int = 0) -> None:
        """Commit their events, all or none; up to `remember` bytes of the latest are not read back from disk."""
        with disk():
            runs = numbered(runs, self.last + 1)
            events, size = count(runs), weight(runs)
            with self._transaction():
                insert(self._db, runs, _now())
            # From here on nothing may raise: what is on disk must not be kept elsewhere as well.
            if not self.count:
                self.oldest = runs[0].created[0]
            joins = self.last in (self._recent.last, self._read)  # nothing between them and these is on disk only
            self.last += events
            self.count += events
            self.bytes += size
            if joins:
                with suppress(MemoryError):
                    self._recent.put(runs, remember)

    def read(self, events: int, size: int, *, after: int = 0) -> list[Run]:
        """The oldest events, as many as one request may carry: at most `events`, and about `size` bytes."""
        with disk():
            start = max(after + 1, self.first, *(last + 1 for _, last in self._gone))
            runs = self._recent.take(start, events, size) or self._read_back(start, events, size)
            if runs:
                self._read = runs[-1].last
            return runs

    def _read_back(self, start: int, events: int, size: int) -> list[Run]:
        now, wall = time.monotonic(), _now()
        runs = select(self._db, start, events, size)
        runs = [run._replace(born=now - max(0.0, wall - run.born)) for run in runs]
        return [*parted(runs, fitting(runs, events, size))[0]]

    def done(self, runs: Sequence[Run]) -> None:
        """Take these for gone although they could not be deleted: they must not be sent for ever."""
        with disk():
            self._gone = sorted([*self._gone, *extents(runs)])
            self.count -= count(runs)
            self.bytes -= weight(runs)
            for first, last in self._gone:
                if first <= self.first:  # others, which come before these, may still be under way
                    self.first = max(self.first, last + 1)

    def delete(self, runs: Sequence[Run]) -> None:
        """Remove events that are delivered or dropped; when none is left, the disk gets its space back."""
        with disk():
            with self._transaction():
                self._delete(runs)
            self._subtract(runs)

    def bury(self, runs: Sequence[Run], words: str) -> None:
        """Move refused events to the dead letters, with the intake's reply."""
        now = time.time()
        with disk():
            with self._transaction():
                self._db.executemany(
                    "INSERT INTO dead_letters (created, refused, words, body) VALUES (?, ?, ?, ?)",
                    [
                        (created, now, words, event)
                        for run in runs
                        for created, event in zip(run.created, run.events, strict=True)
                    ],
                )
                self._db.execute(_FORGET_DEAD_LETTERS, (DEAD_LETTERS, DEAD_LETTER_BYTES))
                self._delete(runs)
            self._subtract(runs)

    def dead_letters(self) -> list[tuple[float, float, str, bytes]]:
        """(created, refused, the intake's words, body) of each, oldest first."""
        with disk():
            rows = self._db.execute("SELECT created, refused, words, body FROM dead_letters ORDER BY id")
            return [(created, refused, words.decode(), body) for created, refused, words, body in rows]

    def close(self) -> None:
        """Let go of the file. An empty one is removed; one with dead letters only is renamed: nobody adopts it."""
        try:
            with disk():
                events, dead = 1, 0
                with suppress(sqlite3.Error):
                    events, *_ = self._sums()
                    events -= sum(last - first + 1 for first, last in self._gone)
                    (dead,) = self._db.execute("SELECT count(*) FROM dead_letters").fetchone()
                    if not (events or dead):  # what is removed in a moment need not wait for the disk
                        self._db.execute("PRAGMA synchronous = OFF")
                self._db.close()
            if not events:
                rename(self.path, REFUSED) if dead else remove(self.path)
        finally:
            self._unlock()

    def set_aside(self) -> Path:
        """Rename a file that cannot be read, so that nothing meets it again and somebody may look at it."""
        try:
            with disk(), suppress(sqlite3.Error):
                self._db.close()
            return rename(self.path, DAMAGED)
        finally:
            self._unlock()

    def forget(self) -> None:
        """See `forget_files`."""
        _inherited.append(vars(self).get("_db"))  # the fork did not wait for ever for one that was being opened
        with suppress(OSError):
            os.close(self._lock_fd)

    def _unlock(self) -> None:
        with disk():  # no fork between the two
            os.close(self._lock_fd)
            _files.discard(self)

    def _open(self, fsync: bool, url: str) -> sqlite3.Connection:
        made = not self.path.exists()
        if made:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'OFF'}")  # records wait while it is made
            if made:
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA secure_delete = OFF")  # some systems' default; it writes zeros over all that leaves
            db.text_factory = bytes  # where a bit has flipped, an event may say that it is text, and not be UTF-8
            if (version := db.execute("PRAGMA user_version").fetchone()[0]) > SCHEMA_VERSION:
                raise NewerSchema(self.path.name)
            if version == 0:  # new, or its maker died before this transaction: then it holds nothing
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
                db.execute("INSERT INTO destination VALUES (?)", (url,))
            db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        except BaseException:
            db.close()
            raise
        return db

    def _sums(self) -> tuple[int, int, float, int]:
        number, size, oldest, last = self._db.execute(
            "SELECT coalesce(sum(last - id + 1), 0), coalesce(sum(length(body) - (last - id)), 0),"
            " coalesce(min(created), 0), coalesce(max(last), 0) FROM events"
        ).fetchone()
        try:
            return int(number), int(size) + DISK_COST * int(number), float(oldest), int(last)
        except (TypeError, ValueError) as error:
            raise sqlite3.DatabaseError("a row of events is damaged") from error

    def _first(self) -> int:
        (first,) = self._db.execute("SELECT min(id) FROM events").fetchone()
        return self.last + 1 if first is None else int(first)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite has rolled back by itself, where the disk is full
                self._db.execute("ROLLBACK")
            raise

    def _delete(self, runs: Sequence[Run]) -> None:
        for first, last in (*extents(runs), *self._gone):
            delete(self._db, first, last)

    def _subtract(self, runs: Sequence[Run]) -> None:
        self.count -= count(runs)
        self.bytes -= weight(runs)
        self.first, self._gone = self._first(), []
        if self.count == 0:
            with suppress(sqlite3.Error, OSError):  # only tidying up
                self._tidy()

    def _tidy(self) -> None:
        log = self.path.with_name(f"{self.path.name}-wal")
        if self.path.stat().st_size + log.stat().st_size > _TIDY_FROM:
            self._db.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _now() -> float:
    """Wall clock that no setting of the clock makes jump while this process lives: for ages."""
    return _BEGAN + time.monotonic()
