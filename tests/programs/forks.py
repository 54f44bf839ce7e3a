"""A program that forks while its threads log at full speed: `python forks.py WAY`.

It prints what each thread of the parent has logged; what the children log the test knows.
"""

from __future__ import annotations

import json
import logging
import logging.config
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("shop")
in_callbacks: list[str] = []


def log_in_callback(message: str) -> None:
    """Called by the fork itself, at its three moments; registered before loghttp and, by a way, after it."""
    if in_callbacks:
        log.info("%s %s", message, in_callbacks[-1])


os.register_at_fork(
    before=lambda: log_in_callback("before"),
    after_in_parent=lambda: log_in_callback("in parent"),
    after_in_child=lambda: log_in_callback("in child"),
)

import loghttp  # noqa: E402  the order is the point

RECORDS = 5  # of each child
MOST = 2_000  # of each thread, so that the intake can follow


def attach(flush_interval: float = 0.05) -> loghttp.HumioHECHandler:
    """The handler of this process: inherited after a fork, made afresh in the other children."""
    for handler in log.handlers:
        if isinstance(handler, loghttp.HumioHECHandler):
            return handler
    handler = loghttp.HumioHECHandler(flush_interval=flush_interval, close_timeout=float(os.environ["CLOSE_TIMEOUT"]))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return handler


