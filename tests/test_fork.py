"""A fork at any moment: the child starts afresh, the parent sends what is its own, nothing hangs or comes twice.

`programs/forks.py` forks while its threads log at full speed, into an intake that is slow, so that a POST is
always under way. A deadlock is a program that never ends.
"""

from __future__ import annotations

import json

import pytest
from processes import Ended, messages, numbered, run

from loghttp.testing import LocalIntake

RECORDS = 5  # as in the program: what each child logs


def of_threads(ended: Ended) -> list[str]:
    """What the parent's threads have logged, as the program counted it."""
    return [message for label, count in json.loads(ended.stdout).items() for message in numbered(label, count)]


def of_children(count: int) -> list[str]:
    return [message for c in range(count) for message in numbered(f"child-{c}", RECORDS)]


@pytest.fixture
def slow_intake(local_intake: LocalIntake) -> LocalIntake:
    """Each POST takes a while, so that forks happen in the middle of one."""
    local_intake.fail_when(delay=0.05)
    return local_intake


@pytest.mark.parametrize(
    ("way", "children"),
    [("exits", 10), ("flushes_and_leaves", 10), ("forks_very_often", 100), ("child_forks_again", 2)],
)
def test_os_fork_while_threads_log(way: str, children: int, slow_intake: LocalIntake) -> None:
    """Children that end by sys.exit, or by os._exit after flush(), deliver their own records, the parent its own.

    Locks that other threads held at the fork stay locked for ever in the child, which hung in two peers; a
    worker thread does not exist there, which is how others fell silent in prefork servers (splunk_handler
    PR#25 and #61, watchtower#31 and #189, logtail-python#6, seqlog#26). A child's books start at zero.
    """
    ended = run("forks.py", way, intake=slow_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(of_threads(ended) + of_children(children)) == sorted(messages(slow_intake))


@pytest.mark.parametrize(
    ("way", "children", "method"),
    [("processes", 4, "fork"), ("executor", 10, "fork"), ("processes", 4, "spawn"), ("executor", 10, "forkserver")],
)
def test_multiprocessing_while_threads_log(way: str, method: str, children: int, slow_intake: LocalIntake) -> None:
    """Processes and ProcessPoolExecutor, by all three start methods, lose and double nothing under load."""
    ended = run("forks.py", way, method, intake=slow_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(of_threads(ended) + of_children(children)) == sorted(messages(slow_intake))


def test_pending_records_are_sent_by_the_parent_alone(slow_intake: LocalIntake) -> None:
    """What waits in the parent at the fork arrives once; three peers sent it from each child as well (scars.md)."""
    ended = run("forks.py", "forks_while_much_is_pending", intake=slow_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(numbered("parent", 200) + of_children(3)) == sorted(messages(slow_intake))


@pytest.mark.parametrize("where", ["before", "after"])
def test_fork_in_the_middle_of_a_put(where: str, local_intake: LocalIntake) -> None:
    """A signal handler forks while a record is being put: the record is the parent's, and the child starts empty."""
    ended = run("forks.py", "forks_in_the_middle_of_put", where, intake=local_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(numbered("parent", 2) + of_children(1)) == sorted(messages(local_intake))


def test_fork_while_a_connection_changes_hands(local_intake: LocalIntake) -> None:
    """At its end a child does not wait for a lock of the parent's connections, which nobody will ever release there.

    urllib3 closes all connections when the interpreter goes down, also those that were the parent's.
    """
    ended = run("forks.py", "exits_though_connections_are_locked", intake=local_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted([*numbered("parent-0", 1), *of_children(1)]) == sorted(messages(local_intake))


def test_fork_after_close(slow_intake: LocalIntake) -> None:
    """A handler that was closed before the fork opens again in the child, and in the parent."""
    ended = run("forks.py", "forks_after_close", intake=slow_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(numbered("parent", 2) + of_children(3)) == sorted(messages(slow_intake))


def test_logging_from_callbacks_of_the_fork(slow_intake: LocalIntake) -> None:
    """A callback of os.register_at_fork may log at each of the three moments, though it runs before ours.

    In the child the locks are still the parent's at that moment, and may be held: it hung (datadogpy PR#989).
    """
    ended = run("forks.py", "forks_with_callbacks", intake=slow_intake)

    moments = ("before", "in parent", "in child")
    of_callbacks = [f"{moment} callback-{c}" for moment in moments for c in range(60)]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(of_threads(ended) + of_callbacks) == sorted(messages(slow_intake))
    in_child = [event for event in slow_intake.events if event.message.startswith("in child")]
    assert [1] * 60 == [event.fields["sequence"] for event in in_child], "each child counts anew"


def test_fork_while_logging_is_configured(local_intake: LocalIntake) -> None:
    """A fork and a dictConfig in another thread do not wait for each other, though both hold logging's lock."""
    ended = run("forks.py", "forks_while_logging_is_configured", intake=local_intake)

    logged = [message for message in messages(local_intake) if message != "configured"]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(of_children(60)) == sorted(logged)
