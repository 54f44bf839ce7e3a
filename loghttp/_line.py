"""The line a record walks, put together: buffer, listener, courier; opened once and closed once.

Rule: everything is built here, in one place, and everything that ends is ended here: by `close()`, at
interpreter exit, and at the end of a `multiprocessing` child, always within a deadline.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from functools import partial

from loghttp._backoff import Backoff
from loghttp._celery import call_when_worker_ends
from loghttp._courier import Courier
from loghttp._entry import Reader
from loghttp._listener import HandleError, Listener, notice
from loghttp._logginglock import logging_lock_released
from loghttp._options import Delivery
from loghttp._outbox import Marker
from loghttp._queue import Buffer
from loghttp._selflog import SelfLog, last_words, lost_at_exit, records_were
from loghttp._stats import Books
from loghttp._uwsgi import home
from loghttp.intakes import Intake

_open_lines: set[Line] = set()


class Line:
    """One handler's line. Its threads start with the first record; after `close` a new line is needed."""

    def __init__(
        self,
        *,
        who: str,
        intake: Intake,
        reader: Reader,
        options: Delivery,
        books: Books,
        handle_error: HandleError,
    ) -> None:
        # requests takes longer to import than all else here; only who makes a handler pays for it.
        from loghttp._sender import Sender  # noqa: PLC0415

        self._who = who
        self._books = books
        self._options = options
        selflog = SelfLog(who, books)
        self.buffer = Buffer(books, options)
        if options.spool_dir is not None:
            # Needs SQLite and the disk; who does not ask for it has neither.
            from loghttp._durable import DurableBuffer  # noqa: PLC0415
            from loghttp._spool import Spool  # noqa: PLC0415

            spool = Spool(
                options.spool_dir,
                intake.url,
                intake.secrets,
                fsync=options.spool_fsync,
                books=books,
                selflog=selflog,
            )
            self.buffer = DurableBuffer(books, options, spool)
        self._listener = Listener(
            self.buffer,
            reader,
            intake,
            selflog=selflog,
            flush_level=options.flush_level,
            handle_error=handle_error,
        )
        self._courier = Courier(
            self.buffer,
            intake,
            Sender(options, intake.secrets),
            Backoff(options.retry_wait_max),
            options=options,
            books=books,
            selflog=selflog,
            notice=partial(notice, intake=intake),
        )
        self.put = self.buffer.put
        """Takes a record in. False: this line has been closed."""
        self._lifecycle = threading.RLock()  # held while threads are started, so that only one starts them
        self.started = False
        self._get_ident = threading.get_ident

    @property
    def outdated(self) -> bool:
        """Whether gevent has patched since this was made: its locks and bells would stop all that is green."""
        return self._get_ident is not threading.get_ident

    def mark(self) -> Marker:
        return self.buffer.mark()

    def withdraw(self, marker: Marker) -> None:
        self.buffer.withdraw(marker)

    @property
    def close_timeout(self) -> float:
        return self._options.close_timeout

    @property
    def closed(self) -> bool:
        return self.buffer.closing.is_set()

    @property
    def ended(self) -> bool:
        """Whether its last thread has come and gone: that of a handler that nobody held, and nobody closed."""
        return self._courier.thread is not None and not self._courier.thread.is_alive()

    def start(self) -> None:
        """Start the threads; where none can be started any more, deliver on this one, within the time left."""
        with self._lifecycle:
            if self.started or self.closed or home.will_fork:
                return
            self.started = True
            _open_lines.difference_update([line for line in list(_open_lines) if line.ended])
            _open_lines.add(self)
            _hook_multiprocessing()
            call_when_worker_ends(close_all)
            try:
                if not _end.began:
                    self._listener.start()
                    self._courier.start()
                    return
            except RuntimeError as error:
                # From 3.12 on no thread starts once the interpreter is going down (opentelemetry-python#4752).
                if "shutdown" not in str(error):
                    self.started = False  # the system's limit of threads: the next record tries again
                    return
            deadline = _end.deadline(self._options.close_timeout)
            self.begin_close(deadline)
            if lost := self._finish(deadline):
                lost_at_exit(self._who, lost)

    def begin_close(self, deadline: float) -> None:
        """Let no more records in and end all waits; returns at once."""
        with self._lifecycle:
            self._courier.deadline = deadline
            self.buffer.close()

    def finish_close(self, deadline: float) -> None:
        """Wait until the threads are done, not beyond `deadline`; what remains is lost, and told on stderr."""
        if lost := self._finish(deadline):
            last_words(f"{self._who}: {records_were(lost)} lost at shutdown; last error: {self._books.last_error}")

    def close(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self.begin_close(deadline)
        self.finish_close(deadline)

    def _finish(self, deadline: float) -> int:
        if threading.current_thread() in (self._listener.thread, self._courier.thread):
            return 0  # closed by a record's own __str__, say: the threads end by themselves
        if self.buffer.abandoned:
            return self.buffer.abandon()  # it has been waited for: `close_all`, say, comes before `logging.shutdown`
        with logging_lock_released():
            if self._courier.thread is None:
                if self.buffer.holds_any():
                    self._run_here()
            else:
                self._listener.stop(deadline - time.monotonic())
                self._courier.stop(deadline - time.monotonic())
        _open_lines.discard(self)
        return self.buffer.abandon()

    def _run_here(self) -> None:
        """Do both threads' work: they were never started, and now it is too late."""
        if sys.is_finalizing():
            return  # no module is left to send with
        began = time.monotonic()
        if self._listener.thread is None:
            self._listener.run()
        self._courier.run()
        _end.spent += time.monotonic() - began


class _End:
    """The end of the process, and what it may still take: `close_timeout` in all, however many lines there are."""

    def __init__(self) -> None:
        self.began = False  # from now on no thread is started
        self.spent = 0.0  # seconds

    def deadline(self, close_timeout: float) -> float:
        return time.monotonic() + max(0.0, close_timeout - self.spent)


_end = _End()


def close_all() -> None:
    """Close every open line, all of them within the longest `close_timeout` among them."""
    _end.began = True
    began = time.monotonic()
    lines = [(line, _end.deadline(line.close_timeout)) for line in list(_open_lines)]
    for line, deadline in lines:
        line.begin_close(deadline)
    for line, deadline in lines:
        line.finish_close(deadline)
    _end.spent += time.monotonic() - began


def forget_lines() -> None:
    """In a forked child: the lines are the parent's, and so is what waits in them."""
    _open_lines.clear()
    _end.began, _end.spent = False, 0.0


class _MultiprocessingHook:
    """A multiprocessing child ends by `os._exit`, without `atexit`; what it runs are its finalizers.

    They are forgotten when the child's own code begins, so a line that was started before (by a fork
    callback, or while the main module is imported under "spawn") has to be hooked in once more then.
    """

    def __init__(self) -> None:
        self._watching = False
        self._hooked_pid: int | None = None

    def __call__(self) -> None:
        util = sys.modules.get("multiprocessing.util")
        if util is None:
            return  # then this is no such child
        if not self._watching:
            self._watching = True  # in all children of this process, too
            util.register_after_fork(self, _MultiprocessingHook._close_at_end)
        process = sys.modules["multiprocessing.process"]
        if process.parent_process() is not None and self._hooked_pid != os.getpid():
            self._close_at_end()

    def _close_at_end(self) -> None:
        self._hooked_pid = os.getpid()
        util = sys.modules["multiprocessing.util"]
        util.Finalize(None, close_all, exitpriority=-100)  # negative: after the program's own finalizers


_hook_multiprocessing = _MultiprocessingHook()

# weakref registers a callback of its own with its first finalizer, and goes through a registry there into
# which urllib3, on a courier's thread, may still be writing. So it has to come before ours, to run after it.
weakref.finalize(close_all, int).detach()

# Registered when loghttp is imported, so it runs after the callbacks of what is imported later (which may
# log), and before `logging.shutdown`.
atexit.register(close_all)
