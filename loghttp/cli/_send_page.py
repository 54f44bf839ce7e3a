"""The bar of `loghttp send` in a terminal: how far, how many events, how fast, how often again, how long still.

Rule: that of `_output`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from loghttp._verdict import visible
from loghttp.cli import _send_run
from loghttp.cli._output import count, size

_EVERY: Final = 0.1  # seconds between two updates
_WIDE: Final = 100
"""Columns of the terminal from which on there is room for the file's name."""
_NAME: Final = 24


@contextmanager
def bar() -> Iterator[tuple[Callable[[_send_run.Progress], None], Callable[[str], None]]]:
    """A bar on stderr: how to show where we are, and how to say something above it."""
    console = Console(stderr=True, highlight=False)
    name = [TextColumn("{task.fields[name]}")] if console.width >= _WIDE else []
    columns = [
        *name,
        BarColumn(bar_width=None),
        TextColumn("{task.fields[share]}"),
        TextColumn("{task.fields[events]}"),
        TextColumn("{task.fields[size]}"),
        TextColumn("{task.fields[rate]}", style="dim"),
        TextColumn("{task.fields[retries]}", style="yellow"),
        TimeRemainingColumn(compact=True),
    ]
    began, last = time.monotonic(), 0.0
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        fields: dict[str, Any] = _fields("", None, "", 0.0)
        task = progress.add_task("", total=None, **fields)

        def show(now: _send_run.Progress) -> None:
            nonlocal last
            moment = time.monotonic()
            if moment - last < _EVERY:
                return
            last = moment
            fields: dict[str, Any] = _fields(now.name, now.stats, _share(now), moment - began)
            fields["size"] = size(now.bytes)
            progress.update(task, completed=now.bytes, total=now.total, **fields)

        def say(line: str) -> None:
            console.print(Text(line, style="yellow"))

        yield show, say


def _share(now: _send_run.Progress) -> str:
    return f"{min(100, 100 * now.bytes // now.total)}%" if now.total else ""


def _fields(name: str, stats: Any, share: str, seconds: float) -> dict[str, str]:
    delivered = stats.delivered if stats else 0
    rate = f"{delivered / seconds:,.0f}/s" if seconds > 1 else ""
    retries = stats.retries if stats else 0
    again = f"{retries:,} {'retry' if retries == 1 else 'retries'}" if retries else ""
    name = visible(name)
    short = name if len(name) <= _NAME else f"...{name[3 - _NAME :]}"
    return {
        "name": short,
        "events": count(delivered, "event"),
        "rate": rate,
        "retries": again,
        "share": share,
        "size": "",
    }
