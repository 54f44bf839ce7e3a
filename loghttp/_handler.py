"""The only door for the program's threads: filter, capture, put.

Rule: nothing is raised into the program and nothing waits, except `close` and `flush` until their deadline,
and `overflow="block"` where the user chose it. `Handler.lock` is never taken: `logging.shutdown` and
`dictConfig` hold locks while they close handlers, which our own threads may need (cpython#91555).
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import sys
import threading
import time
import weakref
from threading import get_ident
from typing import Any

from loghttp._capture import Bare, Captured, capture, capture_plain, named
from loghttp._checks import YEAR
from loghttp._checks import level as checked_level
from loghttp._entry import Reader
from loghttp._line import Line, forget_lines
from loghttp._logginglock import logging_lock_released
from loghttp._options import Delivery
from loghttp._selflog import LOGGER_NAME, forget_parent, in_finalizer, lost_at_exit, on_own_thread, own_threads
from loghttp._stats import Books, Stats
from loghttp._uwsgi import home
from loghttp.intakes import Intake

_handlers: weakref.WeakSet[HTTPHandler] = weakref.WeakSet()

_PATIENCE: float = 1.0  # seconds after a flush in vain in which `close` does not wait as long once more
_LAST_ATTEMPT: float = 1.0  # seconds that it then takes: `logging.shutdown` calls the one after the other


class HTTPHandler(logging.Handler):
    """What both handlers are: a `logging.Handler` in front of a line to one intake."""

    def __init__(self, intake: Intake, reader: Reader, options: Delivery, level: int | str) -> None:
        home.settle(renew=_after_fork_in_child)
        self._intake = intake
        self._reader = reader
        super().__init__(checked_level("level", level))
        self._options = options
        self._flushed_in_vain = float("-inf")
        self._let_go = weakref.finalize(self, int)
        self._begin()
        _handlers.add(self)
        if self._line.buffer.has_backlog():
            self._line.start()

    def _begin(self) -> None:
        """Start with empty books: when the handler is made, and in a new process after a fork."""
        self._opening = threading.RLock()  # held while a closed line is replaced
        self._books = Books()
        self._line = self._new_line()

    def _begin_in_child(self) -> None:
        already_put = self._line.buffer.put_in_process(os.getpid())
        self._begin()
        for record in already_put:
            self._line.put(record.numbered(self._books.next_number()))
            self._line.start()

    def _new_line(self) -> Line:
        handler = weakref.ref(self)  # the line's threads must not keep a handler alive that nobody holds

        def handle_error(record: logging.LogRecord) -> None:
            if (alive := handler()) is not None:
                alive.handleError(record)

        line = Line(
            who=type(self).__name__,
            intake=self._intake,
            reader=self._reader,
            options=self._options,
            books=self._books,
            handle_error=handle_error,
        )
        self._let_go.detach()
        self._let_go = weakref.finalize(self, line.buffer.close)  # ... and end when it goes
        self._let_go.atexit = False
        return line

    # ---- logging's interface

    @property
    def formatter(self) -> logging.Formatter | None:
        """The formatter, or None for loghttp's own; see the README for what runs on which thread."""
        return self._formatter

    @formatter.setter
    def formatter(self, formatter: logging.Formatter | None) -> None:
        if type(formatter) is logging.Formatter and (formatter._fmt, formatter.datefmt) == (logging.BASIC_FORMAT, None):
            formatter = None  # nobody chose it: `logging.basicConfig` gives it to each handler that has none
        self._formatter = formatter
        # A user's own subclass may read request context (Flask's documented RequestFormatter does), which
        # exists on the calling thread only; the well-known classes read nothing but the record.
        self._site_of = self._reader.site_of if formatter is None else None
        known = formatter is None or type(formatter) is logging.Formatter
        self._formats_here = not (known or type(formatter).__module__.startswith("pythonjsonlogger."))

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and take in a record, without a lock; returns whether the filters let it pass."""
        try:
            if get_ident() in own_threads and not in_finalizer():
                return False
            if self.filters:
                if record.name == LOGGER_NAME:  # `emit` refuses it; but a filter may not know it
                    return False
                passed: Any = self.filter(record)
                if not passed:
                    return False
                if isinstance(passed, logging.LogRecord):  # since 3.12 a filter may put another there
                    record = passed
        except Exception:  # noqa: BLE001  a user's filter, or a record without a name
            self._lose(record)
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a record: captured as it is now, sent later. Never raises."""
        captured: Bare | Captured | None = None
        if (site_of := self._site_of) is not None:
            captured = capture_plain(record, site_of, self._books.next_number)
        if captured is None:
            try:
                if record.name == LOGGER_NAME:  # our own lines would feed themselves
                    return
                formatter = self._formatter
                text = formatter.format(copy.copy(record)) if formatter and self._formats_here else None
                captured = capture(record, formatter, text)
                captured.sequence = self._books.next_number()
            except Exception:  # noqa: BLE001  a user's formatter, or a LogRecord that lacks what all have
                self._lose(record)
                return
        line = self._line
        put = line.put  # it is no method, which CPython 3.11 calls faster by a name
        while not put(captured):
            if sys.is_finalizing():  # a `__del__` at the very end: nothing is left to send it with
                self._books.never_left(named(captured).when, "shutdown")
                lost_at_exit(type(self).__name__, 1)
                return
            line = self._reopen()
            put = line.put
        if not line.started:
            self._start(line)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # says more than None
        """Wait until every record accepted before this call is delivered or dropped.

        `timeout` is in seconds; None stands for `close_timeout`, because `logging.shutdown` calls `flush()`
        and the end of a program must not wait for an intake that is down. Returns False when time was up.
        """
        line = self._line
        if not line.started:
            return self.stats().pending == 0
        if on_own_thread():
            return False  # it would wait for itself
        marker = line.mark()
        with logging_lock_released():
            marker.passed.wait(self._options.close_timeout if timeout is None else min(max(0.0, timeout), YEAR))
        line.withdraw(marker)
        if not marker.in_time and timeout is None:
            self._flushed_in_vain = time.monotonic()
        return marker.in_time

    def close(self) -> None:
        """Deliver what is pending, for at most `close_timeout` seconds; what then remains is counted as dropped.

        A record logged after this opens the handler again.
        """
        just_waited = time.monotonic() - self._flushed_in_vain < _PATIENCE
        timeout = self._options.close_timeout
        self._line.close(min(timeout, _LAST_ATTEMPT) if just_waited else timeout)
        super().close()

    def stats(self) -> Stats:
        """The books, as a snapshot. `repr(handler.stats())` is made to be read."""
        return self._books.stats()

    def __repr__(self) -> str:
        if "_intake" not in vars(self):  # a constructor raised, and something shows its local variables
            return f"<{type(self).__name__} (not configured)>"
        return f"<{type(self).__name__} {self._intake.url} ({logging.getLevelName(self.level)})>"

    # ---- within

    def _start(self, line: Line) -> None:
        global get_ident  # noqa: PLW0603  looked up once, for `handle` is in a hurry
        if not line.outdated:
            line.start()
            return
        # A worker of gunicorn's that was forked with the application imported, and patched then.
        get_ident = threading.get_ident
        self._begin_in_child()

    def _lose(self, record: logging.LogRecord) -> None:
        """A user's filter or formatter raised: logging's own way of telling it, and the books."""
        created = getattr(record, "created", None)
        self._books.never_left(created if type(created) is float else time.time())
        with contextlib.suppress(Exception):  # it prints attributes that this record may not have
            self.handleError(record)

    def _reopen(self) -> Line:
        with self._opening:
            if self._line.closed:
                self._line = self._new_line()
            return self._line


