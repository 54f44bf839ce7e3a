"""Under the real application servers, what requests log arrives, record for record, and nothing comes twice.

What is compared is a `LocalIntake`'s whole content with all that was logged; the servers, their workers and
their signals are the real ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from processes import alive, environment, messages
from servers import wait_until
from serving import DEADLINE, Served, module, requests, script, serving
from spools import names

import loghttp
from loghttp import _uwsgi
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


pytestmark = pytest.mark.timeout(150)  # on an idle machine each takes a second or two

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
    # Without the hook, TERM ends a worker in the middle of a request, and then Python's exit functions do not run.
    workers = ("--master", "--processes", "2", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
    with serving(*command, *workers, *options, intake=local_intake, folder=tmp_path) as served:
        a_living_worker_sends(served, local_intake)
        served.ask_often(20)
        # uWSGI's own race: TERM does not end a worker that is still importing its application (--lazy-apps).
        served.ask_until_not({served.ask()})
        local_intake.wait_until(lambda intake: arrived(intake)[1] == imports, timeout=DEADLINE)
        assert 0 == served.stop()

    assert (requests(served), imports) == arrived(local_intake)
    assert "loghttp:" not in served.output


@pytest.mark.parametrize(
    ("version", "options", "worker", "told"),
    [
        ((2, 0, 26), {}, 0, True),
        ((2, 0, 26), {"enable-threads": b"false", "lazy-apps": True}, 1, True),
        ((2, 0, 26), {"lazy-apps": True}, 2, False),  # the first worker has told it
        ((2, 0, 26), {"enable-threads": True}, 0, False),
        ((2, 0, 26), {"enable-threads": b"true"}, 0, False),
        ((2, 0, 26), {"threads": b"2"}, 0, False),
        ((2, 0, 27), {}, 0, False),
    ],
)
def test_threads_off_is_told_once(
    version: tuple[int, ...],
    options: dict[str, Any],
    worker: int,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Where uWSGI runs no threads, one line on stderr names the cure, however many handlers and workers there are.

    The module stands in for one that only uWSGI itself can provide: what installs today has threads always on.
    """
    uwsgi = SimpleNamespace(opt=options, version_info=(*version, 0, b""), worker_id=lambda: worker)
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)  # type: ignore[arg-type]
    home = type(_uwsgi.home)()

    home.settle(renew=lambda: None)
    home.settle(renew=lambda: None)

    assert [f"loghttp: {_uwsgi.WARNING}"] * told == capfd.readouterr().err.splitlines()


# ---- gunicorn


def gunicorn(*options: str) -> tuple[str, ...]:
    return (*module("gunicorn"), "--bind", "127.0.0.1:PORT", "--workers", "2", *options, "wsgi:application")


def test_gunicorn_reloads_gracefully(local_intake: LocalIntake, tmp_path: Path) -> None:
    """Sync workers that HUP replaces, and those that TERM ends, deliver all they logged, each with its import."""
    with serving(*gunicorn(), intake=local_intake, folder=tmp_path) as served:
        a_living_worker_sends(served, local_intake)
        old = served.ask_often(20)
        served.process.send_signal(signal.SIGHUP)
        served.ask_until_not(old)
        served.ask_often(20)
        assert 0 == served.stop()

    assert (requests(served), 4) == arrived(local_intake)
    assert "loghttp:" not in served.output


def test_gunicorn_preloads_and_recycles(local_intake: LocalIntake, tmp_path: Path) -> None:
    """With --preload, threads, and workers that are replaced after some requests, nothing is lost or doubled.

    The master has imported the application and has threads of its own when it forks, again and again.
    """
    options = ("--preload", "--worker-class", "gthread", "--threads", "4", "--max-requests", "10")
    with serving(*gunicorn(*options), intake=local_intake, folder=tmp_path) as served:
        a_living_worker_sends(served, local_intake)
        workers = served.ask_often(40)
        assert 0 == served.stop()

    assert (requests(served), 1) == arrived(local_intake)
    assert len(workers) > 2
    assert "loghttp:" not in served.output


def test_gunicorn_with_gevent(local_intake: LocalIntake, tmp_path: Path) -> None:
    """A worker that gevent has patched before it imports the application sends while it lives, and at TERM."""
    module("gevent")
    with serving(*gunicorn("--worker-class", "gevent"), intake=local_intake, folder=tmp_path) as served:
        a_living_worker_sends(served, local_intake)
        served.ask_often(20)
        assert 0 == served.stop()

    assert (requests(served), 2) == arrived(local_intake)
    assert "loghttp:" not in served.output


def test_gunicorn_with_gevent_preloads(local_intake: LocalIntake, tmp_path: Path) -> None:
    """With --preload, gevent patches when the application is imported, and loghttp with it: no call hangs for that."""
    module("gevent")
    options = ("--preload", "--worker-class", "gevent")
    with serving(*gunicorn(*options), intake=local_intake, folder=tmp_path) as served:
        a_living_worker_sends(served, local_intake)
        served.ask_often(20)
        assert 0 == served.stop()

    assert (requests(served), 1) == arrived(local_intake)
    assert "loghttp:" not in served.output


