"""How far each file has been handed over, kept beside the spool: so that the same command goes on where it stopped.

Rule: a position is written only when all before it is delivered, or in the spool. A file is known by its first bytes,
and by its path or its inode: so rotation by renaming is followed, and a new file under the old name begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_SUFFIX: Final = ".position"
_LOCK: Final = "send.lock"
_HEAD: Final = 1_024  # bytes by which a file is known
_FORGET: Final = 30 * 86_400
"""Seconds after which the position of a file that is no more at its path is forgotten."""


class Busy(Exception):  # noqa: N818  no error: somebody else is at work
    """Another `loghttp send` is reading files with this folder."""


class Position:
    """Where one file goes on."""

    def __init__(self, path: Path, known: dict[str, Any], head: bytes) -> None:
        self._path = path
        self._known = known
        self._head = head
        self.offset: int = known["offset"]

    def save(self, offset: int) -> None:
        """All before `offset` is safe. Raises OSError."""
        if offset == self.offset and self._path.exists():
            return
        length = min(offset, len(self._head))
        self._known |= {"offset": offset, "head_bytes": length, "head": _digest(self._head[:length])}
        aside = self._path.with_suffix(".new")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._known, file)
        aside.replace(self._path)
        self.offset = offset


class Positions:
    """The positions of one folder, for one destination; held by one process at a time."""

    def __init__(self, folder: Path, url: str) -> None:
        """Raises Busy, or OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._url = url
        self._lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Busy from None
        self._known = [(file, known) for file in sorted(folder.glob(f"*{_SUFFIX}")) if (known := _read(file))]

    def close(self) -> None:
        os.close(self._lock)

    def of(self, path: Path, descriptor: int) -> Position:
        """The position of an open file; at its start if it is not known."""
        status = os.fstat(descriptor)
        head = os.pread(descriptor, _HEAD, 0)
        now = {"path": str(path.resolve()), "device": status.st_dev, "inode": status.st_ino, "url": self._url}
        for file, known in self._known:
            if known["url"] != self._url or known["offset"] > status.st_size:
                continue
            length = known["head_bytes"]
            same_place = known["path"] == now["path"] or all(known[name] == now[name] for name in ("device", "inode"))
            if same_place and length <= len(head) and known["head"] == _digest(head[:length]):
                known.update(now)
                return Position(file, known, head)
        anew = {**now, "offset": 0, "head_bytes": 0, "head": _digest(b"")}
        self._known.append((self._folder / f"{secrets.token_hex(8)}{_SUFFIX}", anew))
        return Position(*self._known[-1], head)


def _read(file: Path) -> dict[str, Any] | None:
    """What was saved; None for what cannot be read, and for what is forgotten."""
    try:
        known: dict[str, Any] = json.loads(file.read_bytes())
        fine = all(isinstance(known[name], str) for name in ("path", "url", "head"))
        fine = fine and all(isinstance(known[name], int) for name in ("device", "inode", "offset", "head_bytes"))
        if fine and time.time() - file.stat().st_mtime > _FORGET and not _is_there(known):
            file.unlink()
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if fine else None


def _is_there(known: dict[str, Any]) -> bool:
    with suppress(OSError):
        return bool(Path(known["path"]).stat().st_ino == known["inode"])
    return False


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
