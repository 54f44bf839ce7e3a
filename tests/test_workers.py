"""At home among workers: Celery, gevent, eventlet, asyncio, frozen functions, notebooks, and pytest's own caplog.

Each program of `programs/` is a real process, whose records must arrive, each once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import pytest
from conftest import Factory
from processes import PROGRAMS, alive, environment, messages, numbered, run
from servers import wait_until
from serving import DEADLINE, module, serving

import loghttp
from loghttp.testing import LocalIntake

pytestmark = pytest.mark.timeout(150)  # Celery alone takes five seconds to end, wherever it runs

TASKS = 20  # as in the program
ALL = sorted(["ready", *numbered("task", TASKS)])
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
HANG_OF_A_POST = 5_000.0  # milliseconds; the shortest that waiting for the network could have taken


@pytest.mark.parametrize(
    ("pool", "options"),
    [
        # One process after another: at 8 and at 16 tasks, none while the whole ends (billiard may hang then).
        ("prefork", ["--concurrency=1", "--max-tasks-per-child=8"]),
        ("threads", ["--concurrency=2"]),
        ("gevent", ["--concurrency=2"]),
    ],
    ids=["prefork", "threads", "gevent"],
)
def test_celery(pool: str, options: list[str], local_intake: LocalIntake, tmp_path: Path) -> None:
    """What tasks log arrives, by whichever pool they run, at a warm shutdown and when a worker process is replaced.

    Prefork's processes end by os._exit, without atexit: all that waited in them was lost, and nobody told it.
    """
    if pool == "gevent":
        module("gevent")
    with celery(tmp_path, local_intake, "--pool", pool, *options) as process:
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(DEADLINE), (tmp_path / "output").read_text()
        # Celery's main process does not wait for all of its children; they end a moment later.
        wait_until(lambda: not alive(process.pid), "the worker processes end", DEADLINE)

    assert ALL == sorted(messages(local_intake))
    assert "loghttp:" not in (tmp_path / "output").read_text()


def test_celery_s_workers_on_one_spool(local_intake: LocalIntake, tmp_path: Path) -> None:
    """Eight workers share a folder in an outage, all are killed: the next process delivers each record once."""
    pytest.importorskip("click")
    from loghttp.cli._spool_folder import look

    spool = tmp_path / "spool"
    local_intake.fail_when(status=503)
    with celery(tmp_path, local_intake, "--concurrency=8", SPOOL_DIR=str(spool)):
        wait_until(lambda: len(ALL) == sum(file.events for file in look(spool).files), "all is on disk", DEADLINE)

    local_intake.heal()
    heir = loghttp.HumioHECHandler(local_intake.url, local_intake.token, spool_dir=spool)
    wait_until(lambda: 0 == sum(file.events for file in look(spool).files), "all is delivered", DEADLINE)
    heir.close()
    assert ALL == sorted(messages(local_intake))


@contextmanager
def celery(folder: Path, intake: LocalIntake, *options: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that has done all tasks; in the end it is killed, with all its processes."""
    with (folder / "output").open("wb") as log:
        process = subprocess.Popen(
            [*module("celery"), "--quiet", "-A", "celery_worker", "worker", *QUIET, *options],
            env=environment(intake, FOLDER=str(folder), PYTHONWARNINGS="ignore", **variables),
            cwd=PROGRAMS,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: len(list(folder.glob("done/*"))) == TASKS or process.poll(), "all tasks are done", DEADLINE)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_green_threads(kind: str, local_intake: LocalIntake) -> None:
    """Under monkey-patching all arrives, in order; a flush waits without stopping the other green threads.

    Nor does a logging call switch to another: gevent's hub, which logs here as well, cannot do that.
    """
    module(kind)
    local_intake.fail_when(delay=0.2)

    ended = run("greened.py", kind, intake=local_intake, fresh=True)

    found = messages(local_intake)
    assert (0, "") == (ended.status, ended.stderr)
    assert {"flushed": True, "others ran on": True, "pending": 0} == json.loads(ended.stdout)
    in_hub = numbered("hub", 200) if kind == "gevent" else []
    of_threads = [message for g in range(20) for message in numbered(f"green-{g}", 20)]
    assert sorted(["at the end", *in_hub, *of_threads]) == sorted(found)
    assert numbered("green-7", 20) == [message for message in found if message.startswith("green-7 ")]


