"""What is in a spool folder, read without leaving a trace: nothing is created, changed or waited for.

A file's owner lives if the `flock` on its `.lock` file is taken, as `_spool_file` says. It is asked for shared, so
that two who look do not take each other for owners; while a dead owner's file is read it is kept, so that
nobody adopts the file meanwhile (a handler that wants it looks again in ten seconds).

SQLite's own read-only mode makes `-wal` and `-shm` files where there are none, and writes to the second. So it is
told not to (`readonly_shm`, `immutable`: https://www.sqlite.org/uri.html), and each read lasts milliseconds only,
for an owner who has delivered everything waits for readers before it shrinks its file.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

from loghttp._batch import Run
from loghttp._spool_file import SCHEMA_VERSION
from loghttp._spool_paths import DAMAGED, REFUSED, SUFFIX
from loghttp._spool_rows import restored

Owner = Literal["alive", "dead", "none", "unknown"]
State = Literal["readable", "newer", "unreadable"]

_ROWS: Final = 2_000  # one read of a living owner's file takes as many rows at most, or ...
_BYTES: Final = 4_000_000  # ... as many bytes, whichever is less: a few milliseconds
_PATIENCE: Final = 0.5  # seconds; within them an owner has made its file, or removed it


@dataclass(frozen=True, slots=True)
class File:
    """One spool file, as it was a moment ago."""

    path: Path
    owner: Owner
    pid: int | None
    """The owner's; where that cannot be known, the pid of the process that made the file. A file that holds refused
    events only has no owner, and needs none."""
    disk_bytes: int
    state: State = "readable"
    trouble: str = ""
    """Why it is not readable."""
    url: str = ""
    events: int = 0
    bytes: int = 0
    """Of the events, without what SQLite adds."""
    oldest: float | None = None
    """When the oldest event was logged, seconds since 1970."""
    dead_letters: int = 0

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def digest(self) -> str:
        """The name of its destination: of the URL and the token, of which nothing can be read back."""
        return self.name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Folder:
    """All that is in a spool folder."""

    path: Path
    files: tuple[File, ...]
    """By destination, the oldest first."""
    damaged: tuple[tuple[str, int], ...]
    """Name and bytes of what loghttp could not read and has set aside."""

    def of_state(self, state: State) -> list[File]:
        return [file for file in self.files if file.state == state]

    @property
    def readable(self) -> list[File]:
        return self.of_state("readable")

    @property
    def events(self) -> int:
        return sum(file.events for file in self.files)

    @property
    def dead_letters(self) -> int:
        return sum(file.dead_letters for file in self.files)


@dataclass(frozen=True, slots=True)
class Row:
    """An event that waits, or one that was refused: then with when and why."""

    file: str
    id: int
    created: float
    body: bytes
    refused: float | None = None
    words: str = ""

    def as_json(self) -> bytes:
        """As one line, the event as it was encoded. All times are in seconds since 1970."""
        head: dict[str, object] = {"file": self.file, "id": self.id, "created": self.created}
        if self.refused is not None:
            head |= {"refused": self.refused, "words": self.words}
        event = self.body
        try:
            json.loads(event)
        except (ValueError, RecursionError):  # not ours; but what is there is shown
            event = json.dumps(event.decode("utf-8", "backslashreplace")).encode()
        return json.dumps(head)[:-1].encode() + b', "event": ' + event.replace(b"\n", b" ") + b"}"


def look(path: Path) -> Folder:
    """Look into the folder.

    Raises:
        OSError: it does not exist, is no folder, or is not for us to read.
    """
    names = sorted(entry.name for entry in path.iterdir())
    found = [_look(path / name) for name in names if name.endswith((SUFFIX, SUFFIX + REFUSED))]
    urls = {file.digest: file.url for file in found if file is not None and file.url}
    files = [replace(file, url=urls.get(file.digest, "")) for file in found if file is not None]
    files.sort(key=lambda file: (not file.url, file.url, file.digest, file.oldest or float("inf"), file.name))
    aside = [path / name for name in names if name.endswith(SUFFIX + DAMAGED)]
    damaged = [(file.name, sum(map(_size, _parts(file)))) for file in aside]
    return Folder(path, tuple(files), tuple(damaged))


def rows(file: File, *, dead_letters: bool = False) -> Iterator[Row]:
    """What waits in the file now, oldest first; nothing of a file that is gone.

    Raises:
        sqlite3.Error, OSError: it cannot be read (any more).
    """
    events, letters = "last, times, NULL, '', body FROM events", "id, created, refused, words, body FROM dead_letters"
    query = f"SELECT id, {letters if dead_letters else events} WHERE id > ? ORDER BY id LIMIT ?"
    with suppress(FileNotFoundError), _opened(file.path) as (_, db):
        if not _version(db):
            return
        last = 0
        while some := _some(db.execute(query, (last, _ROWS))):
            for row, last, times, refused, words, body in some:
                run = Run(body, (times,), 0.0) if dead_letters else restored(row, last, 0.0, times, body)
                for number, created, event in zip(count(row), run.created, run.events):
                    yield Row(file.name, number, created, event, refused, words)


def _some(rows: sqlite3.Cursor) -> list[Any]:
    """As many as one read may take; the body comes last in each."""
    some, size = [], 0
    with closing(rows):
        for row in rows:
            some.append(row)
            size += len(row[-1])
            if size > _BYTES:
                break
    return some


def _look(path: Path) -> File | None:
    """One file; None for one that is gone meanwhile, as what is delivered goes."""
    with _ownership(path) as owner:
        file = File(path, owner, _pid(path, owner), sum(map(_size, _parts(path))))
    try:
        with _opened(path) as (owner, db):
            file = replace(file, owner=owner, pid=_pid(path, owner))
            version = _version(db)
            if version > SCHEMA_VERSION:
                return replace(file, state="newer", trouble=f"a later loghttp wrote it (schema {version})")
            return _sums(file, db) if version else file
    except FileNotFoundError:
        return None
    except (sqlite3.Error, OSError) as error:
        return replace(
            file, state="unreadable", trouble=error.strerror or "" if isinstance(error, OSError) else f"{error}"
        )


def _version(db: sqlite3.Connection) -> int:
    """Of the schema; 0: the file was being made when its maker died, and holds nothing."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _sums(file: File, db: sqlite3.Connection) -> File:
    destination = db.execute("SELECT url FROM destination").fetchone()
    (dead_letters,) = db.execute("SELECT count(*) FROM dead_letters").fetchone()
    events, size, oldest, last = 0, 0, float("inf"), 0
    while True:
        number, total, first, end = db.execute(
            "SELECT sum(number), sum(size), min(created), max(last) FROM"
            " (SELECT last, last - id + 1 AS number, length(body) - (last - id) AS size, created"
            " FROM events WHERE id > ? ORDER BY id LIMIT ?)",
            (last, _ROWS),
        ).fetchone()
        if not number:
            break
        events, size, oldest, last = events + number, size + total, min(oldest, first), end
    return replace(
        file,
        url=str(destination[0]) if destination else "",
        events=events,
        bytes=size,
        oldest=oldest if events else None,
        dead_letters=int(dead_letters),
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Owner, sqlite3.Connection]]:
    """The database, for reading, and its owner; a dead one's stays his until this ends."""
    with ExitStack() as stack:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with ExitStack() as attempt:
                owner = attempt.enter_context(_ownership(path))
                try:
                    db = attempt.enter_context(_connected(path, owner))
                    _version(db)
                except (sqlite3.OperationalError, BlockingIOError):
                    # A living owner is just making it, or letting it go.
                    if owner != "alive" or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
                else:
                    stack.enter_context(attempt.pop_all())
                    break
        yield owner, db


