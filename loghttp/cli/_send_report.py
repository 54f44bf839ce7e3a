"""What `loghttp send` says at the end: the lines that were read, and the handler's books. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loghttp import DROP_REASONS, Stats
from loghttp._verdict import visible
from loghttp.cli._destination import plain
from loghttp.cli._output import age, count, size
from loghttp.cli._send_run import Source


@dataclass(frozen=True, slots=True)
class Report:
    url: str
    sources: list[Source]
    stats: Stats
    seconds: float
    signal: int | None
    gave_up: bool
    spool: str
    """The folder; empty: none."""
    left: int
    """Events that are still in it."""

    @property
    def fine(self) -> bool:
        """Everything that was to be read has been read, and everything that was read is delivered."""
        read = all(source.whole and not source.trouble for source in self.sources)
        stats = self.stats
        return read and not self.left and stats.delivered == stats.accepted and not self.signal and not self.gave_up

    @property
    def status(self) -> int:
        if self.signal is not None:
            return 128 + self.signal  # as shells say it
        return 0 if self.fine else 1

    def lines(self) -> Iterator[str]:
        for source in self.sources:
            yield self._of_source(source)
        if self.stats.accepted:
            yield from self._of_the_books(self.stats)
        else:
            yield f"Nothing to deliver to {self.url}."
        yield from self._of_the_end()

    def _of_the_books(self, stats: Stats) -> Iterator[str]:
        retries = f", {stats.retries:,} {'retry' if stats.retries == 1 else 'retries'}" if stats.retries else ""
        delivered = f"{stats.delivered:,} of {count(stats.accepted, 'event')} delivered to {self.url}"
        yield f"{delivered} in {took(self.seconds)} ({count(stats.requests, 'request')}{retries})."
        for reason, number in stats.dropped.items():
            kept = "; kept, see loghttp spool --dead-letters" if reason == "refused" and self.spool else ""
            yield f"  {number:,} {reason}: {DROP_REASONS[reason]}{kept}"  # type: ignore[index]  # its own names
        if not self.fine and stats.last_error:
            yield f"  last error: {plain(stats.last_error)}"

    def _of_the_end(self) -> Iterator[str]:
        if self.signal is not None:
            yield f"Stopped by {signal.Signals(self.signal).name}."
        if self.gave_up:
            yield "Given up: the intake has taken nothing for too long (--give-up)."
        if self.left:
            yield f"Waiting in {self.spool}: {count(self.left, 'event')}; the same command delivers them."
        if self.spool and any(
            not source.whole and not source.trouble and source.name != "stdin" for source in self.sources
        ):
            yield "The same command goes on where this one has stopped."

    def _of_source(self, source: Source) -> str:
        name = visible(source.name)
        if source.trouble and not source.bytes:
            return f"{name}: {source.trouble}"
        blank = f" and {source.blank:,} blank" if source.blank else ""
        since = f", from byte {source.began:,} on" if source.resumed else ""
        told = f"{name}: {count(source.lines, 'line')}{blank}, {size(source.bytes)}{since}"
        if source.trouble:
            return f"{told}; {source.trouble}"
        return told if source.whole else f"{told}; not read to its end"

    def as_json(self) -> dict[str, Any]:
        stats = self.stats
        return {
            "ok": self.fine,
            "status": self.status,
            "destination": self.url,
            "sources": [
                {
                    "name": source.name,
                    "lines": source.lines,
                    "blank": source.blank,
                    "bytes": source.bytes,
                    "began": source.began,
                    "whole": source.whole,
                    "trouble": source.trouble or None,
                }
                for source in self.sources
            ],
            "accepted": stats.accepted,
            "delivered": stats.delivered,
            "pending": stats.pending,
            "dropped": dict(stats.dropped),
            "requests": stats.requests,
            "retries": stats.retries,
            "bytes_sent": stats.bytes_sent,
            "last_error": stats.last_error,
            "left_in_spool": self.left,
            "seconds": round(self.seconds, 3),
            "signal": self.signal,
            "gave_up": self.gave_up,
        }


def took(seconds: float) -> str:
    """`1.2 s`, `3m07s`, `2h14m`."""
    return f"{seconds:.1f} s" if seconds < 60 else age(0.0, seconds)
