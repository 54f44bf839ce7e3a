"""Durable mode: what was logged is on disk before it travels, survives its process, and is delivered by the next.

Where a test needs a process that dies, it is a real one of `programs/durable.py`; see `test_kill.py` for the
thousand deaths. What only a look into the database can tell is read by SQLite.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import make_record, wait_until
from servers import listening
from spools import bodies, disk_bytes, drain, names, rows, running, spools

import loghttp
from loghttp import _spool_file, _spool_rows, _spooling
from loghttp._batch import Run, count
from loghttp._bell import Bell
from loghttp._selflog import SelfLog
from loghttp._spool import Spool
from loghttp._stats import Books
from loghttp.testing import LocalIntake
from loghttp.testing._received import ReceivedRequest

KINDS = [loghttp.HumioHECHandler, loghttp.SekoiaHandler]
POLICIES = ("drop_oldest", "drop_newest", "block")
NEVER = 3_600.0  # seconds; what happens within a test did not wait for this
YEAR = 31_536_000.0

_LOCKER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print(1, flush=True)
input()
db.close()
"""

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A living process looks for files of the dead all the time, not each ten seconds."""
    monkeypatch.setattr(_spooling, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(_spooling, "STILL_THERE_EVERY", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def durable(intake: LocalIntake, folder: Path) -> Iterator[Make]:
    """`durable(**options)`: a quick handler with a spool in `folder`; closed at the end, and its books audited."""
    handlers: list[Any] = []

    def make(kind: type[Any] = loghttp.HumioHECHandler, **options: Any) -> Any:
        secret = "token" if issubclass(kind, loghttp.HumioHECHandler) else "intake_key"
        given = {"url": intake.url, secret: getattr(intake, secret), "spool_dir": folder}
        given |= {"flush_interval": 0.01, "retry_wait_max": 0.05, "close_timeout": 2.0}
        handlers.append(kind(**given | options))
        return handlers[-1]

    yield make
    intake.heal()
    for handler in handlers:
        handler.close()
        stats = handler.stats()
        assert stats.pending == stats.spooled, stats
        assert 0 <= stats.spooled <= stats.accepted, stats


def log(handler: Any, label: str, count: int, **attributes: Any) -> list[str]:
    """Log numbered records; return the messages that must arrive."""
    messages = [f"{label} {n}" for n in range(count)]
    for message in messages:
        handler.handle(make_record(msg=message, created=time.time(), **attributes))
    return messages


def received(intake: LocalIntake) -> list[str]:
    return [event.message for event in intake.events]


def logged(intake: LocalIntake) -> list[str]:
    """The same without loghttp's own."""
    return [message for message in received(intake) if not message.startswith("loghttp:")]


def is_of_run_0(request: ReceivedRequest) -> bool:
    """Is it of the process that is killed? Its last request may be read when it is dead: `heal` would be too early."""
    return request.headers.get("X-Run") == "0"


def events_on_disk(folder: Path, pid: int) -> int:
    """How many events the files of a process hold, as soon as it has made any."""
    with contextlib.suppress(sqlite3.OperationalError):  # it is being made
        return sum(len(bodies(path)) for path in folder.glob(f"*-{pid}-*.spool"))
    return 0


def wait_until_spooled(handler: Any) -> None:
    """Wait until all that was accepted is on disk, delivered or dropped."""
    wait_until(lambda: handler.stats().spooled == handler.stats().pending)


def leave_behind(durable: Make, intake: LocalIntake, label: str, count: int, **options: Any) -> list[str]:
    """A handler that ends while the intake is down: a file of its own stays in the folder."""
    intake.fail_when(status=503)
    handler = durable(**options)
    messages = log(handler, label, count)
    wait_until_spooled(handler)
    handler.close()
    intake.heal()
    assert (count, count, {}) == (handler.stats().pending, handler.stats().spooled, dict(handler.stats().dropped))
    return messages


# ---- on disk


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [{"status": 503}, {"delay": NEVER}, {"status": 403}])
def test_events_wait_on_disk(kind: type[Any], fault: dict[str, Any], intake: LocalIntake, durable: Make) -> None:
    """While the intake is down, slow or refuses the token, `stats().spooled` says that all is safe on disk."""
    intake.fail_when(**fault)
    handler = durable(kind)
    messages = log(handler, "order", 50)
    wait_until(lambda: handler.stats().spooled == 50)
    assert (50, 50, 0) == (handler.stats().accepted, handler.stats().pending, handler.stats().delivered)
    intake.heal()
    assert handler.flush(10.0) is True
    assert messages == received(intake)
    assert (0, 0, 50) == (handler.stats().spooled, handler.stats().pending, handler.stats().delivered)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_may_look(umask: int, intake: LocalIntake, durable: Make, folder: Path) -> None:
    """Whatever the umask, the folder is 0700 and each file in it 0600."""
    before = os.umask(umask)
    try:
        intake.fail_when(status=503)
        handler = durable()
        log(handler, "order", 5)
        wait_until_spooled(handler)
    finally:
        os.umask(before)
    assert 0o700 == folder.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert {".lock", ".spool", ".spool-shm", ".spool-wal"} == {
        path.name[path.name.index(".") :] for path in folder.iterdir()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_no_credential_is_on_disk(kind: type[Any], tmp_path: Path, folder: Path) -> None:
    """Neither token nor key, nor what extra headers and a proxy's address hold, is in a file or a file's name."""
    with LocalIntake(token="t0ken-unmistakable", intake_key="k3y-unmistakable") as intake:
        secret = {"token": intake.token} if kind is loghttp.HumioHECHandler else {"intake_key": intake.intake_key}
        handler = kind(
            url=intake.url,
            **secret,
            spool_dir=folder,
            headers={"X-Api-Key": "h3ader-unmistakable"},
            proxies={"https": "http://user:pr0xy-unmistakable@127.0.0.1:9"},
            close_timeout=0.5,
            flush_interval=0.01,
        )
        intake.fail_when(status=503)
        log(handler, "order", 50)
        wait_until_spooled(handler)
        copy = tmp_path / "copy"
        # By another process: were a descriptor of the database closed in this one, SQLite would lose its locks.
        subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)
        handler.close()
    found = [path.read_bytes() + path.name.encode() for path in (*copy.iterdir(), *folder.iterdir())]
    assert any(b"order 49" in content for content in found)
    assert [] == [content for content in found if b"unmistakable" in content]


