"""Bytes as they come, cut into lines; each line knows where it ends, so that a later run can go on there.

Rule: at most one block and one line are in memory, whatever comes: an endless line, a hole of a gigabyte. `cut` is
pure; only `blocks` reads.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

BLOCK: Final = 256 * 1024
LINE_MOST: Final = 1024 * 1024
"""Bytes of a line that are kept: more than either intake takes, so the handler cuts it once more, and marks it."""
TICK: Final = 0.2
"""Seconds without input after which the reader is asked what else there is to do."""


class Line(NamedTuple):
    content: bytes
    """Without its newline."""
    end: int
    """Where the next line begins: bytes from the start of the file."""


def cut(blocks: Iterable[bytes | None], at: int = 0) -> Iterator[Line | None]:
    """Lines of `blocks`, which begin `at` bytes into their file; None stays None.

    NUL bytes at the start of a line are left out: a crash, or a log that was emptied under its writer, leaves millions.
    """
    rest = b""
    for block in blocks:
        if block is None:
            yield None
            continue
        first, *others = block.split(b"\n")
        rest = _joined(rest, first)
        at += len(first)
        for piece in others:
            at += 1
            yield Line(rest, at)
            rest = piece.lstrip(b"\0")
            at += len(piece)
    if rest:
        yield Line(rest, at)


def _joined(rest: bytes, more: bytes) -> bytes:
    if not rest:
        return more.lstrip(b"\0")
    return (rest + more)[: LINE_MOST + 1] if len(rest) <= LINE_MOST else rest


def blocks(descriptor: int, stopped: Callable[[], bool], start: int = 0) -> Iterator[bytes | None]:
    """What can be read until the end, or until `stopped`; None when nothing came for a moment.

    Of a file, what is there now, and the rest of its last line: one that grows must not be read for ever.
    """
    status = os.fstat(descriptor)
    is_file = stat.S_ISREG(status.st_mode)
    if is_file:
        os.lseek(descriptor, start, os.SEEK_SET)
    at = start
    while not stopped():
        if not (is_file or select.select([descriptor], [], [], TICK)[0]):
            yield None
            continue
        block = os.read(descriptor, BLOCK)
        if is_file and at + len(block) >= status.st_size:
            newline = block.find(b"\n", max(0, status.st_size - 1 - at))
            if newline >= 0:
                yield block[: newline + 1]
                return
        if not block:
            return
        at += len(block)
        yield block
