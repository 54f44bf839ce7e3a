"""Programs with a spool: `python durable.py WAY OPTIONS`; OPTIONS is a JSON object, mostly the handler's own options.

What a program has to say, it writes to stdout as lines of JSON, by one system call each, so that nothing that
was said is lost with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import loghttp
from loghttp import _durable, _sender, _spooling  # noqa: F401  imported before memory, files or rights are taken away

log = logging.getLogger("shop")
log.setLevel(logging.INFO)


Handler = loghttp.HumioHECHandler | loghttp.SekoiaHandler


def attach(*, kind: str = "HumioHECHandler", look_every: float = 0.1, **options: Any) -> Handler:
    """The handler: patient, quick to look for files of the dead, and with a short end."""
    _spooling.LOOK_EVERY = look_every  # type: ignore[misc]
    given = {"flush_interval": 0.01, "retry_wait_max": 0.05, "close_timeout": 1.0, **options}
    handler: Handler = getattr(loghttp, kind)(**given)
    log.addHandler(handler)
    return handler


def say(*what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def log_records(label: str, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        log.info("%s %d", label, n)


def wait_until(true: Callable[[], Any], timeout: float = 15.0) -> None:
    until = time.monotonic() + timeout
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(str([handler.stats() for handler in log.handlers]))  # type: ignore[attr-defined]
        time.sleep(0.005)


def is_spooled(handler: Handler) -> bool:
    """Is all that was logged on disk, or gone?"""
    stats = handler.stats()
    return stats.spooled == stats.pending


def books(handler: Handler) -> dict[str, Any]:
    stats = handler.stats()
    return {
        "accepted": stats.accepted,
        "delivered": stats.delivered,
        "pending": stats.pending,
        "spooled": stats.spooled,
        "dropped": dict(stats.dropped),
    }


# ---- lives that end by SIGKILL


def nursery() -> None:
    """Fork a process for each line on stdin, `[run, way, options]`; or wait for the end of one, for `["reap", pid]`.

    A process that has imported all and has no thread yet is much quicker to fork than to start.
    """
    for line in sys.stdin:
        run, *rest = json.loads(line)
        if run == "reap":
            say("ended", rest[0], os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1]))
            continue
        way, options = rest
        pid = os.fork()
        if pid == 0:
            globals()[way](run, **options)
            os._exit(0)
        say("started", run, pid)


def logs_steadily(run: int, rate: float = 1_000.0, **options: Any) -> None:
    """Log numbered records for ever, and say each number when `logger.info` has returned."""
    attach(headers={"X-Run": str(run)}, **options)
    began = time.monotonic()
    n = 0
    while True:
        log.info("%d %d", run, n)
        say("logged", run, n, time.monotonic())
        n += 1
        time.sleep(max(0.0, began + n / rate - time.monotonic()))


def lives(run: int, **options: Any) -> None:
    """Log nothing, deliver what is found, and be killed."""
    attach(headers={"X-Run": str(run)}, **options)
    signal.pause()


def drains(run: int, patience: float = 60.0, **options: Any) -> None:
    """Log nothing, and leave when nobody else's file is in the folder."""
    handler = attach(headers={"X-Run": str(run)}, **options)
    wait_until(lambda: not _others(options["spool_dir"]) and not handler.stats().pending, patience)
    handler.close()


def _others(folder: str) -> list[str]:
    """The spool files in a folder that are not this process's own."""
    return [path.name for path in Path(folder).glob("*.spool") if f"-{os.getpid()}-" not in path.name]


# ---- ends of one process with 100 records on disk


def _spooled(**options: Any) -> Handler:
    handler = attach(**options)
    log_records("record", 100)
    wait_until(lambda: is_spooled(handler))
    return handler


def returns(**options: Any) -> None:
    say(books(_spooled(**options)))


def is_terminated(**options: Any) -> None:
    _spooled(**options)
    os.kill(os.getpid(), signal.SIGTERM)


def leaves(**options: Any) -> None:
    _spooled(**options)
    os._exit(4)


def crashes(**options: Any) -> None:
    _spooled(**options)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def aborts(**options: Any) -> None:
    _spooled(**options)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def runs_out_of_memory(**options: Any) -> None:
    """An own MemoryError, uncaught, with the limit in force until the end."""
    _spooled(**options)
    _limit_memory()
    hoard = []
    while True:
        hoard.append(bytearray(1_000_000))


def goes_on_after_a_memory_error(**options: Any) -> None:
    """Log while no memory is left at all, then give it back and log again."""
    logging.raiseExceptions = False  # as in production: logging itself prints no traceback for each
    handler = _spooled(**options)
    unlimited = _limit_memory()
    hoard: list[Any] = []
    for size in (1_000_000, 10_000, 500):
        with contextlib.suppress(MemoryError):
            while True:
                hoard.append(bytearray(size))
    with contextlib.suppress(MemoryError):  # of the program itself, before it comes to us
        for n in range(100):
            log.info("starved %d", n)
            time.sleep(0.001)
    hoard.clear()
    resource.setrlimit(resource.RLIMIT_AS, unlimited)
    log_records("fed", 100)
    say(handler.flush(10.0), books(handler))


