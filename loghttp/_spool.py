"""The spool files of one destination: our own, those adopted from dead processes, and the folder they are in.

Rule: nothing is raised. What fails is told on the `loghttp` logger, once a minute at most, and passed over; a
damaged file is moved aside, never deleted. The listener's thread makes and retires files, the courier's adopts
them and lets them go: both change `own` and `others` under a lock, as a whole, so that to read them takes none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from loghttp import _spool_file
from loghttp._selflog import SelfLog
from loghttp._spool_file import NewerSchema, SpoolFile
from loghttp._spool_paths import DAMAGED, REFUSED, SUFFIX, NotOurs, own, rename
from loghttp._stats import Books

_OPEN_MOST: Final = 8  # adopted files at a time: each takes four of the program's descriptors
_DISK_ERRORS: Final = (sqlite3.Error, OSError)


class Spool:
    """The spool files that one handler uses."""

    def __init__(
        self, folder: str, url: str, secrets: Sequence[str], *, fsync: bool, books: Books, selflog: SelfLog
    ) -> None:
        self._folder = Path(folder)
        self._destination = fingerprint(url, secrets)
        self._url = url
        self._fsync = fsync
        self._books = books
        self._selflog = selflog
        self._told_of_strangers = False
        self._changing = threading.Lock()
        self.own: SpoolFile | None = None
        """Where new events go."""
        self.others: list[SpoolFile] = []
        """Files that are only read from: of dead processes, and of our own those that failed."""

    def files(self) -> list[SpoolFile]:
        mine = self.own
        return [*self.others, mine] if mine else list(self.others)

    def bytes(self) -> int:
        return sum(file.bytes for file in self.files())

    def is_empty(self) -> bool:
        return not any(file.count for file in self.files())

    def has_backlog(self) -> bool:
        """Whether the folder holds files of this destination, before any is open."""
        with contextlib.suppress(OSError):
            return bool(self._paths())
        return False

    def make(self) -> None:
        """A new file of our own; None where the disk does not let us."""
        try:
            while self.own is None and len(self.others) < 2 * _OPEN_MOST:  # some of these may be our own that failed
                # Another process may sweep our lock away before we hold it: then with another name.
                with contextlib.suppress(NotOurs):
                    self.own = SpoolFile.make(self._folder, self._destination, fsync=self._fsync, url=self._url)
        except Exception as error:  # noqa: BLE001  whatever it is, memory will do
            self.tell(error)

    def retire_own(self) -> None:
        """It took nothing more; what is in it can still be read."""
        with self._changing:
            mine, self.own = self.own, None
            if mine is not None:
                self.others = [*self.others, mine]

    def adopt(self) -> None:
        """Take over files whose owners are dead, those first that were written to least lately.

        Those of one instant, as file systems count, are put in order by their events.
        """
        with contextlib.suppress(OSError):
            self._sweep()
            for path in sorted(self._paths(), key=_modified):
                if len(self.others) >= _OPEN_MOST:
                    break
                if (file := self._adopt(path)) is not None:
                    self._enter(file)  # before an event can leave
                    with self._changing:
                        self.others = sorted([*self.others, file], key=attrgetter("oldest"))
            self._forget_settled()
            self._tell_of_strangers()

    def let_go_of_empty(self) -> bool:
        """Close adopted files that are delivered; whether there was one."""
        with self._changing:
            empty = [file for file in self.others if not file.count]
            self.others = [file for file in self.others if file.count]
        for file in empty:
            self._close(file)
        return bool(empty)

    def discard(self, file: SpoolFile, error: Exception) -> int:
        """Move a damaged file aside; return how many events were in it."""
        with self._changing:
            self.others = [other for other in self.others if other is not file]
            if file is self.own:
                self.own = None
        try:
            self._selflog.damaged(str(error), str(file.path), file.set_aside().name)
        except _DISK_ERRORS as failure:
            self.tell(failure, file.path)
        return file.count

    def close(self) -> None:
        """Let go of all files; what is in them waits for the next process, or for this handler's next line."""
        for file in self.files():
            if file.count:
                gone = _is_gone(file.path)
                with self._books.lock:
                    if not gone:
                        self._books.left_behind[str(file.path)] = file.count
                    else:  # what could be read through the open descriptor goes with that
                        self._books.spooled -= file.count
                        self._books.drop("shutdown", file.count, file.oldest, time.time())
            self._close(file)
        self.own, self.others = None, []

    def tell(self, error: Exception, path: Path | None = None) -> None:
        """Say that the disk fails us."""
        self._selflog.not_durable(f"{type(error).__name__}: {error}", str(path or self._folder))

    def _paths(self) -> list[Path]:
        return list(self._folder.glob(f"{self._destination}-*{SUFFIX}"))

    def _adopt(self, path: Path) -> SpoolFile | None:
        try:
            return SpoolFile.adopt(path, fsync=self._fsync)
        except NotOurs:
            pass
        except NewerSchema:
            self._selflog.not_durable("a later version of loghttp wrote it; it is left alone", str(path))
        except (sqlite3.OperationalError, OSError) as error:
            self.tell(error, path)
        except sqlite3.DatabaseError as error:
            with contextlib.suppress(OSError):
                self._selflog.damaged(str(error), str(path), rename(path, DAMAGED).name)
        return None

    def _close(self, file: SpoolFile) -> None:
        try:
            file.close()
        except _DISK_ERRORS as error:  # it stays, and the next process looks at it once more
            self.tell(error, file.path)
        with contextlib.suppress(OSError):
            self._forget_dead_letters()

    def _forget_dead_letters(self) -> None:
        """Of all files that hold nothing else, keep the latest, as many bytes as one file may hold."""
        total = 0
        refused = self._folder.glob(f"{self._destination}-*{SUFFIX}{REFUSED}")
        for path in sorted(refused, key=_modified, reverse=True):
            if total > _spool_file.DEAD_LETTER_BYTES:
                path.unlink(missing_ok=True)
            else:
                total += path.stat().st_size

    def _enter(self, file: SpoolFile) -> None:
        """What is adopted is accepted here, unless it is our own that a closed line left behind."""
        with self._books.lock:
            known = self._books.left_behind.pop(str(file.path), 0)
            self._books.accepted += file.count - known
            self._books.spooled += file.count - known

    def _forget_settled(self) -> None:
        """What a closed line left behind, and another process has taken over, is in that one's books now."""
        with self._books.lock:
            for path in [path for path in self._books.left_behind if not Path(path).exists()]:
                known = self._books.left_behind.pop(path)
                self._books.accepted -= known
                self._books.spooled -= known

    def _sweep(self) -> None:
        """Remove locks without a file: their owners died between the making or removing of the two."""
        for lock in self._folder.glob(f"{self._destination}-*.lock"):
            path = lock.with_suffix(SUFFIX)
            if not path.exists():
                with contextlib.suppress(NotOurs, OSError):
                    descriptor = own(path)
                    if not path.exists():
                        lock.unlink(missing_ok=True)
                    os.close(descriptor)

    def _tell_of_strangers(self) -> None:
        """Once: files for another address or token, such as that which was just replaced, wait for their own."""
        strangers = [path for path in self._folder.glob(f"*{SUFFIX}") if not path.name.startswith(self._destination)]
        if strangers and not self._told_of_strangers:
            self._told_of_strangers = True
            self._selflog.strangers(len(strangers), str(self._folder))


def _is_gone(path: Path) -> bool:
    """Whether somebody has removed it; not if the folder cannot be looked into."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def fingerprint(url: str, secret: Sequence[str]) -> str:
    """A name for a destination: the address and the token, of which nothing can be read back."""
    return hashlib.sha256("\n".join([url, *secret]).encode()).hexdigest()[:16]
