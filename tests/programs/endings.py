"""Ways in which programs end: `python endings.py WAY` logs `record 0`, `record 1`, ... and ends that way.

The test knows how many records each way logs, and with which status it ends.
"""

from __future__ import annotations

import atexit
import gc
import json
import logging
import logging.config
import os
import signal
import sys
import threading
from collections.abc import Callable

last_calls: list[Callable[[], None]] = []


@atexit.register
def make_last_calls() -> None:
    """Registered before loghttp is imported, hence called after loghttp's own callback."""
    for call in last_calls:
        call()


import loghttp  # noqa: E402  the order is the point

log = logging.getLogger("shop")
CLOSE_TIMEOUT = float(os.environ["CLOSE_TIMEOUT"])


def attach() -> loghttp.HumioHECHandler:
    """Nothing leaves by itself for a minute, but for errors: the end has to deliver."""
    handler = loghttp.HumioHECHandler(flush_interval=60, close_timeout=CLOSE_TIMEOUT)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    return handler


def log_records(first: int, last: int, level: int = logging.INFO) -> None:
    for n in range(first, last):
        log.log(level, "record %d", n)


# ---- the program's own end


def returns() -> None:
    attach()
    log_records(0, 300)


def returns_while_sending() -> None:
    attach()
    log_records(0, 300, logging.ERROR)


def closes() -> None:
    handler = attach()
    log_records(0, 300)
    handler.close()


def closes_and_logs_again() -> None:
    handler = attach()
    log_records(0, 150)
    handler.close()
    log_records(150, 300)


def shuts_logging_down() -> None:
    attach()
    log_records(0, 300)
    logging.shutdown()


def shuts_logging_down_while_sending() -> None:
    attach()
    log_records(0, 300, logging.ERROR)
    logging.shutdown()


def exits_in_main() -> None:
    attach()
    log_records(0, 300)
    sys.exit(7)


def exits_in_a_thread() -> None:
    attach()

    def work() -> None:
        log_records(0, 300)
        sys.exit(7)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def raises() -> None:
    attach()
    log_records(0, 300)
    raise RuntimeError("the program's own fault")


def raises_in_a_thread() -> None:
    attach()

    def work() -> None:
        log_records(0, 300)
        raise RuntimeError("the program's own fault")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def is_terminated() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    attach()
    log_records(0, 300)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()


def is_terminated_and_logs_it() -> None:
    def say_goodbye(*_: object) -> None:
        log_records(300, 301)
        sys.exit(143)

    signal.signal(signal.SIGTERM, say_goodbye)
    attach()
    log_records(0, 300)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()


def is_interrupted() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    attach()
    log_records(0, 300)
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()


# ---- records that come when all is over


def logs_in_atexit_before_loghttps() -> None:
    attach()
    log_records(0, 10)
    atexit.register(log_records, 10, 40)


def logs_in_atexit_after_loghttps() -> None:
    attach()
    log_records(0, 10)
    last_calls.append(lambda: log_records(10, 40))


def logs_first_in_atexit_before_loghttps() -> None:
    attach()
    atexit.register(log_records, 0, 30)


def logs_first_in_atexit_after_loghttps() -> None:
    attach()
    last_calls.append(lambda: log_records(0, 30))


def is_made_in_atexit() -> None:
    def work() -> None:
        attach()
        log_records(0, 30)

    last_calls.append(work)


class Late:
    """Logs when it dies, which for a global is after all atexit callbacks."""

    def __init__(self, first: int, last: int) -> None:
        self.log_records, self.first, self.last = log_records, first, last

    def __del__(self) -> None:
        self.log_records(self.first, self.last)


kept: list[Late] = []


def logs_in_del() -> None:
    attach()
    log_records(0, 10)
    kept.append(Late(10, 30))


def logs_first_in_del() -> None:
    attach()
    kept.append(Late(0, 20))


def logs_in_del_of_a_cycle() -> None:
    gc.disable()  # or it may die on a daemon thread, which the interpreter's end stops in the middle of its `__del__`
    attach()
    log_records(0, 10)
    late = Late(10, 30)
    late.itself = late  # type: ignore[attr-defined]


def outlive_main(*calls: Callable[[], None]) -> None:
    def work() -> None:
        threading.main_thread().join()
        for call in calls:
            call()

    threading.Thread(target=work).start()


def has_a_thread_that_outlives_main() -> None:
    attach()
    log_records(0, 10)
    outlive_main(lambda: log_records(10, 300))


def has_a_thread_that_logs_first_after_main() -> None:
    attach()
    outlive_main(lambda: log_records(0, 30))


def has_a_thread_that_closes_after_main() -> None:
    handler = attach()
    log_records(0, 10)
    outlive_main(lambda: log_records(10, 20), handler.close, lambda: log_records(20, 30))


# ---- a second dictConfig


class Witness(logging.Filter):
    """Says which records were handed to the handler: a thread may log while dictConfig has none in place."""

    seen: list[str] = []  # noqa: RUF012  all witnesses write into one

    def filter(self, record: logging.LogRecord) -> bool:
        self.seen.append(record.getMessage())
        return True


def configure() -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"witness": {"()": Witness}},
            "handlers": {
                "http": {
                    "class": "loghttp.HumioHECHandler",
                    "flush_interval": 60,
                    "close_timeout": CLOSE_TIMEOUT,
                    "filters": ["witness"],
                }
            },
            "root": {"level": "DEBUG", "handlers": ["http"]},
        }
    )


def configures_twice() -> None:
    configure()
    log_records(0, 150)
    configure()
    log_records(150, 300)


def configures_twice_while_sending() -> None:
    configure()
    log_records(0, 150, logging.ERROR)
    configure()
    log_records(150, 300)


def configures_twice_while_threads_log() -> None:
    log.setLevel(logging.DEBUG)
    configure()
    end = threading.Event()

    def work(label: str) -> None:
        for n in range(2_000):
            logging.getLogger(f"shop.{label}.{n % 50}").error("%s %d", label, n)  # new loggers need the lock, too
            if end.wait(0.0001):
                return

    threads = [threading.Thread(target=work, args=(f"thread-{t}",)) for t in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        log.error("now")
        configure()
    end.set()
    for thread in threads:
        thread.join()
    print(json.dumps(Witness.seen))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
