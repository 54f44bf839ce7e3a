"""What the commands have in common when they speak: results to stdout, all else to stderr, numbers in words.

Rule: in a terminal only the sixteen colours of its own theme, and never black or white, so that it reads on light and
on dark; no line is wider than the terminal. In a pipe, plain lines; rich is imported for a terminal only.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.table import Table

_STEPS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
WIDEST: Final = 140  # columns; beyond that, eyes lose the line


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def size(number: int) -> str:
    """Bytes, in three digits or so."""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1_000
    return f"{value:,.1f} GB"


def age(since: float | None, now: float) -> str:
    """How long ago, in its two largest units: `2h14m`."""
    if since is None:
        return "-"
    rest = max(0, int(now - since))
    parts: list[str] = []
    for unit, seconds in _STEPS:
        number, rest = divmod(rest, seconds)
        if number or parts:
            parts.append(f"{number:02}{unit}" if parts else f"{number}{unit}")
    return "".join(parts[:2]) or "0s"


def say(line: str) -> None:
    """To stderr."""
    click.echo(line, err=True)


def tell(lines: Iterable[str]) -> None:
    """To stdout; in a terminal broken between words."""
    if not sys.stdout.isatty():
        click.echo("\n".join(lines))
        return
    from rich.console import Console  # noqa: PLC0415 - it takes its time, which a pipe needs not wait for
    from rich.padding import Padding  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    console = Console(highlight=False)
    for line in lines:
        indent = len(line) - len(line.lstrip())
        text = Padding(Text(line.strip()), (0, 0, 0, indent), expand=False)
        console.print(text, width=min(console.width, WIDEST))


def plain_table() -> Table:
    """As all tables here look; its columns and rows are the caller's."""
    from rich import box  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above

    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="dim",
        border_style="dim",
    )


@contextmanager
def heard(say: Callable[[str], None]) -> Iterator[None]:
    """Pass on what the handlers tell of their troubles."""
    logger, voice = logging.getLogger("loghttp"), _Voice(say)
    logger.addHandler(voice)
    try:
        yield
    finally:
        logger.removeHandler(voice)


class _Voice(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(self.format(record))
