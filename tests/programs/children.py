"""A program whose work is done by children of multiprocessing: `python children.py WHAT START_METHOD [WAY]`.

`WAY` is how the children end. All are waited for, so that each has its own end and none is killed.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

import loghttp

log = logging.getLogger("shop")


def attach() -> loghttp.HumioHECHandler:
    """The handler of this process: inherited after a fork, made afresh in the other children."""
    for handler in log.handlers:
        if isinstance(handler, loghttp.HumioHECHandler):
            return handler
    handler = loghttp.HumioHECHandler(flush_interval=60, close_timeout=float(os.environ["CLOSE_TIMEOUT"]))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return handler


def log_records(label: str, first: int = 0, last: int = 20) -> None:
    for n in range(first, last):
        log.info("%s %d", label, n)


# ---- how children end


def returns(label: str) -> None:
    attach()
    log_records(label)


def exits(label: str) -> None:
    attach()
    log_records(label)
    sys.exit(3)


def raises(label: str) -> None:
    attach()
    log_records(label)
    raise RuntimeError("the child's own fault")


def is_terminated(label: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    attach()
    log_records(label)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def flushes_and_leaves(label: str) -> None:
    handler = attach()
    log_records(label)
    handler.flush()
    os._exit(4)


def task(n: int) -> int:
    attach()
    log.info("task %d", n)
    return n


# ---- what the parent does; it has records pending while it forks


def processes(method: str, way: str) -> None:
    context = multiprocessing.get_context(method)
    log_records("parent", 0, 10)
    children = [context.Process(target=globals()[way], args=(f"child-{c}",)) for c in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    log_records("parent", 10, 20)
    print(json.dumps([child.exitcode for child in children]))


def pool(method: str) -> None:
    log_records("parent", 0, 10)
    workers = multiprocessing.get_context(method).Pool(2)
    workers.map(task, range(20))
    workers.close()
    workers.join()
    log_records("parent", 10, 20)


def executor(method: str) -> None:
    log_records("parent", 0, 10)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as workers:
        list(workers.map(task, range(20)))
    log_records("parent", 10, 20)


def grandchildren(method: str) -> None:
    """A child that has a child; each logs, the parent before and after."""
    context = multiprocessing.get_context(method)

    def child() -> None:
        log_records("child", 0, 10)
        process = context.Process(target=log_records, args=("grandchild",))
        process.start()
        process.join()
        log_records("child", 10)

    log_records("parent", 0, 10)
    process = context.Process(target=child)
    process.start()
    process.join()
    log_records("parent", 10)


def grandchildren_that_log_first_in_a_callback(method: str) -> None:
    """The same, but each child's first record comes from the fork itself, before multiprocessing has prepared it."""
    parent = os.getpid()
    os.register_at_fork(
        after_in_child=lambda: log.info("callback of the %s", "child" if os.getppid() == parent else "grandchild")
    )
    grandchildren(method)


if __name__ == "__main__":
    attach()
    globals()[sys.argv[1]](*sys.argv[2:])