@contextmanager
def _connected(path: Path, owner: Owner) -> Iterator[sqlite3.Connection]:
    path.stat()  # raises FileNotFoundError, which SQLite does not tell from other troubles
    _, log, index = _parts(path)
    with ExitStack() as stack:
        if log.exists() and index.exists():
            options = "mode=ro&readonly_shm=1"
        elif owner == "alive":
            raise BlockingIOError("its owner is just making it")
        elif not _size(log):
            options = "mode=ro&immutable=1"  # let go of in good order
        else:  # copied from a disk that failed, say; what is in the log cannot be read in place
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loghttp-")))
            for part in (path, log):
                shutil.copy(part, folder)
            path, options = folder / path.name, "mode=ro"
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=_PATIENCE, isolation_level=None)
        with closing(db):
            yield db


@contextmanager
def _ownership(path: Path) -> Iterator[Owner]:
    """Whether the owner lives. While this lasts, nobody becomes the owner of a dead one's file."""
    if path.name.endswith(REFUSED):
        yield "none"
        return
    try:
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        yield "dead" if isinstance(error, FileNotFoundError) else "unknown"
        return
    try:
        owner: Owner = "dead"
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = "alive"
        yield owner
    finally:
        os.close(descriptor)


def _pid(path: Path, owner: Owner) -> int | None:
    """Whose it is: the process that holds the lock, for it may have adopted the file; else the one that made it."""
    if owner == "alive":
        with suppress(OSError):
            inode = str(path.with_suffix(".lock").stat().st_ino)
            locks = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
            # "3: FLOCK ADVISORY WRITE <pid> <device>:<inode> 0 EOF" (man 5 proc)
            held = [lock for lock in locks if lock[1] == "FLOCK" and lock[-3].rpartition(":")[2] == inode]
            holders = {int(lock[-4]) for lock in held if lock[-5] == "WRITE"}
            if len(holders) == 1 and min(holders) > 0:  # 0, or none: of another container
                return holders.pop()
    if owner == "none":
        return None
    maker = path.name.split("-")[1:2]
    return int(maker[0]) if maker and maker[0].isdigit() else None


def _parts(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
