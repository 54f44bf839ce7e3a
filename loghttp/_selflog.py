"""How loghttp speaks of its own trouble: on the logger named `loghttp`, and at exit on stderr.

Rule: WARNING = not delivered yet, nothing lost; ERROR = lost, with the number and what to do; at most one
line a minute of each kind; one INFO when delivery is back. Only our own threads speak (at exit, where there
is none any more, the program's), so the program never waits for a console here; and our own handlers never
deliver these lines (they would feed themselves).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from loghttp._stats import DROP_REASONS, Books

LOGGER_NAME: Final = "loghttp"
INTERVAL: Final = 60.0
"""Seconds between two lines of one kind."""

_logger = logging.getLogger(LOGGER_NAME)
_logger.addHandler(logging.NullHandler())

own_threads: set[int] = set()
"""Numbers of our threads: what they log is refused in `handle`."""


class own_thread:  # noqa: N801  a context manager reads as a word
    """While it is entered, what this thread logs is ours and our handlers refuse it.

    Our threads call requests and urllib3, which log at DEBUG: taken in, each POST would make records for
    the next one (axiom-py#23), and hiding urllib3 from the whole program would be worse (seqlog#89).

    Only what a `__del__` of the program logs here is not ours: garbage is collected on any thread.
    """

    def __enter__(self) -> None:
        self._nested = threading.get_ident() in own_threads
        own_threads.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        if not self._nested:
            own_threads.discard(threading.get_ident())


def in_finalizer() -> bool:
    """Whether this thread runs a `__del__`: what that logs is the program's, whatever the thread is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def on_own_thread() -> bool:
    return threading.get_ident() in own_threads


def forget_parent() -> None:
    """After a fork: the parent's threads do not exist here, and its losses are its own to tell."""
    own_threads.clear()
    if (epilogue := sys.__dict__.pop("_loghttp_epilogue", None)) is not None:
        epilogue.lost.clear()


class SelfLog:
    """The voice of one handler; used by its listener and courier threads."""

    def __init__(self, who: str, books: Books, clock: Callable[[], float] = time.monotonic) -> None:
        self._who = who
        self._books = books
        self._clock = clock
        self._spoke: dict[str, float] = {}
        self._troubled = False

    def not_delivered(self, kind: str, reason: str, advice: str) -> None:
        """Tell that delivery waits: nothing is lost. `kind` groups lines for the once-a-minute rule."""
        self._troubled = True
        if self._may_speak(kind):
            pending = self._books.stats().pending
            _say(
                _logger.warning,
                "%s: not delivered yet, nothing is lost (%d pending): %s; %s",
                self._who,
                pending,
                reason,
                advice,
            )

    def not_durable(self, reason: str, where: str) -> None:
        """Tell that the spool fails: what it does not take waits in memory, and would not survive a crash."""
        if self._may_speak("not durable"):
            _say(
                _logger.warning,
                "%s: the spool at %s cannot be used as it is, nothing is lost: %s",
                self._who,
                where,
                reason,
            )

    def strangers(self, count: int, where: str) -> None:
        """Tell of spool files that no handler with this address and token will deliver."""
        if self._may_speak("strangers"):
            text = "%s: %d spool files in %s wait for another url or token; `loghttp spool` shows them"
            _say(_logger.warning, text, self._who, count, where)

    def damaged(self, reason: str, where: str, aside: str) -> None:
        """Tell that what is in a spool file cannot be delivered, and where it is kept for somebody to look at."""
        if self._may_speak(f"damaged {where}"):
            _say(_logger.error, "%s: %s cannot be read (%s); it is kept as %s", self._who, where, reason, aside)

    def lost(self, *, at_end: bool = False) -> None:
        """Tell of losses that were not told yet, if there are any; at the end of all, whatever the minute."""
        if not self._books.untold_log.counts or not (self._may_speak("lost") or at_end):
            return
        losses = self._books.take_untold_log()
        if not losses.counts:
            return  # another thread of this handler has just told them
        why = "; ".join(f"{reason}: {DROP_REASONS[reason]}" for reason in losses.counts)
        _say(_logger.error, "%s: %s [%s]; last error: %s", self._who, losses, why, self._books.last_error)

    def delivered(self) -> None:
        """Tell that delivery is back, if it was away."""
        if self._troubled and self._may_speak("back"):
            self._troubled = False
            _say(_logger.info, "%s: delivery is back", self._who)

    def broke(self, what: str) -> None:
        """Tell of a fault in loghttp itself, with its traceback."""
        if self._may_speak("broke"):
            _say(_logger.exception, "%s: %s (this is a bug in loghttp; it goes on)", self._who, what)

    def _may_speak(self, kind: str) -> bool:
        now = self._clock()
        if now - self._spoke.get(kind, -INTERVAL) < INTERVAL:
            return False
        self._spoke[kind] = now
        return True


def _say(line: Callable[..., None], *args: object) -> None:
    """A handler or filter of the program that raises must not end our threads."""
    with contextlib.suppress(Exception):
        line(*args)


def last_words(text: str) -> None:
    """One line on stderr, for exit: by the file descriptor, as `sys.stderr` may be gone or locked by then."""
    with contextlib.suppress(OSError):  # nobody is left to hear it
        os.write(2, f"loghttp: {text}\n".encode("utf-8", "backslashreplace"))


class _Epilogue:
    """Tells what was lost after all else had ended, in one line a handler, when it is deleted itself."""

    def __init__(self) -> None:
        self.lost: dict[str, int] = {}

    def __del__(self, write: Callable[[int, bytes], int] = os.write) -> None:  # no name of a module is left by now
        for who, count in self.lost.items():
            were = "record was" if count == 1 else "records were"
            line = f"loghttp: {who}: {count} {were} lost, logged when the program had ended\n"
            try:  # noqa: SIM105
                write(2, line.encode("utf-8", "backslashreplace"))
            except OSError:
                pass


def lost_at_exit(who: str, count: int) -> None:
    """Have a loss told that comes too late for anything else: in an `atexit` callback, in a `__del__`.

    Told one by one these would be a line a record. So they are summed up in an object that `sys` holds, the
    last namespace that the interpreter clears.
    """
    epilogue = sys.__dict__.setdefault("_loghttp_epilogue", _Epilogue())
    epilogue.lost[who] = epilogue.lost.get(who, 0) + count


def records_were(count: int) -> str:
    return "1 record was" if count == 1 else f"{count} records were"
