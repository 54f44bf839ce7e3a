"""Where encoded events wait in memory, with the rule for when a batch of them is due.

Rule: it knows no clock and no lock; the buffer owns it and guards it. Order is kept: nothing overtakes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from typing import Any

from loghttp._batch import Run, count, fitting


class Marker:
    """What `flush` sends along with the records: when it has come through, so has all that was before it."""

    def __init__(self) -> None:
        self.passed = threading.Event()
        self.in_time = False
        self.withdrawn = False
        """Nobody waits for it any more."""
        self.behind: list[tuple[Any, int]] = []
        """In durable mode: the spool files, and the last row in each when the marker came by."""

    def release(self, in_time: bool) -> None:
        self.in_time = in_time
        self.passed.set()


class Outbox:
    """Events that wait to be sent, and markers between them, in order."""

    def __init__(self, batch_events: int, batch_bytes: int, flush_interval: float) -> None:
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._flush_interval = flush_interval
        self._items: deque[Run | Marker] = deque()
        self._bytes = 0  # of the events alone
        self._count = 0  # of events
        self.urgent = False
        """Whether an event that must not wait is among them."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Run | Marker]:
        return iter(self._items)

    def put(self, runs: Sequence[Run]) -> None:
        self._items.extend(runs)
        self._count += count(runs)
        self._bytes += sum([run.size for run in runs])

    def put_marker(self, marker: Marker) -> None:
        self._items.append(marker)

    def due_in(self, now: float) -> float:
        """Seconds until the next batch should leave; 0 or less: now; infinite: nothing waits."""
        if not self._count:
            return float("inf")
        if self.urgent or self._count >= self._batch_events or self._bytes >= self._batch_bytes:
            return 0.0
        oldest = self._items[0]
        return oldest.born + self._flush_interval - now if isinstance(oldest, Run) else 0.0

    def take_batch(self, *, past_markers: bool = False) -> list[Run]:
        """The oldest events, as many as one request may carry, but none from behind a marker.

        `past_markers`: those at the head do not count, and stay there.
        """
        if past_markers:
            with self._markers_lifted():
                return self.take_batch()
        until_marker = takewhile(lambda item: isinstance(item, Run), self._items)
        runs = self._take(fitting(until_marker, self._batch_events, self._batch_bytes))  # type: ignore[arg-type]
        self.urgent = self.urgent and self._count > 0
        return runs

    def next_marker(self) -> Marker | None:
        """As `take_marker`, but it stays where it is."""
        return marker if self._items and isinstance(marker := self._items[0], Marker) else None

    def take_marker(self) -> Marker | None:
        """The marker at the head, if there is one: nothing is before it any more."""
        if self._items and isinstance(marker := self._items[0], Marker):
            self._items.popleft()
            return marker
        return None

    def withdraw(self, marker: Marker) -> bool:
        """Take a marker out; False: it is not here."""
        try:
            self._items.remove(marker)
        except ValueError:
            return False
        return True

    def take_oldest(self) -> Run | None:
        """The oldest event alone, be there markers before it."""
        if not self._count:
            return None
        with self._markers_lifted() if self.next_marker() else nullcontext():
            return self._take(1)[0]

    def take_latest(self) -> Run | None:
        """The event that was put last, alone, if no marker came after it."""
        if not self._items or not isinstance(run := self._items[-1], Run):
            return None
        if run.number > 1:  # for both parts there is memory before either takes its place
            rest, run = run.part(0, run.number - 1), run.part(run.number - 1)
            self._items[-1] = rest
        else:
            self._items.pop()
        self._subtract([run])
        return run

    def clear(self) -> None:
        self._items.clear()
        self._count = self._bytes = 0

    @contextmanager
    def _markers_lifted(self) -> Iterator[None]:
        """Those at the head are away for a moment."""
        markers = [*iter(self.take_marker, None)]
        try:
            yield
        finally:
            self._items.extendleft(reversed(markers))

    def _take(self, number: int) -> list[Run]:
        """The first events, before which there is no marker."""
        runs: list[Run] = []
        rest: Run | None = None
        waiting: Iterator[Any] = iter(self._items)
        while number > 0:
            runs.append(next(waiting))
            number -= runs[-1].number
        if number < 0:
            rest, runs[-1] = runs[-1].part(number), runs[-1].part(0, number)
        for _ in runs:  # only now, when there was memory for all of it
            self._items.popleft()
        if rest is not None:
            self._items.appendleft(rest)
        self._subtract(runs)
        return runs

    def _subtract(self, runs: Sequence[Run]) -> None:
        self._count -= count(runs)
        self._bytes -= sum([run.size for run in runs])
