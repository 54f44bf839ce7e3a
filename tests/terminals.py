"""Pseudo-terminals for the commands: what a user's terminal of so many columns is sent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
from dataclasses import dataclass
from pathlib import Path

from interpreters import Interpreter

import loghttp

DEADLINE = 30.0  # seconds that any command here may take, on a loaded machine
TOKEN, KEY = "t0ken-0f-hum1o", "k3y-0f-sek01a"  # of the user who runs the commands
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_UNUSUAL = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This process's, without what makes a terminal other than a usual one."""
    return {
        **{name: value for name, value in os.environ.items() if name not in _UNUSUAL},
        "PYTHONPATH": str(Path(loghttp.__file__).parents[1]),
        "NO_PROXY": "127.0.0.1",
        "TERM": "xterm-256color",
        **more,
    }


def _is_command(arguments: tuple[str, ...]) -> bool:
    """Whether it is `loghttp` itself, and not a program that looks how it is imported."""
    return ("-m", "loghttp") == arguments[:2]


def run_in_pipe(*arguments: str, said: str = "", **variables: str) -> Ended:
    """Run Python with its output in pipes."""
    process = Interpreter(arguments, environment(**variables), warm=_is_command(arguments))
    out, err = process.communicate(said, DEADLINE)
    return Ended(process.wait(), out, err)


def run_in_terminal(*arguments: str, columns: int = 80, errors: bool = False, **variables: str) -> Ended:
    """Run Python with its output in a pseudo-terminal of so many columns, and its errors too or in a pipe."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = Interpreter(
        arguments,
        environment(**variables),
        *(theirs, theirs, theirs if errors else None),
        warm=_is_command(arguments),
    )
    os.close(theirs)
    out = b""
    with contextlib.suppress(OSError):  # EIO: how Linux says that the other side is closed
        while chunk := os.read(ours, 65_536):
            out += chunk
    os.close(ours)
    _, err = process.communicate(timeout=DEADLINE)
    return Ended(process.wait(), out.decode().replace("\r\n", "\n"), err)
