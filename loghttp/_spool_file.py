"""One spool file: encoded events on disk, from the moment they are encoded until they are delivered.

Invariants:

- A file belongs to the process that holds the `flock` on its `.lock` file; the kernel frees that lock when
  the process dies, however it dies. Only the owner opens the database.
- An event is in the file when `append` has returned: committed to SQLite's write-ahead log, which survives
  the death of the process, and with `fsync` a power cut too (https://www.sqlite.org/wal.html,
  "PRAGMA synchronous").
- A row is deleted only after the intake has taken it, or when it is entered as dropped. So a crash between
  the two sends it twice, and never loses it.
- No credential is stored: events wait without them, and the file's name bears a digest of its destination.
- A file that cannot be read is moved aside, never deleted.

Every method may raise `sqlite3.Error` or `OSError`; what that means is the affair of `_spool` and `_durable`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from loghttp._batch import Event

SCHEMA_VERSION: Final = 1
SUFFIX: Final = ".spool"
ROW_COST: Final = 30  # bytes that a row occupies besides its body
DEAD_LETTERS: Final = 10_000
DEAD_LETTER_BYTES: Final = 16 * 1024 * 1024
"""Refused events kept, and the bytes of their bodies; older ones give way."""
DAMAGED: Final = ".damaged"  # is added to the name of a file that cannot be read
REFUSED: Final = ".refused"  # ... and of one that holds nothing but dead letters

_SCHEMA: Final = """
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL, born REAL NOT NULL,
                     body BLOB NOT NULL);
