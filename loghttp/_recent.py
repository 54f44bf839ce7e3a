"""Events that are on disk and still in memory: the courier mostly wants what was written a moment ago.

Rule: events with successive numbers, bounded in bytes; it is never the only place where an event is.
"""

from __future__ import annotations

from collections.abc import Sequence

from loghttp._batch import Run, cost, fitting, parted


class Recent:
    """The events that were appended lately, up to the first that did not fit."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._bytes = 0

    @property
    def last(self) -> int | None:
        """The number of the last event held."""
        return self._runs[-1].last if self._runs else None

    def put(self, runs: Sequence[Run], most: int) -> None:
        """Add those that were appended next, if all that is held then has at most `most` bytes."""
        if self._bytes + (size := cost(runs)) <= most:
            self._runs += runs
            self._bytes += size

    def take(self, first: int, most_events: int, most_bytes: int) -> list[Run] | None:
        """The oldest events from number `first` on, at least one; None: that one has to be read from disk."""
        if not self._runs or self._runs[0].row > first:
            return None
        _, wanted = parted(self._runs, first - self._runs[0].row)
        taken, self._runs = map(list, parted(wanted, fitting(wanted, most_events, most_bytes)))
        self._bytes = cost(self._runs)
        return taken or None
