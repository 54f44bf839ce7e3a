"""Starts the programs of `programs/` as the real processes that users have, and says how they ended.

A process that hangs is the very thing these tests look for: past its deadline it is asked where its threads
stand, its whole group is killed, and the test fails with what it said.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from interpreters import Interpreter

import loghttp
from loghttp.testing import LocalIntake

PROGRAMS = Path(__file__).parent / "programs"

HANG = 45.0
"""Seconds after which a program hangs: well below the 30 s of a read time-out, well above a busy machine's pace."""

State = Literal["is up", "refuses connections", "never answers"]
DOWN: tuple[State, ...] = ("refuses connections", "never answers")
STATES: tuple[State, ...] = ("is up", *DOWN)

_LOST = re.compile(r"^loghttp: \w+: (\d+) records? (?:was|were) lost\b.+$")


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it said."""

    status: int
    stdout: str
    stderr: str

    @property
    def lost(self) -> int:
        """How many records loghttp told on stderr as lost; fails where stderr says anything else."""
        found = [_LOST.match(line) for line in self.stderr.splitlines()]
        assert [] == [line for line, match in zip(self.stderr.splitlines(), found, strict=True) if not match]
        return sum(int(match[1]) for match in found if match)


def run(
    program: str,
    *arguments: str,
    intake: LocalIntake,
    close_timeout: float = 10.0,
    hang: float = HANG,
    fresh: bool = False,
) -> Ended:
    """Run `programs/<program>` to its end; its handlers find `intake` in their environment.

    `fresh`: by an interpreter that has imported nothing yet, where it matters what is there when it goes down.
    """
    command = ["-W", "ignore::DeprecationWarning", str(PROGRAMS / program), *arguments]
    variables = environment(intake, CLOSE_TIMEOUT=str(close_timeout))
    process = start_fresh(command, variables) if fresh else Interpreter(command, variables)
    try:
        stdout, stderr = process.communicate(timeout=hang)
    except subprocess.TimeoutExpired:
        _kill(process.pid, signal.SIGABRT)  # faulthandler prints where every thread stands
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
        _kill(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        pytest.fail(f"{program} {' '.join(arguments)} hung for {hang} s; it said:\n{stdout[-2000:]}\n{stderr[-6000:]}")
    finally:
        _kill(process.pid, signal.SIGKILL)
    return Ended(process.returncode, stdout, stderr)


@contextmanager
def an_intake_that(state: State) -> Iterator[LocalIntake]:
    """A `LocalIntake` in one of the states that matter at exit."""
    with LocalIntake() as intake:
        if state == "refuses connections":
            intake.stop()
        elif state == "never answers":
            intake.fail_when(delay=600)
        yield intake


def alive(group: int) -> bool:
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def messages(intake: LocalIntake) -> list[str]:
    """What the intake holds, in order of arrival."""
    return [event.message for event in intake.events]


def numbered(label: str, count: int) -> list[str]:
    """The messages that the programs log under a label."""
    return [f"{label} {n}" for n in range(count)]


def start_fresh(command: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    """A Python that starts from nothing, as a user's does."""
    return subprocess.Popen(
        [sys.executable, *command],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def environment(intake: LocalIntake, **more: str) -> dict[str, str]:
    """In which a program's handlers find `intake`."""
    return os.environ | {
        # The package that this test imports, be it the source or an installed wheel.
        "PYTHONPATH": str(Path(loghttp.__file__).parents[1]),
        "PYTHONFAULTHANDLER": "1",
        "NO_PROXY": "127.0.0.1",
        "HUMIO_URL": intake.url,
        "HUMIO_INGEST_TOKEN": intake.token,
        "SEKOIA_URL": intake.url,
        "SEKOIA_INTAKE_KEY": intake.intake_key,
        **more,
    }


def _kill(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of it is gone, as it should be
        os.killpg(group, number)
