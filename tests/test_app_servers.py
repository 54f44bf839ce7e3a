"""Under the real application servers, what requests log arrives, record for record, and nothing comes twice.

What is compared is a `LocalIntake`'s whole content with all that was logged; the servers, their workers and
their signals are the real ones.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from processes import messages
from servers import DEADLINE
from serving import Served, requests, script, serving

from loghttp.testing import LocalIntake


def arrived(intake: LocalIntake) -> tuple[list[str], int]:
    """The messages of requests, sorted; and how often the application was imported."""
    found = messages(intake)
    return sorted(message for message in found if message != "imported"), found.count("imported")


def a_living_worker_sends(served: Served, intake: LocalIntake) -> None:
    """Send a request that logs an error, and wait until it has arrived, while the server goes on."""
    number = served.asked
    served.ask("/now")
    intake.wait_until(lambda intake: f"request {number}" in messages(intake), timeout=DEADLINE)


# ---- uWSGI


@pytest.mark.parametrize(
    ("options", "imports"),
    [
        ((), 1),  # threads are on by default since 2.0.27, and Python is not told of the fork
        (("--enable-threads", "--py-call-uwsgi-fork-hooks"), 1),
        (("--enable-threads", "--lazy-apps"), 2),
    ],
    ids=["default", "fork-hooks", "lazy-apps"],
)
def test_uwsgi(options: tuple[str, ...], imports: int, local_intake: LocalIntake, tmp_path: Path) -> None:
    """Workers that uWSGI forks in C, with or without Python's knowledge, deliver while they live and at TERM.

    The record that is logged while the application is imported has started the threads, which the workers do
    not inherit: all that they logged was lost.
    """
    command = (script("uwsgi"), "--http-socket", "127.0.0.1:PORT", "--module", "wsgi:application", "--need-app")
    workers = ("--master", "--processes", "2", "--die-on-term")
    with serving(*command, *workers, *options, intake=local_intake, folder=tmp_path) as served:
        a_living_worker_sends(served, local_intake)
        served.ask_often(20)
        local_intake.wait_until(lambda intake: arrived(intake)[1] == imports, timeout=DEADLINE)
        assert 0 == served.stop()

    assert (requests(served), imports) == arrived(local_intake)
    assert "loghttp:" not in served.output
