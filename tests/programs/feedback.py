"""Programs that log at DEBUG with our handler on the root logger: `python feedback.py WAY`, which prints JSON."""

from __future__ import annotations

import faulthandler
import gc
import json
import locale
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import requests
import urllib3

root = logging.getLogger()
URL = os.environ["HUMIO_URL"]
ROUNDS = 20


def state() -> dict[str, Any]:
    """All that belongs to the program, as far as a library could lay hands on it."""
    loggers = {
        name: (logger.level, logger.propagate, logger.disabled, [repr(f) for f in logger.filters])
        for name, logger in logging.Logger.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and not name.startswith("loghttp")
    }
    return {
        "loggers": loggers,
        "root": (root.level, root.disabled, [repr(f) for f in root.filters]),
        "logging": [
            repr(thing)
            for thing in (
                logging.raiseExceptions,
                logging.lastResort,
                logging.root.manager.disable,
                logging.getLoggerClass(),
                logging.getLogRecordFactory(),
                logging.Logger.isEnabledFor,
                logging.Logger.handle,
                logging.Logger.callHandlers,
                logging.Handler.handle,
                logging.logThreads,
                logging.logProcesses,
                {logging.getLevelName(level) for level in range(60)} and sorted(logging._levelToName.items()),
            )
        ],
        "warnings": [repr(entry) for entry in warnings.filters],
        "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "hooks": [
            repr(thing)
            for thing in (
                sys.excepthook,
                threading.excepthook,
                sys.unraisablehook,
                sys.displayhook,
                sys.gettrace(),
                sys.getprofile(),
                warnings.showwarning,
            )
        ],
        "interpreter": [
            sys.getswitchinterval(),
            sys.getrecursionlimit(),
            socket.getdefaulttimeout(),
            gc.get_threshold(),
            faulthandler.is_enabled(),
            locale.setlocale(locale.LC_ALL),
            str(Path.cwd()),
            sorted(os.environ),
            [repr(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
            tempfile.tempdir,
            repr(requests.Session.send),
            repr(urllib3.connectionpool.HTTPConnectionPool.urlopen),
        ],
    }


def attach(**options: Any) -> Any:
    import loghttp

    handler = loghttp.HumioHECHandler(close_timeout=float(os.environ["CLOSE_TIMEOUT"]), **options)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    return handler


def stats(*handlers: Any) -> list[dict[str, Any]]:
    books = [handler.stats() for handler in handlers]
    return [
        {"accepted": one.accepted, "delivered": one.delivered, "pending": one.pending, "dropped": dict(one.dropped)}
        for one in books
    ]


def delivers() -> None:
    """Each record leaves by itself; had its POST made a record, there would be more of them each round."""
    handler = attach()
    for n in range(ROUNDS):
        root.debug("record %d", n)
        assert handler.flush(10.0)
    print(json.dumps(stats(handler)))


def delivers_to_both() -> None:
    """Two handlers, each of which could take in what the other's threads say."""
    import loghttp

    handler = attach()
    other = loghttp.SekoiaHandler()
    root.addHandler(other)
    for n in range(ROUNDS):
        root.debug("record %d", n)
        assert handler.flush(10.0)
        assert other.flush(10.0)
    print(json.dumps(stats(handler, other)))


def fails_and_delivers() -> None:
    """The intake refuses for a while, and loghttp says so on its own logger, under the same root."""
    handler = attach(retry_wait_max=0.01)
    root.debug("record 0")
    assert handler.flush(10.0)
    print(json.dumps(stats(handler)))


def logs_first_at_exit() -> None:
    """The request is then made on the program's own thread, whose records are the program's at any other time."""
    import atexit

    attach()
    atexit.register(root.debug, "record 0")


def sends_requests_of_its_own() -> None:
    """The program uses requests and urllib3 itself, in threads of its own, and wants their DEBUG lines."""
    handler = attach(flush_interval=0.01)

    def work() -> None:
        requests.get(f"{URL}/of-the-program", timeout=10)

    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with urllib3.PoolManager() as pool:
        pool.request("GET", f"{URL}/of-the-program", retries=False)
    handler.flush(10.0)
    print(json.dumps(stats(handler)))


def stands_beside_a_console() -> None:
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(threadName)s %(name)s %(message)s"))
    root.addHandler(console)
    attach(flush_interval=0.01)
    for n in range(300):
        root.debug("record %d", n)
    requests.get(f"{URL}/of-the-program", timeout=10)


def imports() -> None:
    before = state()
    import loghttp  # noqa: F401

    print(json.dumps([before, state()]))


def uses() -> None:
    root.setLevel(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.INFO)
    logging.getLogger("urllib3.connectionpool").propagate = False
    logging.getLogger("requests").setLevel(logging.CRITICAL)
    warnings.filterwarnings("error", message="the program's own")
    signal.signal(signal.SIGTERM, lambda *_: None)
    requests.get(f"{URL}/of-the-program", timeout=10)
    before = state()
    handler = attach(retry_wait_max=0.01)
    for n in range(20):
        root.error("record %d", n)
    assert handler.flush(10.0)
    during = state()
    handler.close()
    root.error("record 20")
    logging.shutdown()
    print(json.dumps([before, during, state()]))


def takes_its_time() -> None:
    """An idle handler must not send by itself, which four peers did each interval for ever."""
    handler = attach(flush_interval=0.01)
    root.debug("record 0")
    assert handler.flush(10.0)
    time.sleep(0.5)  # fifty intervals; there is nothing that could be waited for
    print(json.dumps(stats(handler)))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