_held_for_fork: dict[int, list[Any]] = {}  # locks, by thread: programs do fork in several at once


def _before_fork() -> None:
    """Hold the books' locks, so that no other thread holds one for ever in the child.

    Only callbacks that run before ours in the child could meet such a lock (datadogpy PR#989): for them it
    is now held by their own thread, and re-entrant.
    """
    locks = _held_for_fork.setdefault(threading.get_ident(), [])
    logging_lock: Any = vars(logging)["_lock"]
    # In this order everywhere: `dictConfig` holds logging's lock when it closes a handler. Without it, none.
    if not logging_lock.acquire(timeout=1.0):
        return
    locks.append(logging_lock)
    if (spool_file := sys.modules.get("loghttp._spool_file")) is not None and spool_file.disk().acquire(timeout=6.0):
        locks.append(spool_file.disk())
    for handler in list(_handlers):
        lock = handler._books.lock
        if lock.acquire(timeout=1.0):
            locks.append(lock)


def _after_fork_in_parent() -> None:
    for lock in reversed(_held_for_fork.pop(threading.get_ident(), [])):
        lock.release()


def _after_fork_in_child() -> None:
    """Start afresh: the parent's records are sent by the parent alone, and its threads do not exist here."""
    _held_for_fork.clear()
    if (spool_file := sys.modules.get("loghttp._spool_file")) is not None:
        spool_file.forget_files()
    forget_parent()
    forget_lines()
    for handler in list(_handlers):
        handler._begin_in_child()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
