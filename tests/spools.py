"""What the tests of durable mode share: programs with pipes, a nursery of processes, and what is in a spool folder.

A spool's database is never opened here while a living process of the test owns it, other than by SQLite itself:
closing any plain descriptor of it would drop the locks of SQLite in this process (POSIX, fcntl).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sqlite3
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from interpreters import Interpreter
from processes import environment

from loghttp.testing import LocalIntake

DEADLINE = 20.0  # seconds that anything here may take, on a loaded machine
_PROGRAM = Path(__file__).parent / "programs" / "durable.py"


class Program:
    """`programs/durable.py`, running; what it says is read by a thread, so that it never waits for us."""

    def __init__(self, way: str, intake: LocalIntake, **options: Any) -> None:
        warnings = ("-W", "ignore::DeprecationWarning", "-W", "default::ResourceWarning")
        self._process = Interpreter([*warnings, str(_PROGRAM), way, json.dumps(options)], environment(intake))
        self.pid = self._process.pid
        self.stderr = ""
        self.logged: dict[int, list[tuple[int, float]]] = defaultdict(list)
        """By run, what `logs_steadily` said: (number, monotonic seconds when `logger.info` had returned)."""
        self._said: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._hear), threading.Thread(target=self._hear_stderr)]
        for thread in self._threads:
            thread.start()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if said[0] == "logged":
                self.logged[said[1]].append((said[2], said[3]))
            else:
                self._said.put(said)
        self._said.put(None)

    def _hear_stderr(self) -> None:
        assert self._process.stderr is not None
        self.stderr = self._process.stderr.read()

    def hear(self, within: float = 2 * DEADLINE) -> list[Any]:
        """The next that it says."""
        try:
            said = self._said.get(timeout=within)
        except queue.Empty:
            self.end(signal.SIGABRT)  # faulthandler prints where every thread stands
            raise AssertionError(f"it said nothing:\n{self.stderr[-6000:]}") from None
        if said is None:
            self.end()
            raise AssertionError(f"it has ended:\n{self.stderr[-6000:]}")
        return said

    def tell(self, *what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def start(self, run: int, way: str, **options: Any) -> int:
        """Of a nursery: the pid of a new process."""
        self.tell(run, way, options)
        said = self.hear()
        assert ["started", run] == said[:2]
        return int(said[2])

    def reap(self, pid: int, within: float = 2 * DEADLINE) -> int:
        """Of a nursery: how a process ended, once it has."""
        self.tell("reap", pid)
        said = self.hear(within)
        assert ["ended", pid] == said[:2]
        return int(said[2])

    def wait(self) -> int:
        """How it ended, once it has."""
        try:
            status = self._process.wait(2 * DEADLINE)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGABRT)
            raise AssertionError(f"it hangs:\n{self.stderr[-6000:]}") from None
        self.end()
        return status

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it and all its children; its pipes are closed."""
        for kill in dict.fromkeys((number, signal.SIGKILL)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, kill)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(DEADLINE)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@contextmanager
def running(way: str, intake: LocalIntake, **options: Any) -> Iterator[Program]:
    """The program, ended with the `with` if it has not ended by itself."""
    program = Program(way, intake, **options)
    try:
        yield program
    finally:
        program.end()


def drain(intake: LocalIntake, folder: Path) -> None:
    """Have a next process deliver all that is in the folder; its end says that the folder is empty."""
    with running("nursery", intake) as nursery:
        assert 0 == nursery.reap(nursery.start(10**9, "drains", spool_dir=str(folder)))


def names(folder: Path) -> list[str]:
    """All files in the folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def spools(folder: Path) -> list[Path]:
    """The databases in the folder."""
    return sorted(folder.glob("*.spool"))


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What a database answers."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def bodies(path: Path) -> list[bytes]:
    """The events in a database, in order."""
    found = []
    for first, last, body in rows(path, "SELECT id, last, body FROM events ORDER BY id"):
        found += body.split(b"\n") if first < last else [body]
    return found


def disk_bytes(folder: Path) -> int:
    """What the files of a folder occupy."""
    total = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