CREATE TABLE dead_letters (id INTEGER PRIMARY KEY, created REAL NOT NULL, refused REAL NOT NULL,
                           words TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE destination (url TEXT NOT NULL);
"""

_FORGET_DEAD_LETTERS: Final = """
DELETE FROM dead_letters WHERE id NOT IN (
    SELECT id FROM (SELECT id, row_number() OVER latest AS number, sum(length(body)) OVER latest AS bytes
                    FROM dead_letters WINDOW latest AS (ORDER BY id DESC))
    WHERE number <= ? AND bytes <= ?)
"""

_BEGAN: Final = time.time() - time.monotonic()
_inherited: Final[list[object]] = []  # see `forget`
_disk = threading.RLock()


def disk() -> threading.RLock:
    """Held around every use of SQLite in this process, by our own threads only; before the books' lock, never after.

    SQLite has mutexes of its own for the whole process. A fork while another thread holds one would leave it
    held for ever in the child, so the fork waits until this one is free.
    """
    return _disk


def renew_disk() -> None:
    """In a forked child: its copy of the lock is held by the thread that forked."""
    global _disk  # noqa: PLW0603
    _disk = threading.RLock()


class NotOurs(Exception):  # noqa: N818  no error: somebody alive owns the file
    """Another process holds the file's lock."""


class NewerSchema(Exception):  # noqa: N818  no error either: a later loghttp will read it
    """The file was written by a later version."""


class SpoolFile:
    """A spool file that this process owns; its methods may be called from any thread."""

    def __init__(self, path: Path, *, fsync: bool = False, url: str = "", made: bool = True) -> None:
        """Open, or make, the file at `path`. Raises `NotOurs` or `NewerSchema` besides."""
        self.path = path
        self._done = 0
        self._lock_fd = own(path)
        try:
            if not made and not path.exists():  # its owner has delivered it, and removed it, a moment ago
                path.with_suffix(".lock").unlink(missing_ok=True)
                raise NotOurs(path.name)
            with disk():
                self._db = self._open(fsync, url)
                self.count, self.bytes, self.oldest = self._sums()
                self.last = self._last_id()
                """The id of the row that was appended last."""
                self.first = self._first_id()
                """The id of the oldest row; where there is none, one more than the last."""
        except BaseException:
            if "_db" in vars(self):  # it could be opened, and not be read
                self._db.close()
            os.close(self._lock_fd)
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

    def append(self, events: Sequence[Event]) -> None:
        """Commit `events`, all or none."""
        now = _now()
        with disk():
            with self._transaction():
                self._db.executemany(
                    "INSERT INTO events (created, born, body) VALUES (?, ?, ?)",
                    [(event.created, now, event.body) for event in events],
                )
                last = self._last_id()
            if not self.count:
                self.oldest = events[0].created
            self.last = last
            self.count += len(events)
            self.bytes += _weight(events)

    def read(self, events: int, size: int, *, after: int = 0) -> list[Event]:
        """The oldest events, as many as one request may carry: at most `events`, and about `size` bytes."""
        batch: list[Event] = []
        total = 0
        now, wall = time.monotonic(), _now()
        query = "SELECT id, created, born, body FROM events WHERE id > ? ORDER BY id LIMIT ?"
        with disk(), closing(self._db.execute(query, (max(after, self._done), events))) as rows:
            for row, created, born, body in rows:
                total += len(body)
                if batch and total > size:
                    break
                batch.append(Event(body, created, now - max(0.0, wall - born), row))
        return batch

    def done(self, events: Sequence[Event]) -> None:
        """Take these for gone although they could not be deleted: they must not be sent for ever."""
        with disk():
            self._done = max(self._done, *(event.row for event in events))
            self.count -= len(events)
            self.bytes -= _weight(events)
            self.first = max(self.first, self._done + 1)

    def delete(self, events: Sequence[Event]) -> None:
        """Remove rows that are delivered or dropped; the space goes back to the file system when none is left."""
        with disk():
            with self._transaction():
                self._db.executemany("DELETE FROM events WHERE id = ?", [(event.row,) for event in events])
                self._db.execute("DELETE FROM events WHERE id <= ?", (self._done,))  # what failed before
            self._subtract(events)

    def bury(self, events: Sequence[Event], words: str) -> None:
        """Move refused events to the dead letters, with the intake's reply."""
        now = time.time()
        with disk():
            with self._transaction():
                self._db.executemany(
                    "INSERT INTO dead_letters (created, refused, words, body) VALUES (?, ?, ?, ?)",
                    [(event.created, now, words, event.body) for event in events],
                )
                self._db.execute(_FORGET_DEAD_LETTERS, (DEAD_LETTERS, DEAD_LETTER_BYTES))
                self._db.executemany("DELETE FROM events WHERE id = ?", [(event.row,) for event in events])
            self._subtract(events)

    def dead_letters(self) -> list[tuple[float, float, str, bytes]]:
        """(created, refused, the intake's words, body) of each, oldest first."""
        with disk():
            return list(self._db.execute("SELECT created, refused, words, body FROM dead_letters ORDER BY id"))

    def close(self) -> None:
        """Let go of the file. An empty one is removed; one with dead letters only is renamed: nobody adopts it."""
        try:
            with disk():
                events, dead = 1, 0
                with suppress(sqlite3.Error):
                    (events,) = self._db.execute("SELECT count(*) FROM events WHERE id > ?", (self._done,)).fetchone()
                    (dead,) = self._db.execute("SELECT count(*) FROM dead_letters").fetchone()
                self._db.close()
            if not events:
                rename(self.path, REFUSED) if dead else remove(self.path)
        finally:
            os.close(self._lock_fd)

    def set_aside(self) -> Path:
        """Rename a file that cannot be read, so that nothing meets it again and somebody may look at it."""
        try:
            with disk(), suppress(sqlite3.Error):
                self._db.close()
            return rename(self.path, DAMAGED)
        finally:
            os.close(self._lock_fd)

    def forget(self) -> None:
        """In a forked child: the file is the parent's. Its lock's descriptor is closed, which frees nothing
        there; the database is never touched again, not even to close it (https://www.sqlite.org/howtocorrupt.html,
        section 2.6)."""
        _inherited.append(self._db)
        with suppress(OSError):
            os.close(self._lock_fd)

    def _open(self, fsync: bool, url: str) -> sqlite3.Connection:
        made = not self.path.exists()
        if made:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            if made:
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise NewerSchema(self.path.name)
            if version == 0:  # new, or its maker died before this transaction: then it holds nothing
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
                db.execute("INSERT INTO destination VALUES (?)", (url,))
        except BaseException:
            db.close()
            raise
        return db

    def _sums(self) -> tuple[int, int, float]:
        count, size, oldest = self._db.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0), coalesce(min(created), 0) FROM events"
        ).fetchone()
        return int(count), int(size) + ROW_COST * int(count), float(oldest)

    def _first_id(self) -> int:
        (first,) = self._db.execute("SELECT min(id) FROM events WHERE id > ?", (self._done,)).fetchone()
        return self.last + 1 if first is None else int(first)

    def _last_id(self) -> int:
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
        return int(last)

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

    def _subtract(self, events: Sequence[Event]) -> None:
        self.count -= len(events)
        self.bytes -= _weight(events)
        self.first = self._first_id()
        if self.count == 0:
            with suppress(sqlite3.Error):  # only tidying up
                self._db.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _weight(events: Sequence[Event]) -> int:
    return sum(len(event.body) + ROW_COST for event in events)


def _now() -> float:
    """Wall clock that no setting of the clock makes jump while this process lives: for ages."""
    return _BEGAN + time.monotonic()


def own(path: Path) -> int:
    """Take the lock that says whose file it is. `flock`, because a POSIX lock ends with any close of the file."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last owner may have removed the file between our open and our lock: then this is no lock at all.
        if os.fstat(descriptor).st_nlink == 0:
            raise NotOurs(path.name)
    except BlockingIOError:
        os.close(descriptor)
        raise NotOurs(path.name) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _parts(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-journal")]


def remove(path: Path) -> None:
    """Remove a file that holds nothing; its lock last, as that is what others look for."""
    for part in (*_parts(path), path.with_suffix(".lock")):
        part.unlink(missing_ok=True)


def rename(path: Path, addition: str) -> Path:
    """Give a file a name by which nothing adopts it any more. SQLite wants the log's name to follow the file's."""
    new = path.with_name(path.name + addition)
    for part, new_part in zip(_parts(path), _parts(new), strict=True):
        with suppress(FileNotFoundError):
            part.rename(new_part)
    path.with_suffix(".lock").unlink(missing_ok=True)
    return new
