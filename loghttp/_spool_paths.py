"""What a spool file consists of on disk, beside its rows: its names, SQLite's log, and the lock that says whose it is.

Rule: nothing here opens the database.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

SUFFIX: Final = ".spool"
DAMAGED: Final = ".damaged"  # is added to the name of a file that cannot be read
REFUSED: Final = ".refused"  # ... and of one that holds nothing but dead letters


class NotOurs(Exception):  # noqa: N818  no error: somebody alive owns the file
    """Another process holds the file's lock."""


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