def test_gevent_at_the_end(local_intake: LocalIntake) -> None:
    """gevent looks names up on threads of its own; where none starts any more, all is delivered all the same."""
    module("gevent")

    ended = run("green_end.py", intake=local_intake, fresh=True)

    assert (0, "") == (ended.status, ended.stderr)
    assert numbered("late", 3) == messages(local_intake)


def test_asyncio_is_never_blocked(local_intake: LocalIntake) -> None:
    """While a POST hangs for minutes, the event loop goes on and all records are taken in.

    The pulses that the program prints are figures for a reader: time on a shared machine proves nothing.
    """
    local_intake.fail_when(delay=600)

    ended = run("looping.py", intake=local_intake, close_timeout=0.5)

    figures = json.loads(ended.stdout)
    assert (0, 5_000, 5_000) == (ended.status, figures["accepted"], figures["pending"])
    assert figures["with"]["longest"] < HANG_OF_A_POST


def test_background_tasks(local_intake: LocalIntake, tmp_path: Path) -> None:
    """What Starlette's background tasks, and asyncio's, log after the reply bears the context of its request."""
    module("starlette")
    command = (*module("uvicorn"), "background:application", "--port", "PORT", "--no-access-log")
    with serving(*command, intake=local_intake, folder=tmp_path) as served:
        served.ask_often(20)
        served.stop()

    found = sorted((int(event.fields["request"]), event.message) for event in local_intake.events)
    assert [(n, kind) for n in range(20) for kind in ("asyncio", "background", "request")] == found


@pytest.mark.parametrize("way", ["dict_config", "basic_config", "assignment"])
def test_configuring_over_and_over(way: str, local_intake: LocalIntake) -> None:
    """Twenty configurations in one process, as in a notebook, lose nothing, and threads do not pile up."""
    ended = run("notebook.py", way, intake=local_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(numbered("run", 20)) == sorted(messages(local_intake))
    assert "3\n" == ended.stdout  # the program's own, and those of the last handler


@contextmanager
def a_function(intake: LocalIntake) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "frozen.py")],
        env=environment(intake),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_frozen_function(local_intake: LocalIntake) -> None:
    """A function that flushes at its end has delivered when it is frozen; an outage costs it no more than its timeout.

    In AWS Lambda nothing of the process runs between two invocations, for minutes or for ever.
    """
    with a_function(local_intake) as function:

        def invoke(event: str) -> str:
            assert function.stdin is not None
            assert function.stdout is not None
            function.send_signal(signal.SIGCONT)
            function.stdin.write(f"{event}\n")
            function.stdin.flush()
            answer = function.stdout.readline().strip()
            function.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, function.pid, os.WSTOPPED)
            return answer

        delivered = [(invoke("first"), messages(local_intake)), (invoke("second"), messages(local_intake))]
        local_intake.stop()  # its connection is gone when it thaws
        while_down = invoke("third")
        local_intake.start()
        after = invoke("fourth"), messages(local_intake)

    logged = [numbered(event, 3) for event in ("first", "second", "third", "fourth")]
    assert [("True", logged[0]), ("True", logged[0] + logged[1])] == delivered
    assert "False" == while_down
    assert ("True", [*chain(*logged)]) == after


def test_caplog_beside_it(humio: Factory, logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """pytest's caplog sees the same records, unchanged, in whichever order the handlers are."""
    logger.addHandler(caplog.handler)
    handler = humio()

    failure = LookupError("no such order")
    logger.warning("order %d", 7, extra={"user": {"id": 7}}, exc_info=failure)

    [record] = caplog.records
    assert handler.flush()
    assert ("order 7", (7,), {"id": 7}) == (record.getMessage(), record.args, vars(record)["user"])
    assert record.exc_info is not None
    assert record.exc_info[1] is failure
    assert "LookupError: no such order" in caplog.text
