"""At home under uWSGI, which has ways of its own with the processes and the threads that loghttp needs.

Rule: where uWSGI does not serve the program, nothing happens here. Its master imports the application and forks
the workers in C, and by default neither Python nor any callback hears of that: a thread of the master does not
exist in the worker, and what it held stays locked there. So no thread is started before that fork, and uWSGI's
own hook tells of it. And up to 2.0.26 no thread runs between requests, which only its configuration can change.
"""

from __future__ import annotations

import importlib
import mmap
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from loghttp._selflog import last_words

WARNING: Final = (
    "uWSGI runs without threads, so records leave only when a worker ends, and not at all when it is killed; "
    "set enable-threads = true"
)
_THREADS_BY_DEFAULT: Final = (2, 0, 27)
_FORK_HOOKS: Final = ("py-call-uwsgi-fork-hooks", "py-call-osafterfork")


class _Home:
    """What this process knows of uWSGI. Inherited by the workers."""

    def __init__(self) -> None:
        self._uwsgi: Any = None
        self._pid = 0  # the process whose lines are its own
        self._forks_untold = False

    def settle(self, renew: Callable[[], None]) -> None:
        """Called when a handler is made: in the master, or in a worker with lazy-apps.

        `renew` gives a worker lines of its own; the first one keeps the master's, with what waits in them.
        """
        uwsgi: Any = sys.modules.get("uwsgi")  # only uWSGI itself can have put it there
        if uwsgi is None or self._uwsgi is not None:
            return
        self._uwsgi, self._pid = uwsgi, os.getpid()
        options = {name: str(value).lower() for name, value in uwsgi.opt.items()}
        if uwsgi.worker_id() == 0 and not any(_is_on(options, name) for name in _FORK_HOOKS):
            self._forks_untold = True
            self._renew = renew
            self._kept = mmap.mmap(-1, 1)  # shared by all workers, also by those that come later
            _call_after_fork(uwsgi, self._after_fork)
        if not _has_threads(uwsgi, options) and uwsgi.worker_id() <= 1:  # not by each worker once more
            last_words(WARNING)

    @property
    def will_fork(self) -> bool:
        """Whether this is the master, and its workers are still to come."""
        return self._forks_untold and self._uwsgi.worker_id() == 0 and os.getpid() == self._pid

    def _after_fork(self) -> None:
        if self._pid == os.getpid():
            return  # without a master, the first worker is not forked
        self._pid = os.getpid()
        if self._uwsgi.worker_id() == 1 and self._kept[0] == 0:
            self._kept[0] = 1  # one that takes its place later must not send the same again
        else:
            self._renew()


home: Final = _Home()


def _call_after_fork(uwsgi: Any, callback: Callable[[], None]) -> None:
    """uWSGI has one hook; `uwsgidecorators`, which comes with it, makes it many and would overwrite ours."""
    try:
        postfork = importlib.import_module("uwsgidecorators").postfork
    except Exception:  # noqa: BLE001  not installed, or no master: it raises a bare Exception then
        earlier = getattr(uwsgi, "post_fork_hook", None)

        def both() -> None:
            if earlier is not None:
                earlier()
            callback()

        uwsgi.post_fork_hook = both
    else:
        postfork(callback)


def _is_on(options: dict[str, str], name: str) -> bool:
    """A switch on the command line is True; one of a configuration file has its text, as bytes."""
    return options.get(name, "false") in ("true", "b'true'", "b'1'")


def _has_threads(uwsgi: Any, options: dict[str, str]) -> bool:
    by_default = tuple(uwsgi.version_info[:3]) >= _THREADS_BY_DEFAULT
    return by_default or "threads" in options or _is_on(options, "enable-threads")
