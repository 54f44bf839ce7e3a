"""`kill -9`, again and again: with a spool, all that was logged earlier than a few milliseconds before arrives.

Processes log numbered records at a steady rate and say each number when `logger.info` has returned; each is
killed at a random moment, with the intake up, down, slow or failing, and the next one on the same folder goes on.
A dozen kills a test; LOGHTTP_KILLS=2000 makes it two thousand, LOGHTTP_SEED another dozen. `-rP` shows the
figures.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Literal, get_args

import pytest
from spools import names, running

from loghttp.testing import LocalIntake

KILLS = int(os.environ.get("LOGHTTP_KILLS", "12"))
SEED = int(os.environ.get("LOGHTTP_SEED", "20261121"))

WINDOW = 0.5
"""Seconds before its death of which a process may lose records, on a machine that is busy with other tests."""

State = Literal["up", "slow", "failing", "down"]


def bring(intake: LocalIntake, state: State) -> None:
    intake.heal()
    if state == "slow":
        intake.fail_when(delay=0.05)
    elif state == "failing":
        intake.fail_when(status=503)
    if state == "down":
        intake.stop()
    else:
        intake.start()


@pytest.mark.timeout(60 + 2 * KILLS)
@pytest.mark.parametrize("kind", ["HumioHECHandler", "SekoiaHandler"])
@pytest.mark.parametrize(
    ("alive", "states"),
    [
        pytest.param(1, get_args(State), id="one-after-the-other"),
        # A reply that is lost because the intake stops under living processes would be another kind of duplicate.
        pytest.param(3, ("up", "slow", "failing"), id="three-on-one-folder"),
    ],
)
def test_kill_9(alive: int, states: tuple[State, ...], kind: str, tmp_path: Path) -> None:
    """All older than the window arrives in order, and only what a dead process may have delivered arrives twice."""
    chance = random.Random(f"{SEED} {kind}")  # noqa: S311  the same each time
    options = {"kind": kind, "spool_dir": str(tmp_path / "spool")}
    killed: dict[int, float] = {}  # by run, monotonic seconds
    with LocalIntake() as intake, running("nursery", intake) as nursery:
        living: list[tuple[int, int]] = []
        for run in range(KILLS + alive - 1):
            bring(intake, chance.choice(states))
            pid = nursery.start(run, "logs_steadily", **options)
            living.append((run, pid))
            time.sleep(chance.uniform(0.0, 0.3 / alive))  # no moment is waited for: any will do
            if len(living) == alive:
                dying, pid = living.pop(chance.randrange(alive))
                killed[dying] = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                assert -signal.SIGKILL == nursery.reap(pid)
        for run, pid in living:
            killed[run] = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            nursery.reap(pid)
        bring(intake, "up")
        patience = 40.0 + KILLS / 10  # each of them may have left a file
        assert 0 == nursery.reap(nursery.start(-1, "drains", patience=patience, **options), patience)
        requests = intake.requests

    arrived: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    last_request: dict[int, int] = {}  # by the run that sent it
    for at, request in enumerate(requests):
        sender = int(request.headers["X-Run"])
        last_request[sender] = at
        for event in request.events:
            run, number = map(int, event.message.split())
            arrived[run][number].append((at, sender))

    # What was lost, and how old it was.
    lost = {run: [(n, at) for n, at in said if n not in arrived[run]] for run, said in nursery.logged.items()}
    ages = sorted(killed[run] - at for run, gone in lost.items() for _, at in gone)
    window = max(ages, default=0.0)
    windows = sorted(max((killed[run] - at for _, at in gone), default=0.0) for run, gone in lost.items())
    duplicates = [visits for numbers in arrived.values() for visits in numbers.values() if len(visits) > 1]
    unexplained = [
        visits
        for visits in duplicates
        if sum(not (sender in killed and last_request[sender] == at) for at, sender in visits) > 1
    ]
    print(
        f"{len(killed)} kills, {sum(map(len, nursery.logged.values()))} records logged, "
        f"{len(ages)} lost, all within {1000 * window:.1f} ms of the kill "
        f"(half of the kills: {1000 * windows[len(windows) // 2]:.1f} ms, nine of ten: "
        f"{1000 * windows[len(windows) * 9 // 10]:.1f} ms); "
        f"{sum(len(visits) - 1 for visits in duplicates)} duplicates, {len(unexplained)} of them unexplained"
    )
    assert window < WINDOW, ages[-10:]
    # Only the tail of a run is lost: nothing that was logged later than a lost record arrived.
    assert {} == {run: gone for run, gone in lost.items() if gone and max(arrived[run], default=-1) > gone[0][0]}
    # In order, a second visit aside.
    for numbers in arrived.values():
        firsts = [n for _, n in sorted((min(visits), n) for n, visits in numbers.items())]
        assert sorted(firsts) == firsts
    assert [] == unexplained
    assert [] == names(tmp_path / "spool")
