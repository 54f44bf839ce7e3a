"""An interpreter that has imported what loghttp needs, and forks one for each program that it is told to run.

It saves the quarter of a second that each would take to start. Rule: nothing of loghttp is imported here, unless an
argument says so, nor any thread started, and a fork goes on as an interpreter that was told the same on its command
line: it is `__main__`, runs to the interpreter's own end, and finds its environment, its standard streams and its
signals as usual.

Its arguments are a descriptor and more modules to import. Told on the descriptor, by one message each:
`[arguments, environment, folder]` as JSON, and four descriptors, for stdin, stdout, stderr and the report; there the
fork says its pid, and we how it ended.
"""

from __future__ import annotations

import builtins
import contextlib
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import warnings
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

Program = tuple[CodeType, dict[str, Any]]
"""What `exec` takes."""

NEEDED = (
    *("concurrent.futures", "gzip", "http.client", "logging.config", "queue", "sqlite3", "urllib.parse", "uuid"),
    *("requests", "pythonjsonlogger.json"),
)


def serve(control: socket.socket) -> Program:
    """Fork for each message, until nobody can send one; return in a fork, with what it shall execute."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    reports: dict[int, int] = {}  # by pid
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            os.read(woken, 4_096)
            _report_ends(reports)
        if control in ready:
            message, streams, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not message:
                os._exit(0)
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                for descriptor in (woken, wake, *reports.values()):
                    os.close(descriptor)
                return _become(*json.loads(message), streams)
            reports[pid] = streams.pop()
            for descriptor in streams:
                os.close(descriptor)


def _report_ends(reports: dict[int, int]) -> None:
    for pid in list(reports):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            report = reports.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # nobody wants to know
                os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(report)


def _become(arguments: list[str], environment: dict[str, str], folder: str, descriptors: list[int]) -> Program:
    """Take on what an interpreter would from its command line; return the program."""
    os.setsid()
    os.write(descriptors[3], b"%d\n" % os.getpid())
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    encoding = environment.get("PYTHONIOENCODING")
    for number, name, mode, errors in (
        (0, "stdin", "r", None),
        (1, "stdout", "w", None),
        (2, "stderr", "w", "backslashreplace"),
    ):
        lines = number == 2 or os.isatty(number)
        stream = open(number, mode, 1 if lines else -1, encoding, errors, closefd=False)  # noqa: SIM115  to the very end
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if "PYTHONFAULTHANDLER" in environment:
        faulthandler.enable()
    while arguments[0] == "-W":
        sys.warnoptions.append(arguments[1])
        action, _, category = arguments[1].partition("::")
        warnings.simplefilter(action, getattr(builtins, category or "Warning"))  # type: ignore[arg-type]
        del arguments[:2]
    main = sys.modules["__main__"] = ModuleType("__main__")
    what, *rest = arguments
    if what in ("-c", "-m"):
        sys.argv = [what, *rest[1:]]
        sys.path[0] = "" if what == "-c" else folder
        source = rest[0] if what == "-c" else f"import runpy; runpy._run_module_as_main({rest[0]!r})"
        return compile(source, "<string>", "exec"), vars(main)
    sys.argv = arguments
    sys.path[0] = str(Path(what).parent)
    main.__file__ = what
    return compile(Path(what).read_bytes(), what, "exec"), vars(main)


if __name__ == "__main__":
    for needed in (*NEEDED, *sys.argv[2:]):
        with contextlib.suppress(ImportError):  # an extra that is not installed
            importlib.import_module(needed)
    gc.freeze()  # a fork need not look through all that again, most of all at its end
    exec(*serve(socket.socket(fileno=int(sys.argv[1]))))  # noqa: S102  what a fork is for
