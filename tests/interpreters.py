"""Python programs as processes of their own, at the price of a fork: see `programs/interpreter.py`.

For programs whose subject is not how an interpreter starts, or what it has imported; those are for `subprocess`.
What loghttp does at its own import is done anew by each, except where a program is `warm`: then it is forked with
loghttp and its commands imported, as by a server that has preloaded them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import loghttp

WARM = ("loghttp.cli", "rich.console", "rich.live", "rich.progress", "rich.table")
PROGRAM = Path(__file__).parent / "programs" / "interpreter.py"


class Interpreter:
    """A process that runs `python *arguments`, in a session of its own; used as a text-mode `subprocess.Popen` is.

    Its streams are pipes, but for those that are given as descriptors. With a `with`, it is killed at its end.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: dict[str, str],
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        *,
        cwd: Path | None = None,
        warm: bool = False,
    ) -> None:
        self.args = ["python", *arguments]
        self.returncode: int | None = None
        theirs, ours = [], []
        for number, given in enumerate((stdin, stdout, stderr)):
            reads, writes = (None, None) if given is not None else os.pipe()
            ours.append(writes if number == 0 else reads)
            theirs.append(given if given is not None else reads if number == 0 else writes)
        report, told = os.pipe()
        _fork([list(arguments), env, str(cwd or Path.cwd())], [*theirs, told], warm)
        for descriptor in {*theirs, told} - {stdin, stdout, stderr}:
            os.close(descriptor)
        self._report = os.fdopen(report, "rb", buffering=0)
        self.stdin, self.stdout, self.stderr = (
            None if descriptor is None else os.fdopen(descriptor, mode)
            for descriptor, mode in zip(ours, ("w", "r", "r"), strict=True)
        )
        self.pid = int(self._report.readline())

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._report.readline())
            self._report.close()
        return self.returncode

    def poll(self) -> int | None:
        """How it ended, if it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def communicate(self, input: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Say `input`, which is short, hear all that it says, and wait for its end."""
        until = None if timeout is None else time.monotonic() + timeout
        said: dict[int, bytes] = {}
        if self.stdin is not None and not self.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it does not listen
                self.stdin.write(input)
                self.stdin.flush()
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe is not None and not pipe.closed]
        open_pipes = {pipe.fileno() for pipe in pipes}
        while open_pipes:
            left = None if until is None else until - time.monotonic()
            ready = select.select(list(open_pipes), [], [], left)[0] if left is None or left > 0 else []
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            for descriptor in ready:
                chunk = os.read(descriptor, 1 << 16)
                said[descriptor] = said.get(descriptor, b"") + chunk
                if not chunk:
                    open_pipes.discard(descriptor)
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        out, err = ("" if pipe not in pipes else said[pipe.fileno()].decode() for pipe in (self.stdout, self.stderr))
        for pipe in pipes:
            pipe.close()
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.communicate()


_lock = threading.RLock()  # held while an interpreter of ours is started, and while it is told something


def _fork(what: list[object], descriptors: list[int], warm: bool) -> None:
    with _lock:
        socket.send_fds(_control(warm), [json.dumps(what).encode()], descriptors)


@functools.cache
def _control(warm: bool) -> socket.socket:
    """The way to the interpreter that is forked for this process, and ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # The package that the tests import, be it the source or an installed wheel.
    env = os.environ | {"PYTHONPATH": str(Path(loghttp.__file__).parents[1])}
    process: Interpreter | subprocess.Popen[bytes]
    with theirs, Path(os.devnull).open("r+b") as nothing:
        if warm:
            process = Interpreter([str(PROGRAM), "0", *WARM], env, theirs.fileno(), nothing.fileno(), 2)
        else:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(theirs.fileno())],
                env=env,
                stdin=nothing,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours
