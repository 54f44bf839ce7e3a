"""Reads, hands over, and waits: no more in flight than a few batches, whatever the intake does.

Rule: a signal or the end of patience stops it between two lines, never within one, so the books are exact. With a
spool, a position is saved only at a moment when nothing is in memory: all before it is delivered or on disk. So a
crash repeats at most the `CHUNK` lines after it, and loses none.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from loghttp._verdict import visible
from loghttp.cli._send_lines import Line, blocks, cut
from loghttp.cli._send_parse import Parser
from loghttp.cli._send_position import Position, Positions

CHUNK: Final = 1_000
"""Lines that are handed over between two looks at the books, and between two positions that are saved."""
_CHUNK_BYTES: Final = 1024 * 1024
_PENDING_MOST: Final = 15_000
"""Events in flight: three batches, one of which is being sent."""
_PENDING_BYTES: Final = 8 * 1024 * 1024
"""Bytes of their lines; loghttp counts a waiting text three times, so this stays below its buffer_bytes."""
_LOOK_EVERY: Final = 0.01
_DISK_SECONDS: Final = 15.0  # when stopping: for a disk that is busy, not one that fails; a second signal does not wait
_GZIP: Final = b"\x1f\x8b"


@dataclass(slots=True)
class Source:
    """A file, or stdin."""

    name: str
    lines: int = 0
    """With something in them; those were handed over."""
    blank: int = 0
    bytes: int = 0
    """That were read, from where it began."""
    began: int = 0
    """Where reading began: bytes from the start of the file."""
    resumed: bool = False
    """Whether that is where an earlier run has stopped."""
    whole: bool = False
    """Whether it was read to its end."""
    trouble: str = ""


@dataclass(slots=True)
class Progress:
    """What a bar shows."""

    bytes: int
    total: int | None
    """None: of stdin nobody knows."""
    stats: Any
    name: str


@dataclass(slots=True)
class _Flight:
    """What is in flight, in lines and bytes; the books know events only."""

    chunks: deque[tuple[int, int]] = field(default_factory=deque)
    lines: int = 0
    bytes: int = 0

    def add(self, lines: int, size: int) -> None:
        self.chunks.append((lines, size))
        self.lines += lines
        self.bytes += size

    def trim(self, pending: int) -> None:
        """The oldest have landed: at most the latest `pending` events are still up."""
        while self.chunks and self.lines - self.chunks[0][0] >= pending:
            lines, size = self.chunks.popleft()
            self.lines -= lines
            self.bytes -= size


class Stop:
    """Why and when to end early: a signal, or an intake that took nothing for too long."""

    def __init__(self, patience: float) -> None:
        self.signal: int | None = None
        self.gave_up = False
        self._patience = patience
        self._settled = -1
        self._since = time.monotonic()

    def __bool__(self) -> bool:
        return self.signal is not None or self.gave_up

    def watch(self, stats: Any, *, waiting: bool) -> None:
        """Give up when nothing was delivered for as long as patience lasts, while there is something to wait for."""
        settled = stats.delivered + sum(stats.dropped.values())
        if settled != self._settled or not waiting or not stats.pending:
            self._settled, self._since = settled, time.monotonic()
        elif time.monotonic() - self._since > self._patience:
            self.gave_up = True

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop it in good order; the second one as ever."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def take(number: int, _: FrameType | None) -> None:
            self.signal = number
            for known, handler in before.items():
                signal.signal(known, handler)

        for number in before:
            signal.signal(number, take)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Shipment:
    """All sources through one handler, one after the other."""

    def __init__(
        self,
        handler: Any,
        stop: Stop,
        tell: Callable[[Progress], None],
        *,
        positions: Positions | None,
        text_only: bool,
        backlog: int,
    ) -> None:
        self._handler = handler
        self._stop = stop
        self._tell = tell
        self._positions = positions
        self._durable = handler._options.spool_dir is not None
        self._text_only = text_only
        self._backlog = backlog
        self._flight = _Flight()
        self._handed = 0
        self._bytes = 0
        self._total: int | None = 0
        self.sources: list[Source] = []

    def run(self, names: Sequence[str]) -> None:
        """Ship all of them, and wait for the end."""
        with self._stop.by_signals():
            self._total = self._sum(names)
            for name in names:
                source = Source("stdin" if name == "-" else name)
                self.sources.append(source)
                try:
                    if not self._stop:
                        with self._opened(source, name) as (descriptor, position):
                            self._read(source, descriptor, position)
                except OSError as error:
                    source.trouble = error.strerror or str(error)
            self._finish()

    def _sum(self, names: Sequence[str]) -> int | None:
        """Bytes that there are to send; None where a pipe is among them."""
        total = 0
        for name in names:
            with suppress(OSError):  # it is told when its turn comes
                status = os.fstat(sys.stdin.fileno()) if name == "-" else Path(name).stat()
                if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                    return None
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
                if name != "-" and self._positions is not None:
                    with Path(name).open("rb") as file:
                        total -= self._positions.of(Path(name), file.fileno()).offset
        return total

    @contextmanager
    def _opened(self, source: Source, name: str) -> Iterator[tuple[int, Position | None]]:
        """Raises OSError, also for what is no log."""
        if name == "-":
            descriptor = sys.stdin.fileno()
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                source.began = os.lseek(descriptor, 0, os.SEEK_CUR)
            yield descriptor, None
            return
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            mode, position = os.fstat(descriptor).st_mode, None
            if stat.S_ISDIR(mode):
                raise OSError("it is a folder")
            if stat.S_ISREG(mode):
                if os.pread(descriptor, len(_GZIP), 0) == _GZIP:
                    raise OSError(f"it is compressed: zcat {visible(name)} | loghttp send ...")
                if self._positions is not None:
                    position = self._positions.of(Path(name), descriptor)
                    source.began, source.resumed = position.offset, position.offset > 0
            yield descriptor, position
        finally:
            os.close(descriptor)

    def _read(self, source: Source, descriptor: int, position: Position | None) -> None:
        is_stream = position is None and not stat.S_ISREG(os.fstat(descriptor).st_mode)
        parser = Parser({} if source.name == "stdin" else {"file": source.name}, text_only=self._text_only)
        end, lines, size = source.began, 0, 0

        def pause() -> None:
            nonlocal lines, size
            self._flight.add(lines, size)
            lines = size = 0
            self._look(source, is_stream)
            self._make_safe(source, position, end)

        read = blocks(descriptor, lambda: bool(self._stop), source.began)
        try:
            for line in cut(read, source.began):
                if self._stop:
                    break
                if line is None:
                    pause()
                    continue
                self._hand_over(source, parser, line, end)
                lines += 1
                size += line.end - end
                self._bytes += line.end - end
                end = line.end
                if lines >= CHUNK or size >= _CHUNK_BYTES:
                    pause()
            else:
                source.whole = not self._stop
        finally:
            source.bytes = end - source.began
            pause()

    def _hand_over(self, source: Source, parser: Parser, line: Line, offset: int) -> None:
        record = parser.record(line.content, offset)
        if record is None:
            source.blank += 1
            return
        self._handler.handle(record)
        source.lines += 1
        self._handed += 1

    def _look(self, source: Source, is_stream: bool) -> None:
        """Show where we are, and wait while too much is in flight."""
        while True:
            stats = self._handler.stats()
            self._flight.trim(stats.pending)
            self._tell(Progress(self._bytes - self._flight.bytes, self._total, stats, source.name))
            full = stats.pending >= _PENDING_MOST or self._flight.bytes >= _PENDING_BYTES
            # A program that pipes to us need not end because an intake is down: while there is room, it may write.
            self._stop.watch(stats, waiting=full or not is_stream)
            if self._stop or not full:
                return
            time.sleep(_LOOK_EVERY)

    def _make_safe(self, source: Source, position: Position | None, end: int) -> None:
        """With a spool: wait until nothing is in memory, then save the position; also when we stop."""
        if not self._durable:
            return
        until = time.monotonic() + _DISK_SECONDS
        while (stats := self._handler.stats()).pending > stats.spooled:
            self._stop.watch(stats, waiting=True)
            if self._stop and time.monotonic() > until:
                return  # what is in memory may be lost; the position stays before it
            time.sleep(0.002)
        if position is not None:
            try:
                position.save(end)
            except OSError as error:  # sending goes on: to lose is worse than to send twice
                source.trouble = f"its position cannot be saved, so the next run repeats lines: {error.strerror}"

    def _finish(self) -> None:
        """Wait until all is delivered or dropped, what earlier runs have left in the spool included."""
        self._handler.flush(0)  # what waits for its batch to fill leaves now
        name = self.sources[-1].name
        while not self._stop:
            stats = self._handler.stats()
            self._flight.trim(stats.pending)
            self._tell(Progress(self._bytes - self._flight.bytes, self._total, stats, name))
            if not stats.pending and (stats.accepted >= self._handed + self._backlog or self._handler.flush(1.0)):
                return
            self._stop.watch(stats, waiting=True)
            time.sleep(_LOOK_EVERY)


def tell_of_keyboard(names: Sequence[str]) -> None:
    """Where the keyboard is what is read, say how to end it."""
    with suppress(OSError, ValueError):
        if "-" in names and os.isatty(sys.stdin.fileno()):
            sys.stderr.write("Reading from the keyboard; Ctrl-D ends it.\n")
