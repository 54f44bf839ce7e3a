"""However a program ends, it ends in time, and what could be delivered has been; the rest is told by number.

Each program of `programs/endings.py` is a real process; the intake is here, so it outlives them. Where the
intake is down, `close_timeout` is 1 second while a read time-out is 30: a program that ends late has hung.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from itertools import chain

import pytest
from processes import DOWN, STATES, Ended, State, an_intake_that, messages, numbered, run

from loghttp.testing import LocalIntake

#: How children of multiprocessing end, which is the same for each start method, and with which status.
CHILDREN = {"returns": 0, "exits": 3, "raises": 1, "is_terminated": 143, "flushes_and_leaves": 4}


@dataclass(frozen=True)
class Ending:
    """What a way of ending logs, and how its process ends."""

    records: int = 300
    status: int = 0
    #: The last line on stderr where the program itself ends with a traceback.
    last_line: str = ""
    #: Whether loghttp may have to import something while the interpreter goes down already.
    imports_late: bool = False


ENDINGS = {
    "returns": Ending(),
    "returns_while_sending": Ending(),
    "closes": Ending(),
    "closes_and_logs_again": Ending(),
    "shuts_logging_down": Ending(),
    "shuts_logging_down_while_sending": Ending(),
    "exits_in_main": Ending(status=7),
    "exits_in_a_thread": Ending(),
    "raises": Ending(status=1, last_line="RuntimeError: the program's own fault"),
    "raises_in_a_thread": Ending(last_line="RuntimeError: the program's own fault"),
    "is_terminated": Ending(status=143),
    "is_terminated_and_logs_it": Ending(records=301, status=143),
    "is_interrupted": Ending(status=-signal.SIGINT, last_line="KeyboardInterrupt"),
    "logs_in_atexit_before_loghttps": Ending(records=40),
    "logs_in_atexit_after_loghttps": Ending(records=40),
    "logs_first_in_atexit_before_loghttps": Ending(records=30, imports_late=True),
    "logs_first_in_atexit_after_loghttps": Ending(records=30, imports_late=True),
    "is_made_in_atexit": Ending(records=30, imports_late=True),
    "has_a_thread_that_outlives_main": Ending(),
    "has_a_thread_that_logs_first_after_main": Ending(records=30, imports_late=True),
    "has_a_thread_that_closes_after_main": Ending(records=30),
    "configures_twice": Ending(),
    "configures_twice_while_sending": Ending(),
}


def records(ending: Ending) -> list[str]:
    return numbered("record", ending.records)


def without_the_programs_own(ended: Ended, ending: Ending) -> Ended:
    """The same end without the one traceback that the program is to blame for, which must be there."""
    if not ending.last_line:
        return ended
    before, found, after = ended.stderr.partition(f"{ending.last_line}\n")
    assert (1, ending.last_line) == (before.count("Traceback (most recent call last):"), found.strip())
    own = before.partition("Exception in thread")[0].partition("Traceback")[0]
    return Ended(ended.status, ended.stdout, own + after)


@pytest.mark.parametrize("way", ENDINGS)
def test_all_is_delivered_however_a_program_ends(way: str) -> None:
    """Each record arrives once and in order, stderr is the program's own, and so is the exit status.

    A plain exit lost 290 of 300 records in one peer and 297 in another. Since Python 3.12 no thread can be
    started while the interpreter goes down, so a first record at that time was lost by others
    (opentelemetry-python#4752, google python-logging#850, sentry-python#2299).
    """
    ending = ENDINGS[way]

    with an_intake_that("is up") as intake:
        ended = run("endings.py", way, intake=intake, fresh=ending.imports_late or way in ("returns", "is_terminated"))

    assert (ending.status, "") == (ended.status, without_the_programs_own(ended, ending).stderr)
    assert records(ending) == messages(intake)


@pytest.mark.parametrize("state", DOWN)
@pytest.mark.parametrize(
    "way",
    [
        "returns",
        "returns_while_sending",
        "closes_and_logs_again",
        "shuts_logging_down",
        "shuts_logging_down_while_sending",
        "is_terminated",
        "logs_in_atexit_after_loghttps",
        "logs_first_in_atexit_after_loghttps",
        "has_a_thread_that_logs_first_after_main",
        "configures_twice",
        "configures_twice_while_sending",
    ],
)
def test_a_program_ends_in_time_while_the_intake_is_down(way: str, state: State) -> None:
    """Whatever the intake does, the program ends with its own status, and stderr says how many were lost.

    Connection refused took peers 60 to 71 s at exit; with an intake that accepts and never answers six still
    hung after 75 s, and the one that has a deadline dropped the rest untold.
    """
    ending = ENDINGS[way]

    with an_intake_that(state) as intake:
        ended = run("endings.py", way, intake=intake, close_timeout=1.0, fresh=ending.imports_late)

    assert (ending.status, ending.records) == (ended.status, without_the_programs_own(ended, ending).lost)
    assert [] == messages(intake)


@pytest.mark.parametrize("state", STATES)
def test_dict_config_while_threads_log(state: State) -> None:
    """With root at DEBUG and threads that log, a second dictConfig neither hangs nor loses a record untold.

    dictConfig holds logging's lock while it closes our handler, and urllib3 on our thread asks for the same
    lock before each line of its own: two peers hung for ever (logtail-python#42, logdna/python#103,
    opentelemetry-python#3193, cpython#91555).
    """
    with an_intake_that(state) as intake:
        ended = run(
            "endings.py",
            "configures_twice_while_threads_log",
            intake=intake,
            close_timeout=10.0 if state == "is up" else 1.0,
        )

    handed_over = json.loads(ended.stdout)
    delivered = messages(intake)
    assert 0 == ended.status
    assert sorted(handed_over if state == "is up" else []) == sorted(delivered)
    assert len(handed_over) - len(delivered) == ended.lost


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("way", "count"), [("logs_in_del", 30), ("logs_first_in_del", 20), ("logs_in_del_of_a_cycle", 30)]
)
def test_a_record_of_a_dying_object_is_delivered_or_told(way: str, count: int, state: State) -> None:
    """What a `__del__` logs after all atexit callbacks arrives, or is told as lost in a few lines at most.

    By then modules are being taken apart, and no import works any more; a handler that does not know prints
    a traceback, or nothing at all.
    """
    with an_intake_that(state) as intake:
        ended = run("endings.py", way, intake=intake, close_timeout=5.0 if state == "is up" else 1.0, fresh=True)

    delivered = messages(intake)
    assert 0 == ended.status
    assert sorted(numbered("record", len(delivered))) == sorted(delivered)  # garbage is collected when Python likes
    assert count == len(delivered) + ended.lost
    assert len(ended.stderr.splitlines()) <= 3


# ---- children of multiprocessing and concurrent.futures, which end by os._exit


@pytest.mark.parametrize(
    ("way", "status", "method"),
    [
        *((way, status, "fork") for way, status in CHILDREN.items()),
        ("returns", 0, "spawn"),
        ("is_terminated", 143, "spawn"),
        ("returns", 0, "forkserver"),
        ("raises", 1, "forkserver"),
    ],
)
def test_the_records_of_multiprocessing_children_arrive(method: str, way: str, status: int) -> None:
    """What children log arrives, though they end by os._exit, without atexit, and none of it arrives twice.

    Nine peers lost the records of such children, and three sent those of the parent a second time (scars.md).
    """
    with an_intake_that("is up") as intake:
        ended = run("children.py", "processes", method, way, intake=intake)

    logged = [numbered(label, 20) for label in ("parent", "child-0", "child-1", "child-2")]
    assert [status] * 3 == json.loads(ended.stdout)
    assert sorted(chain(*logged)) == sorted(messages(intake))
    assert (0, 3 if way == "raises" else 0) == (ended.status, ended.stderr.count("Traceback"))
    assert way == "raises" or ended.stderr == ""


@pytest.mark.parametrize(
    ("pool", "method"), [("pool", "fork"), ("executor", "fork"), ("pool", "spawn"), ("executor", "forkserver")]
)
def test_the_records_of_pools_arrive(pool: str, method: str) -> None:
    """What the workers of multiprocessing.Pool and ProcessPoolExecutor log arrives once when the pool ends."""
    with an_intake_that("is up") as intake:
        ended = run("children.py", pool, method, intake=intake)

    logged = [*numbered("parent", 20), *numbered("task", 20)]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(logged) == sorted(messages(intake))


@pytest.mark.parametrize(
    ("way", "more"),
    [
        ("grandchildren", []),
        (
            "grandchildren_that_log_first_in_a_callback",
            ["callback of the child", "callback of the grandchild"],
        ),
    ],
)
def test_the_records_of_grandchildren_arrive(way: str, more: list[str]) -> None:
    """A child with a child of its own, also if it logs before multiprocessing has prepared it, loses nothing."""
    with an_intake_that("is up") as intake:
        ended = run("children.py", way, "fork", intake=intake)

    logged = [numbered(label, 20) for label in ("parent", "child", "grandchild")]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(chain(more, *logged)) == sorted(messages(intake))


@pytest.mark.parametrize("state", DOWN)
def test_multiprocessing_children_end_in_time_while_the_intake_is_down(state: State) -> None:
    """Children and parent end within their close_timeout, and together they tell all that was lost."""
    with an_intake_that(state) as intake:
        ended = run("children.py", "processes", "fork", "returns", intake=intake, close_timeout=1.0)

    assert (0, 80, [0, 0, 0]) == (ended.status, ended.lost, json.loads(ended.stdout))


def test_what_can_be_delivered_within_the_deadline_is(local_intake: LocalIntake) -> None:
    """An intake that is slow, yet fast enough for close_timeout, still gets everything at exit."""
    local_intake.fail_when(delay=1.0)

    ended = run("endings.py", "returns", intake=local_intake, close_timeout=10.0)

    assert (0, "") == (ended.status, ended.stderr)
    assert records(ENDINGS["returns"]) == messages(local_intake)


def test_a_short_outage_at_exit_is_no_loss_while_there_is_time(local_intake: LocalIntake) -> None:
    """The attempt under way at exit may fail: by the design each batch has one more, after the waits have ended."""
    local_intake.fail_next(1, status=503, delay=1.0)

    ended = run("endings.py", "returns_while_sending", intake=local_intake, close_timeout=10.0)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(records(ENDINGS["returns"])) == sorted(messages(local_intake))