def _limit_memory() -> tuple[int, int]:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 20_000_000, limits[1]))
    return limits


# ---- disks that fail


def fills_the_disk(file_bytes: int = 0, **options: Any) -> None:
    """Log more than the disk takes, while the intake is down, wait for a line on stdin, and go on until all is through.

    `file_bytes` makes a small disk by RLIMIT_FSIZE; without it the folder is on one.
    """
    if file_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    voice = _Voice()
    handler = attach(**options)
    noise = "x" * 1_000
    for n in range(2_000):
        log.info("record %d", n, extra={"noise": noise})
    wait_until(lambda: any("spool" in line for line in voice.lines))
    say(books(handler), voice.lines)
    sys.stdin.readline()
    delivered = handler.flush(15.0)
    began = time.process_time(), time.monotonic()
    time.sleep(0.3)  # an idle process: does it idle?
    busy = (time.process_time() - began[0]) / (time.monotonic() - began[1])
    say(delivered, books(handler), busy)
    log_records("afterwards", 10)
    say(handler.flush(10.0), books(handler))


def loses_its_rights(**options: Any) -> None:
    """Become a user who may not write in the folder, in the middle of all."""
    folder = Path(options["spool_dir"])
    voice = _Voice()
    handler = _spooled(**options)
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    sys.stdin.readline()  # until the intake is up
    say(handler.flush(10.0), books(handler))
    time.sleep(0.15)  # it looks again for files, and finds its own empty
    log_records("afterwards", 100)
    say(handler.flush(10.0), books(handler), voice.lines)


def keeps_few_files_open(files: int, **options: Any) -> None:
    """Adopt the files of many dead processes, with few descriptors to be had."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    handler = attach(**options)
    failures = 0
    until = time.monotonic() + 15.0
    while time.monotonic() < until:
        try:
            if not _others(options["spool_dir"]):
                break
        except OSError as error:
            failures += error.errno == errno.EMFILE
        time.sleep(0.001)
    say(failures, handler.flush(10.0), books(handler))


class _Voice(logging.Handler):
    """Hears the logger `loghttp`."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        logging.getLogger("loghttp").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


# ---- forks


def forks_while_threads_log(forks: int, **options: Any) -> None:
    """Each child delivers its own five records and leaves; the parent's threads log all the time."""
    handler = attach(**options)
    end = threading.Event()
    counts = {"thread-0": 0, "thread-1": 0}

    def work(label: str) -> None:
        while not end.is_set():
            log.info("%s %d", label, counts[label])
            counts[label] += 1
            time.sleep(0.0005)

    threads = [threading.Thread(target=work, args=(label,)) for label in counts]
    for thread in threads:
        thread.start()
    statuses = []
    for first in range(0, forks, 10):
        pids = [_fork_a_child(f"child-{c}", handler) for c in range(first, min(first + 10, forks))]
        statuses += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    end.set()
    for thread in threads:
        thread.join()
    handler.flush(10.0)
    handler.close()
    say(counts, sorted(set(statuses)), books(handler))


def _fork_a_child(label: str, handler: Handler) -> int:
    pid = os.fork()
    if pid == 0:
        log_records(label, 5)
        delivered = handler.flush(10.0)
        stats = handler.stats()
        handler.close()
        os._exit(0 if (delivered, stats.accepted, stats.delivered) == (True, 5, 5) else 98)
    return pid


def is_killed_while_its_child_lives(**options: Any) -> None:
    """The parent has records on disk and dies; its forked child lives on and does not keep the file to itself."""
    _spooled(**options)
    pid = os.fork()
    if pid == 0:
        say("child", os.getpid())
        sys.stdin.readline()  # until the test has seen enough
        os._exit(0)
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def worker(label: str, options: dict[str, Any]) -> None:
    handler = attach(**options)
    slowest = 0.0
    for n in range(500):
        began = time.monotonic()
        log.info("%s %d", label, n)
        slowest = max(slowest, time.monotonic() - began)
    handler.flush(20.0)
    handler.close()
    say(books(handler), slowest)


def has_workers(method: str, count: int = 8, **options: Any) -> None:
    """Workers on one folder; they flush, close and end."""
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=worker, args=(f"worker-{c}", options)) for c in range(count)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    assert [0] * count == [process.exitcode for process in workers]


def child_of(label: str) -> None:
    log_records(label, 20)


def inherits(method: str, **options: Any) -> None:
    """Children of multiprocessing that inherit the handler, while the parent's records wait on disk."""
    _spooled(**options)
    context = multiprocessing.get_context(method)
    children = [context.Process(target=child_of, args=(f"child-{c}",)) for c in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    say([child.exitcode for child in children])


if __name__ == "__main__":
    globals()[sys.argv[1]](**json.loads(sys.argv[2]))