def test_an_empty_file_is_removed(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """When all is delivered and the handler closed, no file of any kind is left."""
    handler = durable()
    log(handler, "order", 50)
    assert handler.flush(10.0) is True
    handler.close()
    assert [] == names(folder)


def test_a_delivered_file_shrinks(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """After an outage the disk gets its space back while the handler lives on."""
    intake.fail_when(status=503)
    handler = durable()
    log(handler, "order", 3_000, noise="x" * 1_000)
    wait_until_spooled(handler)
    assert disk_bytes(folder) > 3_000_000
    intake.heal()
    assert handler.flush(15.0) is True
    assert disk_bytes(folder) < 100_000


def test_the_schema_has_a_version(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """A file says by which schema it was written, and in it are the events as they will be sent."""
    leave_behind(durable, intake, "order", 3)
    [file] = spools(folder)
    assert [(_spool_file.SCHEMA_VERSION,)] == rows(file, "PRAGMA user_version")
    assert ["order 0", "order 1", "order 2"] == [json.loads(body)["event"] for body in bodies(file)]


def test_logging_never_waits_for_the_disk(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """Another program that locks the file (a backup, a look into it) makes only our own thread wait."""
    intake.fail_when(status=503)
    handler = durable()
    messages = log(handler, "order", 1)
    wait_until_spooled(handler)
    [file] = spools(folder)
    # Another process, as a lock of this one would be no obstacle to all ways of locking.
    locker = subprocess.Popen([sys.executable, "-c", _LOCKER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with locker:
        assert locker.stdout is not None
        assert b"1\n" == locker.stdout.readline()
        began = time.monotonic()
        messages += log(handler, "late", 100)
        assert time.monotonic() - began < 4.0
        assert 1 == handler.stats().spooled
        locker.communicate(b"\n")
    intake.heal()
    assert handler.flush(10.0) is True
    assert messages == received(intake)


@pytest.mark.parametrize("created", [float("nan"), float("inf"), -1e300, 1e300, 0.0, "yesterday", None, 10**400])
def test_a_record_of_no_time(created: Any, intake: LocalIntake, durable: Make) -> None:
    """A record whose time is none is stored and delivered like its neighbours, and spoils nothing for them."""
    intake.fail_when(status=503)
    handler = durable()
    with listening() as voice:
        log(handler, "before", 1)
        handler.handle(make_record(msg="odd", created=created))
        log(handler, "after", 1)
        wait_until(lambda: handler.stats().spooled == 3)
        intake.heal()
        assert handler.flush(10.0) is True
    assert ["before 0", "odd", "after 0"] == received(intake)
    assert "spool" not in voice.text


# ---- the next process


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_handler_delivers_what_was_left(
    kind: type[Any], intake: LocalIntake, durable: Make, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What `close()` could not deliver stays pending in the spool, is not told as lost, and the next start delivers it.

    The next handler logs nothing itself.
    """
    messages = leave_behind(durable, intake, "order", 50, kind=kind)
    assert [] == received(intake)
    assert "" == capfd.readouterr().err
    heir = durable(kind)
    assert messages == [event.message for event in intake.wait_for(50)]
    wait_until(lambda: heir.stats().delivered == 50)
    assert (50, 0, {}) == (heir.stats().accepted, heir.stats().pending, dict(heir.stats().dropped))
    heir.close()
    assert [] == names(folder)


def test_files_are_delivered_oldest_first(intake: LocalIntake, durable: Make) -> None:
    """Files of several dead handlers come in the order in which they were written."""
    labels = ["first", "second", "third", "fourth"]
    # Made before any is closed, so that none adopts what an earlier one left.
    intake.fail_when(status=503)
    handlers = {label: durable() for label in labels}
    messages = []
    for label, handler in handlers.items():
        messages += log(handler, label, 5)
        wait_until_spooled(handler)  # each has its file before the next one makes its own
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spooling, "LOOK_EVERY", NEVER)
        for handler in handlers.values():
            handler.close()
    intake.heal()
    durable(batch_events=3)
    intake.wait_for(20)
    assert messages == received(intake)


def test_with_a_spool_no_record_waits_for_others(
    intake: LocalIntake, durable: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wakes the listener at once, for what is not yet on disk goes with a process that is killed."""
    wanted: set[int] = set()
    wait = Bell.wait

    def watched(bell: Bell, timeout: float | None = None) -> None:
        if bell is handler._line.buffer._listener_bell:
            wanted.add(handler._line.buffer._inbox.calm)
        wait(bell, timeout)

    monkeypatch.setattr(Bell, "wait", watched)
    handler = durable()
    for number in range(20):
        log(handler, f"order {number}", 1)
        time.sleep(0.0005)
    intake.wait_for(20)
    assert {0} == wanted


@pytest.mark.parametrize("records", [0, 1])
@pytest.mark.parametrize("attempt", range(3))
def test_a_short_program_delivers_the_backlog(
    attempt: int, records: int, intake: LocalIntake, durable: Make, folder: Path
) -> None:
    """A program that ends at once (a cron job) still delivers what its forerunner left, within `close_timeout`."""
    messages = leave_behind(durable, intake, "order", 50)
    heir = durable(close_timeout=10.0)
    messages += log(heir, "fresh", records)
    heir.close()
    assert sorted(messages) == sorted(received(intake))
    assert [] == names(folder)


def test_a_living_sibling_adopts(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """A process that has nothing to do itself delivers what one that was killed left, without a new start."""
    with running("nursery", intake) as nursery:
        sibling = durable()
        log(sibling, "sibling", 1)
        assert sibling.flush(10.0) is True
        intake.fail_when(is_of_run_0, status=503)
        pid = nursery.start(0, "logs_steadily", spool_dir=str(folder))
        wait_until(lambda: len(nursery.logged[0]) > 100)
        wait_until(lambda: events_on_disk(folder, pid) >= 50)
        os.kill(pid, signal.SIGKILL)
        nursery.reap(pid)
        intake.wait_for(1 + 50)
        wait_until(lambda: 1 == len(spools(folder)) and sibling.stats().pending == 0)
    fresh = received(intake)[1:]
    assert [f"0 {n}" for n in range(len(fresh))] == fresh
    assert len(fresh) + 1 == sibling.stats().accepted == sibling.stats().delivered


def test_two_processes_never_deliver_the_same_file(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """Four processes that start at the same time on twenty files of the dead deliver each record once."""
    intake.fail_when(status=503)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spooling, "LOOK_EVERY", NEVER)
        dead = [durable(retry_wait_max=NEVER) for _ in range(20)]
        messages = [message for n, handler in enumerate(dead) for message in log(handler, f"file-{n}", 5)]
        for handler in dead:
            wait_until_spooled(handler)
            handler.close()
    assert 20 == len(spools(folder))
    intake.heal()
    intake.fail_when(delay=0.005)
    with running("nursery", intake) as nursery:
        pids = [nursery.start(run, "lives", spool_dir=str(folder)) for run in range(4)]
        intake.wait_for(100)
        wait_until(lambda: len(spools(folder)) == 4)  # their own
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            nursery.reap(pid)
    drain(intake, folder)
    assert sorted(messages) == sorted(received(intake))
    assert [] == names(folder)


@pytest.mark.parametrize("other", ["url", "endpoint", "token", "kind"])
def test_another_destination_is_left_alone(other: str, intake: LocalIntake, durable: Make, folder: Path) -> None:
    """Events for one address and token are never delivered to another one that uses the same folder."""
    messages = leave_behind(durable, intake, "order", 5)
    [file] = spools(folder)
    with LocalIntake(token="another-token") as another:
        kind, options = {
            "url": (loghttp.HumioHECHandler, {"url": another.url, "token": another.token}),
            "endpoint": (loghttp.HumioHECHandler, {"endpoint": "/services/collector"}),
            "token": (loghttp.HumioHECHandler, {"token": "another-token"}),
            "kind": (loghttp.SekoiaHandler, {}),
        }[other]
        stranger = durable(kind, **options)
        log(stranger, "stranger", 5)
        wait_until_spooled(stranger)
        stranger.flush(0.3 if other == "token" else 10.0)  # with a wrong token it cannot be delivered
        stranger.close()
        strangers = [f"stranger {n}" for n in range(5)]
        assert {"url": [], "token": []}.get(other, strangers) == received(intake)
        assert {"url": strangers}.get(other, []) == received(another)
    assert 5 == len(bodies(file))
    intake.clear()
    durable()
    intake.wait_for(5)
    assert messages == received(intake)


def test_sequence_has_no_gap_for_what_was_adopted(intake: LocalIntake, durable: Make) -> None:
    """The books of an heir hold what it adopted, but a gap in `sequence` shows a loss: its own go on without one."""
    leave_behind(durable, intake, "order", 50)
    heir = durable()
    log(heir, "early", 5)
    wait_until(lambda: heir.stats().delivered == 55)
    log(heir, "late", 5)
    assert heir.flush(10.0) is True
    own = [event.fields["sequence"] for event in intake.events if not event.message.startswith("order")]
    assert list(range(1, 11)) == own


def test_closed_and_opened_again(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """A handler that logs after `close()` adopts what it left itself, and counts it once."""
    intake.fail_when(status=503)
    handler = durable()
    messages = log(handler, "order", 5)
    wait_until_spooled(handler)
    handler.close()
    intake.heal()
    messages += log(handler, "again", 5)
    intake.wait_for(10)
    assert handler.flush(10.0) is True
    wait_until(lambda: handler.stats().pending == 0)
    stats = handler.stats()
    assert (10, 10, 0, {}) == (stats.accepted, stats.delivered, stats.spooled, dict(stats.dropped))
    assert sorted(messages) == sorted(received(intake))


def test_fresh_events_do_not_wait_for_the_backlog(intake: LocalIntake, durable: Make) -> None:
    """After a long outage the backlog drains oldest first, and new records arrive in between."""
    backlog = leave_behind(durable, intake, "backlog", 3_000)
    intake.fail_when(delay=0.02)
    heir = durable(batch_events=100)
    intake.wait_for(100)
    fresh = log(heir, "fresh", 10)
    intake.wait_until(lambda it: any(event.message == "fresh 9" for event in it._events))
    assert len(received(intake)) < 2_000
    intake.wait_for(3_010, 15.0)
    assert backlog == [message for message in received(intake) if message.startswith("backlog")]
    assert fresh == [message for message in received(intake) if message.startswith("fresh")]


def test_many_files_do_not_take_all_descriptors(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """A program that was killed often in an outage can still open files while it adopts what is left.

    Adopting 80 files at once, at four descriptors each, left a program with a limit of 256 none of its own.
    """
    messages = leave_behind(durable, intake, "order", 2)
    [first] = spools(folder)
    for number in range(79):
        shutil.copy(first, first.with_name(f"{first.name.partition('-')[0]}-1-{number:08x}.spool"))
    intake.fail_when(delay=0.005)
    with running("keeps_few_files_open", intake, files=256, spool_dir=str(folder)) as program:
        failures, flushed, _ = program.hear()
        assert (0, True) == (failures, flushed)
        assert 0 == program.wait()
    assert dict.fromkeys(messages, 80) == Counter(received(intake))


# ---- flush


def test_flush_waits_for_what_is_on_disk(intake: LocalIntake, durable: Make) -> None:
    """Spooled is not delivered: `flush()` is False while the intake is down, and True once it has all."""
    intake.fail_when(status=503)
    handler = durable(flush_interval=NEVER)
    messages = log(handler, "order", 50)
    wait_until_spooled(handler)
    assert handler.flush(0.1) is False
    intake.heal()
    assert handler.flush(10.0) is True
    assert messages == received(intake)


def test_flush_of_a_closed_handler(intake: LocalIntake, durable: Make) -> None:
    """`flush()` after `close()` is False while something of it waits in the spool."""
    intake.fail_when(status=503)
    handler = durable()
    log(handler, "order", 50)
    wait_until_spooled(handler)
    handler.close()
    assert 50 == handler.stats().pending
    assert handler.flush(0.1) is False


def test_flush_waits_for_what_a_lost_file_held(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """What waits in a file that was removed, or in memory since, is behind `flush()` like all else."""
    intake.fail_when(status=503)
    handler = durable()
    messages = log(handler, "order", 50)
    wait_until_spooled(handler)
    shutil.rmtree(folder)
    messages += log(handler, "later", 50)
    wait_until_spooled(handler)
    assert handler.flush(0.1) is False
    intake.heal()
    intake.fail_when(delay=0.05)
    assert handler.flush(10.0) is True
    assert sorted(messages) == sorted(received(intake))


@pytest.mark.parametrize("readable", [True, False])
def test_memory_behind_a_flush_does_not_wait_for_the_spool(
    readable: bool, intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush waits for what is on disk, the disk fails, more is logged: all of it leaves, in no empty request."""
    intake.fail_when(status=503)
    handler = durable(batch_events=10)
    messages = log(handler, "order", 50)
    wait_until_spooled(handler)
    assert handler.flush(0.1) is False
    shutil.rmtree(folder)
    folder.write_text("in the way")
    messages += log(handler, "later", 50)
    wait_until(lambda: handler.stats().accepted == 100 and not len(handler._line.buffer._inbox))

    def no_read(*_: Any, **__: Any) -> list[Run]:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        if not readable:
            patched.setattr(_spool_file.SpoolFile, "read", no_read)
        intake.heal()
        intake.wait_for(60 - 10 * readable)  # 10 were in hand
        if not readable:
            assert handler.flush(0.1) is False
    assert handler.flush(10.0) is True
    assert sorted(messages) == sorted(received(intake))
    assert all(request.body for request in intake.requests)


def test_what_the_disk_did_not_take_and_what_it_did_leave_in_turns(
    intake: LocalIntake, durable: Make, folder: Path
) -> None:
    """Neither has to wait until the other has left, which in a flood would be never."""
    intake.fail_when(status=503)
    handler = durable(batch_events=10)
    messages = log(handler, "order", 50)
    wait_until_spooled(handler)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    messages += log(handler, "later", 50)
    wait_until(lambda: handler.stats().pending == 100 and not len(handler._line.buffer._inbox))
    intake.heal()
    assert handler.flush(10.0) is True
    assert sorted(messages) == sorted(received(intake))
    assert {"order", "later"} == {message.split()[0] for message in received(intake)[10:40]}  # 10 were in hand


def test_what_is_in_a_removed_file_at_the_end_is_lost_and_told(
    intake: LocalIntake, durable: Make, folder: Path
) -> None:
    """It could be read through the open descriptor, but not by the next process: so it is not called pending."""
    intake.fail_when(status=503)
    handler = durable(close_timeout=0.2)
    log(handler, "order", 50)
    wait_until_spooled(handler)
    shutil.rmtree(folder)
    with listening() as voice:
        handler.close()
        assert "50 shutdown" in voice.wait_for("records lost")
    stats = handler.stats()
    assert (50, 0, 0, {"shutdown": 50}) == (stats.accepted, stats.pending, stats.spooled, dict(stats.dropped))


# ---- bounded


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("spool_bytes", [20_000, 60_000])  # less, and more, than a burst of 100 records
def test_spool_bytes(spool_bytes: int, policy: str, intake: LocalIntake, durable: Make, folder: Path) -> None:
    """The spool holds `spool_bytes` and no more; what gives way is as the policy says, and exact in the books."""
    intake.fail_when(status=503)
    handler = durable(overflow=policy, spool_bytes=spool_bytes)
    began = log(handler, "order", 20)
    wait_until_spooled(handler)
    [file] = spools(folder)
    body = max(map(len, bodies(file)))
    messages = began + [f"more {n}" for n in range(480)]
    for n in range(480):
        handler.handle(make_record(msg=f"more {n}"))
    if policy == "block":
        wait_until(lambda: handler.stats().spooled > spool_bytes // (2 * body))
    else:
        wait_until_spooled(handler)
    stats = handler.stats()
    size = sum(map(len, bodies(file)))
    assert size <= spool_bytes
    assert size > spool_bytes - max(spool_bytes // 2, 100 * body)  # not much more than needed gives way
    assert 500 == stats.accepted == stats.pending + stats.dropped.get("queue_full", 0)
    intake.heal()
    assert handler.flush(10.0) is True
    stats = handler.stats()
    arrived = received(intake)
    arrived = [message for message in arrived if not message.startswith("loghttp:")]
    assert (500, len(arrived), 0) == (stats.accepted, stats.delivered, stats.spooled)
    assert {"block": {}}.get(policy, {"queue_full": 500 - len(arrived)}) == dict(stats.dropped)
    if policy == "drop_newest":
        assert messages[: len(arrived)] == arrived
    else:  # what the courier has in hand cannot give way
        # ... which is one run of the records, taken at any moment of the flood; all others are the last ones.
        places = [messages.index(message) for message in arrived]
        gaps = [n for n in range(1, len(places)) if places[n] != places[n - 1] + 1]
        assert len(gaps) <= 1
        assert messages[-1] == arrived[-1]


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
def test_a_flood_through_a_small_spool(policy: str, intake: LocalIntake, durable: Make) -> None:
    """With the intake up, and the spool always full, each record is delivered once or dropped once, never both."""
    intake.fail_when(delay=0.002)
    handler = durable(overflow=policy, spool_bytes=10_000, batch_events=20)
    messages = log(handler, "order", 10_000)
    assert handler.flush(20.0) is True
    stats = handler.stats()
    arrived = [message for message in received(intake) if not message.startswith("loghttp:")]
    assert [] == [message for message, visits in Counter(arrived).items() if visits > 1]
    assert (10_000, 0, 0) == (stats.accepted, stats.pending, stats.spooled)
    assert (len(arrived), {"queue_full": 10_000 - len(arrived)}) == (stats.delivered, dict(stats.dropped))
    assert set(arrived) <= set(messages)


def test_a_large_batch_costs_no_more_an_event(
    monkeypatch: pytest.MonkeyPatch, intake: LocalIntake, durable: Make
) -> None:
    """How much an event weighs is looked at a few times, however many are committed with it."""

    weighed: list[int] = []

    def weight(runs: Sequence[Run]) -> int:
        weighed.append(sum(run.number for run in runs))
        return _spool_rows.weight(runs)

    monkeypatch.setattr(_spooling, "weight", weight)
    handler = durable(spool_bytes=80_000, overflow="block")  # a commit is for a part of what was gathered
    log(handler, "flood", 4_000)
    assert handler.flush(timeout=30)
    assert 4_000 == handler.stats().delivered
    assert 4_000 <= sum(weighed) < 10 * 4_000


def test_block_loses_nothing_at_close(intake: LocalIntake, durable: Make) -> None:
    """With "block", `close()` goes on to make room on disk while the intake takes it; it drops nothing."""
    intake.fail_when(delay=0.02)
    handler = durable(overflow="block", spool_bytes=10_000, batch_events=50, close_timeout=20.0)
    messages = log(handler, "order", 500)
    handler.close()
    assert {} == dict(handler.stats().dropped)
    assert messages == received(intake)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_event_that_is_larger_than_the_spool(policy: str, intake: LocalIntake, durable: Make) -> None:
    """An event for which there will never be room is dropped under each policy; "block" does not wait for ever."""
    handler = durable(overflow=policy, spool_bytes=5_000)
    log(handler, "before", 1)
    assert handler.flush(10.0) is True
    handler.handle(make_record(msg="x" * 10_000))
    log(handler, "after", 1)
    assert handler.flush(10.0) is True
    arrived = [message for message in received(intake) if not message.startswith("loghttp:")]
    assert ["before 0", "after 0"] == arrived
    assert 1 == sum(handler.stats().dropped.values())


def test_room_is_made_again_by_events_that_were_cut(durable: Make, folder: Path) -> None:
    """An event that had to be cut for the intake (413) leaves as many bytes of room as it took."""
    with LocalIntake(max_body_bytes=4_000) as intake:
        handler = durable(url=intake.url, token=intake.token, spool_bytes=60_000, overflow="drop_newest")
        for n in range(20):
            handler.handle(make_record(msg=f"large {n} " + "x" * 10_000))
            assert handler.flush(10.0) is True
        assert {} == dict(handler.stats().dropped)
        assert 20 == len(intake.events)


def test_the_disk_is_bounded(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """In an outage the files themselves, with SQLite's log, stay near `spool_bytes`, however much is logged."""
    intake.fail_when(status=503)
    handler = durable(spool_bytes=4_000_000)
    most = 0
    for _ in range(20):
        log(handler, "order", 1_000, noise="x" * 1_000)
        wait_until_spooled(handler)
        most = max(most, disk_bytes(folder))
    print(f"spool_bytes 4,000,000: at most {most:,} bytes on disk")
    # SQLite's log grows to 4 MB before it is used again (https://www.sqlite.org/wal.html, "Avoiding Excessively Large")
    assert most < 1.5 * 4_000_000 + 5_000_000


# ---- dead letters


def _is_bad(request: ReceivedRequest) -> bool:
    return b"bad" in request.body


def test_dead_letters_are_kept(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """An event that is refused for good is kept in the spool with the intake's reply; the others are delivered."""
    intake.fail_when(_is_bad, status=400, body="the field is no field")
    handler = durable()
    began = time.time()
    good = log(handler, "good", 10)
    log(handler, "bad", 1)
    good += log(handler, "fine", 10)
    assert handler.flush(10.0) is True
    assert good == [message for message in received(intake) if not message.startswith("loghttp")]
    assert {"refused": 1} == dict(handler.stats().dropped)
    for _ in range(2):  # it stays when the handler has gone, and when the next has come and gone
        handler.close()
        [file] = folder.glob("*.refused")  # a name that no handler adopts
        [(created, refused, words, body)] = rows(file, "SELECT created, refused, words, body FROM dead_letters")
        assert began <= created <= refused <= time.time()
        assert "the field is no field" in words
        assert "bad 0" == json.loads(body)["event"]
        assert [] == bodies(file)
        handler = durable()
        log(handler, "next", 1)
        assert handler.flush(10.0) is True


def test_refused_events_leave_from_within_a_row(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """Rows hold many events; a few that are refused among them are kept as they were, and all others arrive once."""
    intake.fail_when(status=503)
    handler = durable()
    messages = [f"{'bad' if n in (0, 1, 70, 150, 199) else 'good'} {n}" for n in range(200)]
    for n, message in enumerate(messages):
        handler.handle(make_record(msg=message, created=1e9 + n))
    wait_until_spooled(handler)
    intake.heal()
    intake.fail_when(_is_bad, status=400, body="no")
    assert handler.flush(10.0) is True
    assert (195, 0, {"refused": 5}) == (
        handler.stats().delivered,
        handler.stats().spooled,
        dict(handler.stats().dropped),
    )
    assert [message for message in messages if "good" in message] == [
        message for message in received(intake) if not message.startswith("loghttp")
    ]
    [file] = spools(folder)
    letters = rows(file, "SELECT created, body FROM dead_letters ORDER BY id")
    assert [(1e9 + n, f"bad {n}") for n in (0, 1, 70, 150, 199)] == [
        (created, json.loads(body)["event"]) for created, body in letters
    ]
    assert [] == bodies(file)


def test_dead_letters_are_capped(
    intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many refused events the latest are kept."""
    monkeypatch.setattr(_spool_file, "DEAD_LETTERS", 5)
    intake.fail_when(_is_bad, status=400, body="no")
    handler = durable()
    for n in range(20):
        log(handler, "good", 1)
        handler.handle(make_record(msg=f"bad {n}"))
        assert handler.flush(10.0) is True
    assert {"refused": 20} == dict(handler.stats().dropped)
    [file] = spools(folder)
    kept = [json.loads(body)["event"] for (body,) in rows(file, "SELECT body FROM dead_letters ORDER BY id")]
    assert [f"bad {n}" for n in range(15, 20)] == kept


def test_dead_letters_are_bounded_in_bytes(
    intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large refused events do not fill the disk: the latest that fit are kept."""
    monkeypatch.setattr(_spool_file, "DEAD_LETTER_BYTES", 100_000)
    intake.fail_when(_is_bad, status=400, body="no")
    handler = durable()
    for n in range(20):
        log(handler, "good", 1)
        handler.handle(make_record(msg=f"bad {n} " + "x" * 20_000))
        assert handler.flush(10.0) is True
    handler.close()
    [file] = folder.glob("*.refused")
    kept = [json.loads(body)["event"][:6] for (body,) in rows(file, "SELECT body FROM dead_letters ORDER BY id")]
    assert [f"bad {n}" for n in range(16, 20)] == kept


def test_dead_letters_are_bounded_over_all_processes(
    intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that starts each minute and has an event refused each time does not fill the disk in a year."""
    monkeypatch.setattr(_spool_file, "DEAD_LETTER_BYTES", 100_000)
    intake.fail_when(_is_bad, status=400, body="no")
    for n in range(15):
        handler = durable()
        log(handler, "good", 1)
        handler.handle(make_record(msg=f"bad {n} " + "x" * 40_000))
        assert handler.flush(10.0) is True
        handler.close()
    assert disk_bytes(folder) < 500_000


# ---- forks and many processes


def test_forks(intake: LocalIntake, folder: Path) -> None:
    """Children of `os.fork` have files of their own; while threads commit, none hangs and nothing is doubled."""
    with running("forks_while_threads_log", intake, forks=60, close_timeout=10.0, spool_dir=str(folder)) as program:
        counts, statuses, books = program.hear()
        assert 0 == program.wait()
    of_threads = [f"{label} {n}" for label, count in counts.items() for n in range(count)]
    of_children = [f"child-{c} {n}" for c in range(60) for n in range(5)]
    assert [0] == statuses
    assert sorted(of_threads + of_children) == sorted(received(intake))
    assert (len(of_threads), 0, {}) == (books["delivered"], books["pending"], books["dropped"])
    assert [] == names(folder)
    assert "" == program.stderr


def test_a_forked_child_does_not_keep_its_parents_file(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """When a parent is killed, its file is adopted although a child that was forked from it lives on."""
    intake.fail_when(is_of_run_0, status=503)
    with running("is_killed_while_its_child_lives", intake, headers={"X-Run": "0"}, spool_dir=str(folder)) as program:
        assert "child" == program.hear()[0]
        wait_until(lambda: program._process.poll() is not None)
        durable()
        intake.wait_for(100)
        assert [f"record {n}" for n in range(100)] == received(intake)


def test_multiprocessing(intake: LocalIntake, folder: Path) -> None:
    """Children of multiprocessing that log through the handler they inherit, while their parent's records wait."""
    intake.fail_when(status=503)
    with running("inherits", intake, method="fork", spool_dir=str(folder)) as program:
        assert [[0, 0, 0]] == program.hear()
        assert 0 == program.wait()
    assert "" == program.stderr
    intake.heal()
    drain(intake, folder)
    of_children = [f"child-{c} {n}" for c in range(3) for n in range(20)]
    assert sorted([*(f"record {n}" for n in range(100)), *of_children]) == sorted(received(intake))


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        pytest.param("fork", {"delay": 0.001}, id="fork-up"),
        pytest.param("fork", {"status": 503}, id="fork-down"),
        pytest.param("spawn", {"delay": 0.001}, id="spawn-up"),
    ],
)
def test_eight_workers(method: str, fault: dict[str, Any], intake: LocalIntake, folder: Path) -> None:
    """Eight workers on one folder: their books sum up exactly, no `logger.info` waits, and all arrives once."""
    intake.fail_when(**fault)
    options = {"close_timeout": 5.0, "spool_dir": str(folder), "look_every": 0.1 if "delay" in fault else NEVER}
    if "status" in fault:
        options["flush_interval"] = NEVER
    with running("has_workers", intake, method=method, **options) as program:
        if "status" in fault:
            wait_until(lambda: len(spools(folder)) == 8, 20.0)
            intake.heal()  # while they wait for their flush
        said = [program.hear() for _ in range(8)]
        assert 0 == program.wait()
    assert "" == program.stderr
    sums = Counter()
    for books, slowest in said:
        sums.update({name: books[name] for name in ("accepted", "delivered", "pending")})
        assert {} == books["dropped"]
        assert slowest < 4.0  # SQLite waits 5 s for a lock
    assert {"accepted": 4_000, "delivered": 4_000, "pending": 0} == dict(sums)
    assert sorted(f"worker-{c} {n}" for c in range(8) for n in range(500)) == sorted(received(intake))
    assert [] == names(folder)


# ---- other ends


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("returns", 0),
        ("is_terminated", -signal.SIGTERM),
        ("leaves", 4),
        ("crashes", -signal.SIGSEGV),
        ("aborts", -signal.SIGABRT),
        ("runs_out_of_memory", 1),
    ],
)
def test_all_on_disk_survives_the_process(way: str, status: int, folder: Path) -> None:
    """However a process ends while the intake is down, the next delivers what it had on disk, once and in order."""
    with LocalIntake() as intake:
        intake.stop()
        with running(way, intake, spool_dir=str(folder)) as program:
            assert status == program.wait()
        assert "lost" not in program.stderr
        intake.start()
        drain(intake, folder)
    assert [f"record {n}" for n in range(100)] == received(intake)
    assert [] == names(folder)


def test_an_exit_in_an_outage_is_no_loss(folder: Path) -> None:
    """A program that ends while the intake is down says nothing on stderr, ends in time, and counts all as pending."""
    with LocalIntake() as intake:
        intake.stop()
        with running("returns", intake, spool_dir=str(folder)) as program:
            [books] = program.hear()
            assert 0 == program.wait()
    assert "" == program.stderr
    assert {"accepted": 100, "delivered": 0, "pending": 100, "spooled": 100, "dropped": {}} == books


def test_a_memory_error_stops_nothing(intake: LocalIntake, folder: Path) -> None:
    """After a time without any memory, records are delivered as before, and the books hold all."""
    with running("goes_on_after_a_memory_error", intake, spool_dir=str(folder)) as program:
        flushed, books = program.hear()
        assert 0 == program.wait()
    arrived = received(intake)
    assert flushed is True
    assert [f"record {n}" for n in range(100)] == [message for message in arrived if message.startswith("record")]
    assert [f"fed {n}" for n in range(100)] == [message for message in arrived if message.startswith("fed")]
    assert books["accepted"] == books["delivered"] + sum(books["dropped"].values())


def test_a_copy_of_the_folder_replays(folder: Path, tmp_path: Path) -> None:
    """What is on disk at any one moment is whole: a copy of the folder, made while the process runs, is delivered."""
    chance = random.Random(8)  # noqa: S311  the same each time
    copies: list[tuple[Path, int]] = []
    with LocalIntake() as intake, running("nursery", intake) as nursery:
        intake.fail_when(is_of_run_0, status=503)
        pid = nursery.start(0, "logs_steadily", spool_dir=str(folder), rate=3_000)
        wait_until(lambda: len(nursery.logged[0]) > 100)
        for n in range(5):
            time.sleep(chance.uniform(0.05, 0.2))  # no moment is waited for: any will do
            moment = time.monotonic()
            said = [number for number, at in list(nursery.logged[0]) if at < moment - 0.5]
            os.kill(pid, signal.SIGSTOP)
            copies.append((tmp_path / f"copy-{n}", max(said, default=-1)))
            shutil.copytree(folder, copies[-1][0])
            os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        nursery.reap(pid)
        for copy, at_least in copies:
            intake.clear()
            drain(intake, copy)
            arrived = received(intake)
            assert [f"0 {n}" for n in range(len(arrived))] == arrived
            assert len(arrived) > at_least


# ---- disks that fail


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of 400 kB, where we may mount one."""
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(path)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.parametrize("kind", ["RLIMIT_FSIZE", "tmpfs"])
def test_a_full_disk(kind: str, folder: Path, tmp_path: Path) -> None:
    """What the disk does not take waits in memory, which is told; all arrives once, and then the disk is free again."""
    with contextlib.ExitStack() as stack:
        intake = stack.enter_context(LocalIntake())
        where = stack.enter_context(small_disk(tmp_path / "disk")) / "spool" if kind == "tmpfs" else folder
        intake.fail_when(status=503)
        limit = {} if kind == "tmpfs" else {"file_bytes": 400_000}
        program = stack.enter_context(running("fills_the_disk", intake, spool_dir=str(where), **limit))
        books, voice = program.hear()
        assert (2_000, 2_000, {}) == (books["accepted"], books["pending"], books["dropped"])
        assert any("spool" in line and line.startswith("WARNING") for line in voice), voice
        intake.heal()
        program.tell("go on")
        flushed, books, busy = program.hear()
        arrived = [message for message in received(intake) if message.startswith("record")]
        assert Counter({f"record {n}": 1 for n in range(2_000)}) == Counter(arrived)
        assert flushed is True
        assert {"accepted": 2_000, "delivered": 2_000, "pending": 0, "spooled": 0, "dropped": {}} == books
        assert busy < 0.5
        flushed, books = program.hear()
        assert flushed is True
        assert (2_010, 0, 0) == (books["delivered"], books["pending"], books["spooled"])
        assert 0 == program.wait()
        assert "" == program.stderr
        assert [] == names(where)
        assert 2_010 == len(intake.events)


@pytest.mark.parametrize("where", ["below a file", "in /proc", "is a file"])
def test_a_folder_that_cannot_be(where: str, intake: LocalIntake, durable: Make, tmp_path: Path) -> None:
    """Where no spool can be made, events wait in memory as without one, and a warning on `loghttp` says so."""
    (tmp_path / "file").write_text("mine")
    path = {
        "below a file": tmp_path / "file" / "spool",
        "in /proc": Path("/proc/loghttp/spool"),
        "is a file": tmp_path / "file",
    }[where]
    with listening() as voice:
        intake.fail_when(status=503)
        handler = durable(spool_dir=path)
        messages = log(handler, "order", 50)
        line = voice.wait_for("spool")
        assert line.startswith("WARNING")
        assert (50, 0) == (handler.stats().pending, handler.stats().spooled)
        intake.heal()
        assert handler.flush(10.0) is True
    assert messages == received(intake)
    assert "mine" == (tmp_path / "file").read_text()
    handler.close()


def test_rights_that_are_taken_away(folder: Path) -> None:
    """A process that may no longer write in its folder goes on, delivers all, and says what is wrong."""
    with LocalIntake() as intake:
        intake.stop()
        with running("loses_its_rights", intake, spool_dir=str(folder)) as program:
            wait_until(lambda: folder.exists() and folder.stat().st_mode & 0o777 == 0o555, 20.0)
            intake.start()
            program.tell("go on")
            flushed, books = program.hear()
            assert (True, 100, 0) == (flushed, books["delivered"], books["pending"])
            flushed, books, _ = program.hear()
            assert (True, 200, 0) == (flushed, books["delivered"], books["pending"])
            program.wait()
        arrived = received(intake)
        assert [f"record {n}" for n in range(100)] + [f"afterwards {n}" for n in range(100)] == arrived
        folder.chmod(0o700)


@pytest.mark.parametrize("afterwards", ["gone", "a file stands there", "an empty folder stands there"])
def test_a_folder_that_is_removed(afterwards: str, intake: LocalIntake, durable: Make, folder: Path) -> None:
    """When somebody removes the folder, what was in it and what comes later is delivered all the same."""
    intake.fail_when(status=503)
    handler = durable()
    messages = log(handler, "order", 50)
    wait_until_spooled(handler)
    shutil.rmtree(folder)
    if afterwards == "a file stands there":
        folder.write_text("mine")
    elif afterwards == "an empty folder stands there":
        folder.mkdir()
    with listening() as voice:
        messages += log(handler, "later", 50)
        assert voice.wait_for("spool").startswith("WARNING")
    if afterwards != "a file stands there":
        wait_until(lambda: handler.stats().spooled == 100)
    intake.heal()
    intake.wait_for(100)
    messages += log(handler, "last", 50)
    intake.wait_for(150)
    assert handler.flush(10.0) is True
    assert sorted(messages) == sorted(received(intake))
    assert (150, 150, {}) == (handler.stats().accepted, handler.stats().delivered, dict(handler.stats().dropped))


@pytest.mark.parametrize("column", ["body", "times"])
def test_a_bit_that_turns_bytes_into_text(column: str, intake: LocalIntake, durable: Make, folder: Path) -> None:
    """SQLite keeps the type with each value, and nothing checks it: what is there is sent as it is."""
    messages = leave_behind(durable, intake, "order", 20)
    alter(folder, f"UPDATE events SET {column} = CAST({column} AS TEXT)")  # noqa: S608  no stranger's words
    heir = durable()
    messages += log(heir, "later", 20)
    intake.wait_for(40)  # `flush` does not wait for files that have not been adopted yet
    assert heir.flush(10.0) is True
    assert sorted(messages) == sorted(received(intake))


@pytest.mark.parametrize("change", ["born = 'x'", "created = 'x'", "times = 1"])
def test_a_row_of_nonsense(change: str, intake: LocalIntake, durable: Make, folder: Path) -> None:
    """The file is moved aside, as any that is damaged, and what is logged goes on."""
    leave_behind(durable, intake, "order", 20)
    alter(folder, f"UPDATE events SET {change}")  # noqa: S608  likewise
    heir = durable()
    later = log(heir, "later", 20)
    intake.wait_for(20)
    wait_until(lambda: any(name.endswith(".damaged") for name in names(folder)))
    assert heir.flush(10.0) is True
    assert later == logged(intake)


def test_events_that_somebody_deletes(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """They are in the books as unreadable, and nobody waits for them for ever."""
    intake.fail_when(status=503)
    handler = durable(batch_events=10)
    messages = log(handler, "order", 50)
    wait_until_spooled(handler)
    wait_until(lambda: handler._line.buffer._hand)
    read = count(handler._line.buffer._hand)  # tried again and again; fewer than a batch, if the first was due alone
    alter(folder, "DELETE FROM events")
    intake.heal()
    assert handler.flush(10.0) is True
    assert messages[:read] == logged(intake)
    wait_until(lambda: not handler.stats().pending)
    stats = handler.stats()
    lost = {"unreadable": 50 - read}
    assert (50, read, 0, lost) == (stats.accepted, stats.delivered, stats.pending, dict(stats.dropped))
    later = log(handler, "later", 10)
    assert handler.flush(10.0) is True
    assert messages[:read] + later == logged(intake)


def alter(folder: Path, statement: str) -> None:
    """Change the events of the one spool file, as bad memory or somebody with a shell might."""
    [path] = spools(folder)
    with contextlib.closing(sqlite3.connect(path, timeout=10.0)) as db, db:
        db.execute(statement)


def test_a_file_that_cannot_be_read_does_not_cost_us_our_own(
    intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool is full, and the oldest events are in a file that the disk does not give back: others give way."""
    leave_behind(durable, intake, "order", 20)
    [path] = spools(folder)
    intake.fail_when(status=503)
    usual = _spool_file.SpoolFile.read

    def read(file: _spool_file.SpoolFile, *args: Any, **options: Any) -> list[Run]:
        if file.path == path:
            raise sqlite3.OperationalError("disk I/O error")
        return usual(file, *args, **options)

    monkeypatch.setattr(_spool_file.SpoolFile, "read", read)
    heir = durable(spool_bytes=20_000)
    spool = heir._line.buffer._spool
    wait_until(lambda: spool.others)
    log(heir, "later", 200)
    wait_until_spooled(heir)
    assert [path] == [file.path for file in spool.others]
    assert 0 < heir.stats().spooled == heir.stats().pending
    assert {"queue_full": 220 - heir.stats().pending} == heir.stats().dropped


def test_files_that_cannot_be_made_leave_nothing_behind(
    intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes an empty file and no table: each try is tidied up, or in a day there would be thousands."""
    monkeypatch.setattr(_spool_file, "_SCHEMA", "CREATE TABLE")
    handler = durable()
    tries = []
    usual = _spool_file.SpoolFile.make

    def make(*args: Any, **options: Any) -> _spool_file.SpoolFile:
        tries.append(1)
        return usual(*args, **options)

    monkeypatch.setattr(_spool_file.SpoolFile, "make", make)
    messages: list[str] = []

    def log_one() -> bool:
        messages.extend(log(handler, f"order {len(messages)}", 1))
        return len(tries) > 5

    wait_until(log_one)
    assert handler.flush(10.0) is True
    assert messages == received(intake)
    assert [] == names(folder)


def test_a_child_lets_go_of_files_that_a_closed_handler_still_has(
    intake: LocalIntake, durable: Make, folder: Path
) -> None:
    """A request is under way when the handler is closed; it opens again, the program forks: the child holds no lock."""
    intake.fail_when(delay=1.0)
    handler = durable(close_timeout=0.0)
    log(handler, "order", 10)
    wait_until_spooled(handler)
    wait_until(lambda: intake.requests)
    handler.close()
    log(handler, "again", 1)
    wait_until_spooled(handler)
    locks = {path.with_suffix(".lock").name for path in spools(folder)}
    assert 2 == len(locks)
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        open_files = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                open_files.add(link.readlink().name)
        os.write(writing, f"{len(open_files & locks)} of {len(open_files)}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100).startswith(b"0 of ")
    os.close(reading)
    os.close(writing)


def _damaged(content: bytes, how: str) -> bytes:
    noise = random.Random(1)  # noqa: S311  the same each time
    return {
        "garbage": noise.randbytes(20_000),
        "text": b"this is no database\n" * 500,
        "cut in half": content[: len(content) // 2],
        "cut in the middle of a page": content[: len(content) // 2 + 123],
        "holes": content[:4096] + b"\0" * (len(content) - 4096),
        "overwritten": content[:8192] + noise.randbytes(len(content) - 8192),
    }[how]


@pytest.mark.parametrize(
    "how", ["garbage", "text", "cut in half", "cut in the middle of a page", "holes", "overwritten"]
)
def test_damaged_files_are_moved_aside(
    how: str, intake: LocalIntake, durable: Make, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be read is renamed, not deleted, and told; other files and fresh records are delivered."""
    leave_behind(durable, intake, "spoilt", 500)
    [file] = spools(folder)
    damaged = _damaged(file.read_bytes(), how)
    file.write_bytes(damaged)
    with listening() as voice:
        heir = durable()
        assert "damaged" in voice.wait_for("spool")
        fresh = log(heir, "fresh", 50)
        assert heir.flush(10.0) is True
    assert file.with_name(file.name + ".damaged").read_bytes() == damaged
    assert fresh == [message for message in received(intake) if message.startswith("fresh")]
    assert heir.stats().accepted == heir.stats().delivered + sum(heir.stats().dropped.values())
    heir.close()
    assert all(".damaged" in name for name in names(folder))
    assert "" == capfd.readouterr().err


def test_a_file_that_breaks_while_it_is_read(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """What is still in a file that breaks after it was adopted is lost as `unreadable`, and told; the file is kept."""
    leave_behind(durable, intake, "x" * 20_000, 300)  # more in all than SQLite keeps in memory
    [file] = spools(folder)
    intake.fail_when(status=503)
    with listening() as voice:
        heir = durable(batch_events=10)
        wait_until(lambda: heir.stats().retries)
        with file.open("r+b") as content:
            content.write(b"\xff" * file.stat().st_size)
        intake.heal()
        assert f"{file.name}.damaged" in voice.wait_for("cannot be read")
        assert heir.flush(10.0) is True
    stats = heir.stats()
    assert (300, 10, {"unreadable": 290}) == (stats.accepted, stats.delivered, dict(stats.dropped))
    heir.close()
    assert [f"{file.name}.damaged"] == [name for name in names(folder) if name.endswith(".damaged")]


def test_a_damaged_file_does_not_hide_others(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """Beside a damaged file, one that can be read is delivered whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spooling, "LOOK_EVERY", NEVER)
        intake.fail_when(status=503)
        handlers = [durable() for _ in range(3)]
        messages = [log(handler, f"file-{n}", 20) for n, handler in enumerate(handlers)]
        for handler in handlers:
            wait_until_spooled(handler)
            handler.close()
        intake.heal()
    spoilt = spools(folder)[1]
    label = json.loads(bodies(spoilt)[0])["event"].split()[0]
    spoilt.write_bytes(b"no database" * 1_000)
    durable()
    whole = [message for some in messages for message in some if message.split()[0] != label]
    intake.wait_for(40)
    assert sorted(whole) == sorted(received(intake))


def test_a_file_of_a_later_version_is_left_alone(intake: LocalIntake, durable: Make, folder: Path) -> None:
    """A file of a newer schema is not touched, which is told; after a downgrade nothing is lost."""
    leave_behind(durable, intake, "future", 50)
    [file] = spools(folder)
    rows(file, f"PRAGMA user_version = {_spool_file.SCHEMA_VERSION + 1}")
    before = file.read_bytes()
    with listening() as voice:
        handler = durable()
        assert "later version" in voice.wait_for("spool")
        fresh = log(handler, "fresh", 50)
        assert handler.flush(10.0) is True
        handler.close()
    assert fresh == received(intake)
    assert before == file.read_bytes()


@pytest.mark.parametrize("jump", [-YEAR, YEAR, -1e9, 1e9])
@pytest.mark.parametrize("retry_for", [None, 3_600.0])
def test_a_clock_that_jumps(
    jump: float, retry_for: float | None, intake: LocalIntake, durable: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the system's clock is put forward or back, nothing is lost, and order is kept."""
    intake.fail_when(status=503)
    handler = durable(retry_for=retry_for, batch_events=10)
    messages = log(handler, "before", 50)
    wait_until_spooled(handler)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    messages += log(handler, "after", 50)
    wait_until_spooled(handler)
    wait_until(lambda: handler.stats().retries > 10)
    intake.heal()
    assert handler.flush(10.0) is True
    assert messages == received(intake)
    assert {} == dict(handler.stats().dropped)


def test_a_clock_that_jumps_all_the_time(intake: LocalIntake, durable: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is never the same twice makes no exception and stops nothing."""
    real, jumps = time.time, itertools.cycle([0.0, 1e9, -1e9, 5.0])
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    messages = leave_behind(durable, intake, "order", 100)
    handler = durable()
    intake.wait_for(100)
    assert messages == received(intake)
    assert handler.flush(10.0) is True


# ---- the threads go on


@pytest.mark.parametrize("method", ["unlink", "rename"])
def test_no_failure_of_the_file_system_ends_a_thread(
    method: str, intake: LocalIntake, durable: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When files can be neither removed nor renamed (read-only by now), fresh records are delivered all the same."""
    messages = leave_behind(durable, intake, "order", 20)
    if method == "rename":
        messages = []
        [file] = spools(folder)
        file.write_bytes(b"no database" * 1_000)

    def fails(*_: Any, **__: Any) -> None:
        raise PermissionError(30, "Read-only file system")

    threads: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", threads.append)
    with monkeypatch.context() as patch:
        patch.setattr(Path, method, fails)
        handler = durable()
        intake.wait_for(len(messages))
        messages += log(handler, "fresh", 20)
        assert handler.flush(10.0) is True
        looked = time.monotonic() + 0.2
        wait_until(lambda: time.monotonic() > looked)
        messages += log(handler, "later", 20)
        assert handler.flush(10.0) is True
        handler.close()
    assert sorted(messages) == sorted(received(intake))
    assert [] == threads


def test_no_file_is_forgotten_between_the_threads(folder: Path) -> None:
    """The listener retires a file that failed in the very moment in which the courier lets go of a delivered one."""
    spool = Spool(str(folder), "http://localhost", [], fsync=False, books=Books(), selflog=SelfLog("test", Books()))
    ended = threading.Event()

    def let_go() -> None:
        while not ended.is_set():
            spool.let_go_of_empty()

    courier = threading.Thread(target=let_go)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    courier.start()
    retired: list[Any] = [SimpleNamespace(count=1) for _ in range(100)]
    try:
        for file in retired:
            spool.own = file
            time.sleep(0)  # the courier's turn, until it is interrupted
            spool.retire_own()
    finally:
        ended.set()
        courier.join()
        sys.setswitchinterval(before)
    assert retired == spool.others


def test_statements_are_such_as_every_python_takes() -> None:
    """`?1` with a sequence of values is deprecated since Python 3.12, and refused by 3.14."""
    for module in (_spool_file, _spool_rows):
        source = Path(module.__file__).read_text("utf-8")
        assert "VALUES (?" in source
        assert [] == re.findall(r"\?\d", source)


def test_a_spooling_handler_says_nothing_of_itself(intake: LocalIntake, durable: Make) -> None:
    """With all in order, the logger `loghttp` is silent."""
    with listening() as voice:
        handler = durable()
        log(handler, "order", 100)
        assert handler.flush(10.0) is True
        handler.close()
    assert "" == voice.text
