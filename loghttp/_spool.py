"""The folder of spool files: which are ours, which can be adopted, and what to say of those that cannot.

Rule: nothing is raised. What fails is told on the `loghttp` logger, once a minute at most, and passed over; a
file that cannot be read is moved aside, never deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from loghttp._selflog import SelfLog
from loghttp._spool_file import DAMAGED, SUFFIX, NewerSchema, NotOurs, SpoolFile, rename


class SpoolFolder:
    """The spool files of one destination in one folder."""

    def __init__(self, folder: str, url: str, secrets: Sequence[str], *, fsync: bool, selflog: SelfLog) -> None:
        self._folder = Path(folder)
        self._destination = fingerprint(url, secrets)
        self._url = url
        self._fsync = fsync
        self._selflog = selflog
        self._told_of_strangers = False

    def holds_any(self) -> bool:
        with contextlib.suppress(OSError):
            return any(True for _ in self._paths())
        return False

    def make(self) -> SpoolFile | None:
        """A new file for this process; None where the disk does not let us."""
        try:
            return SpoolFile.make(self._folder, self._destination, fsync=self._fsync, url=self._url)
        except (sqlite3.Error, OSError) as error:
            self.tell(error)
            return None

    def adopt(self) -> list[SpoolFile]:
        """The files whose owners are dead, oldest first; from now on they are ours."""
        found: list[SpoolFile] = []
        with contextlib.suppress(OSError):
            for path in self._paths():
                file = self._adopt(path)
                if file is not None:
                    found.append(file)
            self._tell_of_strangers()
        return sorted(found, key=lambda file: file.oldest)

    def tell(self, error: Exception | str, path: Path | None = None, aside: Path | None = None) -> None:
        """Say that the disk fails us, and where what could not be read is kept."""
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        if aside is not None:
            reason += f"; it is kept as {aside.name}"
        self._selflog.not_durable(reason, str(path or self._folder))

    def _tell_of_strangers(self) -> None:
        """Once: files for another address or token, such as that which was just replaced, wait for their own."""
        strangers = len(list(self._folder.glob(f"*{SUFFIX}"))) - len(self._paths())
        if strangers and not self._told_of_strangers:
            self._told_of_strangers = True
            self.tell(f"{strangers} spool files there are for another url or token; `loghttp spool` shows them")

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._destination}-*{SUFFIX}"))

    def _adopt(self, path: Path) -> SpoolFile | None:
        try:
            return SpoolFile.adopt(path, fsync=self._fsync)
        except NotOurs:
            pass
        except NewerSchema:
            self.tell("a later version of loghttp wrote it; it is left alone", path)
        except (sqlite3.OperationalError, OSError) as error:
            self.tell(error, path)
        except sqlite3.DatabaseError as error:
            aside = None
            with contextlib.suppress(OSError):
                aside = rename(path, DAMAGED)
            self.tell(error, path, aside)
        return None


def fingerprint(url: str, secret: Sequence[str]) -> str:
    """A name for a destination: the address and the token, of which nothing can be read back."""
    return hashlib.sha256("\n".join([url, *secret]).encode()).hexdigest()[:16]