@contextmanager
def threads_that_log(forking: bool = True) -> Iterator[None]:
    """Two threads log as fast as they can; afterwards, how much it was is printed.

    Then they go on to take the books' lock, again and again, where this process may be forked while it is held.
    """
    end = threading.Event()
    counts = {"thread-0": 0, "thread-1": 0}

    def work(label: str) -> None:
        while counts[label] < MOST:
            log.info("%s %d", label, counts[label])
            counts[label] += 1
        while not (end.is_set() if forking else end.wait(0.001)):
            attach().stats()

    threads = [threading.Thread(target=work, args=(label,)) for label in counts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()
    print(json.dumps(counts))


def log_records(label: str) -> None:
    for n in range(RECORDS):
        log.info("%s %d", label, n)


def fork(work: Callable[[], None]) -> int:
    """Fork; the child does `work`, which ends it."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(99)
    return pid


def wait_for(pids: list[int]) -> None:
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert not any(statuses), statuses


# ---- the children of os.fork


def child_exits(label: str) -> None:
    stats = attach().stats()
    assert (stats.accepted, stats.pending, stats.requests, dict(stats.dropped)) == (0, 0, 0, {}), stats
    log_records(label)
    assert attach().stats().accepted == RECORDS
    sys.exit(0)


def child_flushes_and_leaves(label: str) -> None:
    log_records(label)
    handler = attach()
    delivered = handler.flush(10.0)
    stats = handler.stats()
    os._exit(0 if (delivered, stats.accepted, stats.delivered) == (True, RECORDS, RECORDS) else 98)


# ---- ways


def exits() -> None:
    attach()
    with threads_that_log():
        wait_for([fork(lambda c=c: child_exits(f"child-{c}")) for c in range(10)])


def exits_though_connections_are_locked() -> None:
    """The fork comes while urllib3 takes the courier's connection, or gives it back."""
    handler = attach()
    log.info("parent-0 0")
    assert handler.flush(10.0)
    session: Any = handler._line._courier._sender._session
    pools = session.get_adapter(os.environ["HUMIO_URL"]).poolmanager.pools
    (key,) = pools.keys()
    pools[key].pool.mutex.acquire()
    pid = fork(lambda: child_exits("child-0"))
    pools[key].pool.mutex.release()
    wait_for([pid])


def flushes_and_leaves() -> None:
    attach()
    with threads_that_log():
        wait_for([fork(lambda c=c: child_flushes_and_leaves(f"child-{c}")) for c in range(10)])


def forks_very_often() -> None:
    """Many forks, so that some happen in the middle of each thing that threads do under a lock."""
    attach()
    with threads_that_log():
        for first in range(0, 100, 10):
            wait_for([fork(lambda c=c: child_flushes_and_leaves(f"child-{c}")) for c in range(first, first + 10)])


def forks_with_callbacks() -> None:
    attach()
    with threads_that_log():
        for first in range(0, 60, 10):
            pids = []
            for c in range(first, first + 10):
                in_callbacks[:] = [f"callback-{c}"]
                pids.append(fork(lambda: (attach().flush(10.0), os._exit(0))))
            wait_for(pids)
        in_callbacks.clear()


def forks_while_much_is_pending() -> None:
    """Nothing leaves before the end of the processes, each of which has to send its own records only."""
    attach(flush_interval=60)
    for n in range(200):
        log.info("parent %d", n)
    wait_for([fork(lambda c=c: child_exits(f"child-{c}")) for c in range(3)])
    wait_for([fork(lambda: sys.exit(0)) for _ in range(2)])


def forks_after_close() -> None:
    handler = attach()
    log.info("parent 0")
    handler.close()
    wait_for([fork(lambda c=c: child_exits(f"child-{c}")) for c in range(3)])
    log.info("parent 1")


def forks_in_the_middle_of_put(where: str) -> None:
    """A signal handler forks, before a record is appended or just after; then the child, too, goes on in there."""
    handler = attach()
    log.info("parent 0")
    buffer, pids = handler._line.buffer, []
    signal.signal(signal.SIGUSR1, lambda *_: pids.append(os.fork()))
    room = buffer._inbox.room

    class RaisesBefore(type(buffer._inbox)):  # type: ignore[misc]  # the class of what is there
        @property
        def room(self) -> int:
            if not pids:
                signal.raise_signal(signal.SIGUSR1)
            return room

        @room.setter
        def room(self, _: int) -> None:
            """As it is."""

    class RaisesAfter(type(buffer._inbox)):  # type: ignore[misc]  # the class of what is there
        @property
        def calm(self) -> int:
            if not pids:
                signal.raise_signal(signal.SIGUSR1)
            return 0

        @calm.setter
        def calm(self, _: int) -> None:
            """As it is."""

    inbox_class = type(buffer._inbox)
    buffer._inbox.__class__ = RaisesBefore if where == "before" else RaisesAfter
    log.info("parent 1")
    if pids == [0]:
        child_exits("child-0")
    buffer._inbox.__class__ = inbox_class
    wait_for(pids)


def child_forks_again() -> None:
    attach()

    def child() -> None:
        log_records("child-0")
        wait_for([fork(lambda: child_exits("child-1"))])
        sys.exit(0)

    with threads_that_log():
        wait_for([fork(child)])


def forks_while_logging_is_configured() -> None:
    """Another thread calls dictConfig all the time, which holds logging's lock, as the fork itself does."""
    end = threading.Event()

    def configure() -> None:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {"http": {"class": "loghttp.HumioHECHandler", "flush_interval": 0.01, "close_timeout": 10}},
                "root": {"level": "INFO", "handlers": ["http"]},
            }
        )

    def work() -> None:
        while not end.is_set():
            log.info("configured")
            configure()

    def child(c: int) -> None:
        log_records(f"child-{c}")
        [handler] = logging.getLogger().handlers
        os._exit(0 if handler.flush() is not False else 98)

    configure()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for first in range(0, 60, 10):
            wait_for([fork(lambda c=c: child(c)) for c in range(first, first + 10)])
    finally:
        end.set()
        thread.join()


# ---- the standard library's ways to fork


def process_work(label: str) -> None:
    attach()
    log_records(label)


def processes(method: str) -> None:
    attach()
    context = multiprocessing.get_context(method)
    with threads_that_log(method == "fork"):
        children = [context.Process(target=process_work, args=(f"child-{c}",)) for c in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    assert [child.exitcode for child in children] == [0] * 4


def executor(method: str) -> None:
    attach()
    context = multiprocessing.get_context(method)
    with threads_that_log(method == "fork"), ProcessPoolExecutor(2, mp_context=context) as workers:
        list(workers.map(process_work, [f"child-{c}" for c in range(10)]))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
