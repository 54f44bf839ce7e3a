"""Starts the application servers that users have, as real processes, and sends them real requests.

Each program serves on a free port of loopback, writes what it says to a file, and ends, with all that it has
started, when its `with` does. Its handlers find the intake in their environment.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import PROGRAMS, environment
from servers import wait_until

from loghttp.testing import LocalIntake
from loghttp.testing._server import ReservedPort

DEADLINE = 40.0
"""Seconds that anything here may take: a server with its workers, on a machine with a lot else to do."""


def script(name: str) -> str:
    """A program that pip has put beside this Python; a test that needs a missing one is skipped."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return str(path)


def module(name: str) -> tuple[str, str, str]:
    """`python -m name`, for what can be imported; a test that needs a missing one is skipped."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return (sys.executable, "-m", name)


class Served:
    """A server that runs, and whose requests are numbered, as the applications in `programs/` log them."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, ready: str) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        self._ready = ready
        self._numbers = itertools.count()
        self.asked = 0
        """Requests so far: the messages `request 0` to `request {asked - 1}` must have been logged."""

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> str:
        """What is answered. Never asked twice: a request that failed may have been logged."""
        with urllib.request.urlopen(self.url + path, timeout=DEADLINE) as reply:
            return str(reply.read().decode())

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.output
        with contextlib.suppress(OSError):
            self.get(self._ready)
            return True
        return False

    def ask(self, path: str = "") -> str:
        """Send the next request."""
        number = next(self._numbers)
        self.asked = number + 1
        return self.get(f"{path}/{number}")

    def ask_often(self, count: int, clients: int = 4) -> set[str]:
        """Send so many requests, some of them at once; returns what was answered: the workers' process ids."""
        with ThreadPoolExecutor(clients) as pool:
            return {future.result() for future in [pool.submit(self.ask) for _ in range(count)]}

    def ask_until_not(self, old: set[str]) -> str:
        """Send requests until another process than these answers."""
        answers = set(old)

        def another() -> bool:
            answers.add(self.ask())
            return answers != old

        wait_until(another, "a new worker serves", DEADLINE)
        return (answers - old).pop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it as an administrator does, by a signal to the main process alone; returns its exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGABRT)  # faulthandler prints where every thread stands
            self.process.wait(DEADLINE)
            pytest.fail(f"it did not end within {DEADLINE} s; it said:\n{self.output[-8_000:]}")


def requests(served: Served) -> list[str]:
    """The messages of all requests that were sent."""
    return sorted(f"request {number}" for number in range(served.asked))


@contextmanager
def serving(
    *command: str, intake: LocalIntake, folder: Path, cwd: Path = PROGRAMS, ready: str = "/ready"
) -> Iterator[Served]:
    """Start a server, wait until it answers at `ready`, and leave none of its processes behind.

    In the command, `PORT` stands for its port; what it writes goes into `folder`.
    """
    reserved = ReservedPort()
    log = folder / f"{Path(command[0]).name}-{reserved.number}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.replace("PORT", str(reserved.number)) for part in command],
            cwd=cwd,
            env=environment(intake, HOME=str(folder), PYTHONFAULTHANDLER="1"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = Served(process, reserved.number, log, ready)
    try:
        wait_until(served.is_ready, f"{command[0]} serves", DEADLINE)
        yield served
    except (TimeoutError, OSError, AssertionError):
        print(served.output[-6000:])  # pytest shows it with the test's failure
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE)
        reserved.release()