def test_gunicorn_s_workers_on_one_spool(
    local_intake: LocalIntake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight workers share a folder in an outage, one is killed, all end: the next process delivers each record once."""
    pytest.importorskip("click")
    from loghttp.cli._spool_folder import look

    spool = tmp_path / "spool"
    monkeypatch.setenv("SPOOL_DIR", str(spool))
    local_intake.fail_when(status=503)
    with serving(*gunicorn("--preload", "--workers", "8"), intake=local_intake, folder=tmp_path) as served:
        workers = served.ask_often(100, clients=8)
        wait_until(lambda: 100 + 1 == sum(file.events for file in look(spool).files), "all is on disk", DEADLINE)
        os.kill(int(workers.pop()), signal.SIGKILL)
        assert 0 == served.stop()
    assert "loghttp:" not in served.output

    local_intake.heal()
    heir = loghttp.HumioHECHandler(local_intake.url, local_intake.token, spool_dir=spool)
    # A file whose last worker took its time to die is found at its second look, ten seconds later.
    wait_until(lambda: 0 == sum(file.events for file in look(spool).files), "all is delivered", DEADLINE)
    heir.close()
    assert (requests(served), 1) == arrived(local_intake)
    assert [] == names(spool)


# ---- uvicorn


def test_uvicorn_with_two_workers(local_intake: LocalIntake, tmp_path: Path) -> None:
    """Both workers deliver at TERM what they logged, by the flush at the end of their lifespan."""
    command = (*module("uvicorn"), "asgi:application", "--port", "PORT", "--workers", "2", "--no-access-log")
    with serving(*command, intake=local_intake, folder=tmp_path) as served:
        local_intake_is_empty = [] == messages(local_intake)
        served.ask_often(40, clients=8)
        served.stop()

    assert local_intake_is_empty
    assert (requests(served), 2) == arrived(local_intake)
    assert "loghttp:" not in served.output


# ---- Django


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A private copy of the Django example."""
    pytest.importorskip("django")
    for part in ("django_project", "try_it.py"):
        copy = shutil.copytree if (EXAMPLES / part).is_dir() else shutil.copy
        copy(EXAMPLES / part, tmp_path / part)
    return tmp_path / "django_project"


def test_django_reloads(project: Path, local_intake: LocalIntake, tmp_path: Path) -> None:
    """runserver's child that the autoreloader replaces has delivered what it logged, and so does the new one."""
    command = (sys.executable, str(project / "manage.py"), "runserver", "127.0.0.1:PORT")
    views = project / "shop" / "views.py"
    with serving(*command, intake=local_intake, folder=tmp_path, cwd=project, ready="/orders/0/") as served:
        served.get("/orders/1/")
        views.write_text(views.read_text().replace("shown", "displayed"))
        # A change before its first look is none to it, so the file goes on to change until the old child says so.
        reloading = f"{views} changed, reloading."
        wait_until(lambda: reloading in messages(local_intake) or os.utime(views), "a change is seen", DEADLINE)
        wait_until(lambda: served.output.count("Quit the server with") == 2, "the new child starts", DEADLINE)
        wait_until(served.is_ready, "the new child serves", DEADLINE)
        served.get("/orders/2/")
        os.killpg(served.process.pid, signal.SIGINT)  # as a terminal does
        assert 0 == served.process.wait(DEADLINE)
        # It does not wait for the child, which still delivers.
        wait_until(lambda: not alive(served.process.pid), "the child ends", DEADLINE)

    hec = [event.message for event in local_intake.events if event.dialect == "hec"]
    orders = [message for message in hec if message.startswith("order ")]
    assert ["order 0 shown", "order 1 shown", "order 0 displayed", "order 2 displayed"] == orders
    assert [reloading] == [message for message in hec if "reloading" in message]
    assert "loghttp:" not in served.output


TESTS = """
import logging
from django.test import SimpleTestCase


class Orders(SimpleTestCase):
    def test_order(self):
        with self.assertLogs("shop.views") as caught:
            self.client.get("/orders/1/")
        self.assertEqual(["INFO:shop.views:order 1 shown"], caught.output)

    def test_refund(self):
        self.client.raise_request_exception = False
        self.assertEqual(500, self.client.get("/refund/2/").status_code)
        logging.getLogger("shop").warning("refund 2 failed")
"""


def test_django_s_test_runner(project: Path, local_intake: LocalIntake) -> None:
    """`manage.py test` ends in time and with its own status; what tests log has arrived, assertLogs keeps its own."""
    (project / "shop" / "tests.py").write_text(TESTS)
    command = [sys.executable, "manage.py", "test", "shop"]
    ended = subprocess.run(
        command,
        cwd=project,
        env=environment(local_intake),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (0, "OK") == (ended.returncode, ended.stderr.strip().splitlines()[-1])
    hec = [event.message.partition("\n")[0] for event in local_intake.events if event.dialect == "hec"]
    assert ["Internal Server Error: /refund/2/", "refund 2 failed"] == hec
    assert "loghttp:" not in ended.stderr
