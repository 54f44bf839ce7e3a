"""Encoded events, in runs, and batches of them.

Rule: both are values that never change; what must become smaller becomes new runs and new batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, overload

EVENT_COST: Final = 250
"""Bytes that a waiting event occupies besides its body, if it is alone in its run (tracemalloc, CPython 3.11)."""
RUN_EVENTS: Final = 128
"""Most events in a run: few, for a part that leaves costs a copy of the rest."""
LARGE: Final = 4_096
"""Bytes of an event, from which on it is alone in its run, and counts twice: malloc cannot use again all that lies
between such blocks, and a batch of them is there three times while it is sent (measured with glibc 2.36:
`test_memory_is_bounded`)."""


class Run(NamedTuple):
    """Events that were encoded together, in order: for each event one object less, and one join for all of them.

    An event that is large, or not one line of text, is a run of its own.
    """

    body: bytes
    """The events, with a newline between them. JSON has none within it (RFC 8259, section 7), if it is compact."""
    created: tuple[float, ...]
    """The records' own times, seconds since 1970: for telling which records were lost."""
    born: float
    """Monotonic seconds when they were encoded: for knowing their age."""
    row: int = 0
    """Number of the first event in the spool, and the others follow; 0: they are in memory only."""

    @property
    def number(self) -> int:
        """How many events."""
        return len(self.created)

    @property
    def last(self) -> int:
        """Number of the last event in the spool."""
        return self.row + len(self.created) - 1

    @property
    def size(self) -> int:
        """Bytes of the events alone."""
        return len(self.body) - len(self.created) + 1

    @property
    def events(self) -> list[bytes]:
        return self.body.split(b"\n") if len(self.created) > 1 else [self.body]

    @property
    def cost(self) -> int:
        """Bytes it is taken to occupy in memory; that of its parts together is the same."""
        size = self.size
        return EVENT_COST * len(self.created) + (size if size < LARGE or len(self.created) > 1 else 2 * size)

    def part(self, start: int, stop: int | None = None) -> Run:
        """The events from number `start` on, the first being 0, up to `stop`."""
        body = b"\n".join(self.events[start:stop])
        return Run(body, self.created[start:stop], self.born, self.row and self.row + start)


def count(runs: Iterable[Run]) -> int:
    """How many events they are."""
    return sum([len(run.created) for run in runs])


def cost(runs: Iterable[Run]) -> int:
    """Bytes that they are taken to occupy in memory."""
    return sum([run.cost for run in runs])


def span(runs: Iterable[Run]) -> tuple[float, float]:
    """The earliest and the latest of their events' times."""
    times = [time for run in runs for time in run.created]
    return min(times), max(times)


def parted(runs: Sequence[Run], number: int) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """The first `number` events, and the rest."""
    before: list[Run] = []
    for index, run in enumerate(runs):
        if number < run.number:
            rest = runs[index + 1 :]
            if not number:
                return tuple(before), (run, *rest)
            return (*before, run.part(0, number)), (run.part(number), *rest)
        before.append(run)
        number -= run.number
    return tuple(before), ()


def fitting(runs: Iterable[Run], most_events: int, most_bytes: int) -> int:
    """How many events, from the first on, one request may carry; at least one."""
    number = size = 0
    for run in runs:
        if number + run.number <= most_events and size + run.size <= most_bytes:
            number, size = number + run.number, size + run.size
            continue
        for event in run.events:
            size += len(event)
            if number and (number == most_events or size > most_bytes):
                return number
            number += 1
    return number


def gathered(events: Sequence[bytes], created: Sequence[float], born: float) -> Iterator[Run]:
    """Events as runs, in order.

    They are copied: orjson's results keep a buffer of up to ten times their length alive.
    """
    for first in range(0, len(events), RUN_EVENTS):
        some, times = events[first : first + RUN_EVENTS], created[first : first + RUN_EVENTS]
        body = b"\n".join(some) if len(some) > 1 and max(map(len, some)) < LARGE else b""
        if body.count(b"\n") == len(some) - 1 > 0:
            yield Run(body, tuple(times), born)
        else:
            yield from (Run(bytes(memoryview(event)), (time,), born) for event, time in zip(some, times, strict=True))


class Bodies(Sequence[bytes]):
    """The events of some runs, which are taken apart only when one is looked at; see `join`."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self._events: list[bytes] = []

    def __len__(self) -> int:
        return count(self.runs)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        self._events = self._events or [event for run in self.runs for event in run.events]
        return self._events[index]


def join(events: Sequence[bytes], separator: bytes) -> bytes:
    """As `separator.join(events)`, and in no time where they are of runs, and each is one line."""
    if isinstance(events, Bodies):
        bodies = [run.body for run in events.runs]
        if separator != b"\n":
            bodies = [run.body.replace(b"\n", separator) if run.number > 1 else run.body for run in events.runs]
        return separator.join(bodies)
    return separator.join(events)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that leave in one request."""

    runs: tuple[Run, ...]
    attempts: int = 0
    """How often it, or a larger batch that it was part of, was sent."""

    def __len__(self) -> int:
        return count(self.runs)

    @property
    def bodies(self) -> Bodies:
        return Bodies(self.runs)

    def split(self, hint: int | None = None) -> list[Batch]:
        """Smaller batches, in order: around the event that the intake named, else halves."""
        if hint is not None and hint < len(self):
            before, rest = parted(self.runs, hint)
            parts = [before, *parted(rest, 1)]
        else:
            parts = [*parted(self.runs, len(self) // 2)]
        return [Batch(part, self.attempts) for part in parts if part]
