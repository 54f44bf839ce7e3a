"""A notebook's cell that configures logging, run twenty times over: `python notebook.py WAY`.

It prints how many threads there are afterwards, once those of handlers that were let go have ended.
"""

from __future__ import annotations

import logging
import logging.config
import sys
import threading
import time

import loghttp


def dict_config() -> None:
    handlers = {"humio": {"class": "loghttp.HumioHECHandler", "flush_interval": 60}}
    logging.config.dictConfig({"version": 1, "handlers": handlers, "root": {"handlers": ["humio"], "level": "INFO"}})


def basic_config() -> None:
    humio = loghttp.HumioHECHandler(flush_interval=60)
    logging.basicConfig(level=logging.INFO, handlers=[humio], format="%(message)s", force=True)


def assignment() -> None:
    """The old handler is neither closed nor removed, only let go."""
    logging.getLogger().handlers = [loghttp.HumioHECHandler(flush_interval=60)]
    logging.getLogger().setLevel(logging.INFO)


if __name__ == "__main__":
    for run in range(20):
        globals()[sys.argv[1]]()
        logging.info("run %d", run)
    deadline = time.monotonic() + 10
    while threading.active_count() > 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(threading.active_count())
