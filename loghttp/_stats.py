"""The books: what became of every record that was accepted.

Rule: one lock guards all of a handler's counters, and each record is entered exactly once, as delivered
or as dropped with a reason; `pending` is what remains, so the sum holds at every instant:
`accepted == delivered + pending + sum(dropped.values())`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Final, Literal

DropReason = Literal[
    "queue_full", "expired", "too_large", "refused", "intake_rejected", "shutdown", "encoding", "unreadable"
]

DROP_REASONS: Final[Mapping[DropReason, str]] = MappingProxyType(
    {
        "queue_full": "the buffer was full (raise buffer_events or buffer_bytes)",
        "expired": "older than retry_for while the intake could not be reached",
        "too_large": "larger than the intake takes, even after it was cut, or than the buffer",
        "refused": "the intake refused this very event",
        "intake_rejected": "the intake answered success but did not take all events",
        "shutdown": "still undelivered when close_timeout was over",
        "encoding": "a filter or formatter raised, or no JSON could be made of it",
        "unreadable": "its spool file was damaged; the file is kept beside the others",
    }
)
"""Why a record can be lost, and what that means: the keys of `Stats.dropped`."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a handler has done in this process so far; a snapshot taken at one instant.

    `accepted == delivered + pending + sum(dropped.values())` always holds.

    Attributes:
        accepted: Records that passed the level and the filters.
        delivered: Records that the intake said it took.
        pending: Records on their way: in memory or in the spool.
        spooled: How many of `pending` are safe on disk.
        dropped: Lost records by reason; see `loghttp.DROP_REASONS`. Empty when nothing was lost.
        requests: POSTs sent, failed ones included.
        retries: POSTs that sent again what had been sent before.
        splits: Times a batch was halved, because it was too large or held a bad event.
        bytes_sent: Bytes of request bodies as they went over the wire (after compression).
        last_error: The last thing that went wrong, in words; it stays after delivery is back.
        last_success: When the intake last took something (UTC).
    """

    accepted: int
    """Records that passed the level and the filters."""
    delivered: int
    """Records that the intake said it took."""
    pending: int
    """Records on their way: in memory or in the spool."""
    spooled: int
    """How many of `pending` are safe on disk."""
    dropped: Mapping[str, int]
    """Lost records by reason; see `loghttp.DROP_REASONS`. Empty when nothing was lost."""
    requests: int
    """POSTs sent, failed ones included."""
    retries: int
    """POSTs that sent again what had been sent before."""
    splits: int
    """Times a batch was halved, because it was too large or held a bad event."""
    bytes_sent: int
    """Bytes of request bodies as they went over the wire (after compression)."""
    last_error: str | None
    """The last thing that went wrong, in words; it stays after delivery is back."""
    last_success: datetime | None
    """When the intake last took something (UTC)."""

    def __repr__(self) -> str:
        lost = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        parts = [
            f"accepted {self.accepted:,}",
            f"delivered {self.delivered:,}",
            f"pending {self.pending:,}" + (f" (spooled {self.spooled:,})" if self.spooled else ""),
            f"dropped {lost or 0}",
            f"requests {self.requests:,}",
        ]
        parts += [f"retries {self.retries:,}"] if self.retries else []
        parts += [f"splits {self.splits:,}"] if self.splits else []
        parts += [f"sent {self.bytes_sent:,} bytes"]
        parts += [f"last error: {self.last_error}"] if self.last_error else []
        return f"<Stats {' | '.join(parts)}>"


@dataclass(slots=True)
class Losses:
    """Lost records that somebody has yet to be told of: how many, why, and between which times."""

    counts: dict[DropReason, int] = field(default_factory=dict)
    first: float = float("inf")  # `created` of the earliest, seconds since 1970
    last: float = float("-inf")

    def add(self, reason: DropReason, count: int, first: float, last: float) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count
        self.first = min(self.first, first)
        self.last = max(self.last, last)

    def merge(self, other: Losses) -> None:
        for reason, count in other.counts.items():
            self.add(reason, count, other.first, other.last)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """Such as `5 records lost (3 queue_full, 2 expired), logged between ... and ...`."""
        why = ", ".join(f"{count} {reason}" for reason, count in self.counts.items())
        noun = "record" if self.total == 1 else "records"
        return f"{self.total} {noun} lost ({why}), logged between {iso(self.first)} and {iso(self.last)}"


def iso(created: float) -> str:
    """Seconds since 1970 as RFC 3339 text in UTC, with microseconds: `2026-01-31T12:00:00.000000+00:00`."""
    return datetime.fromtimestamp(created, timezone.utc).isoformat(timespec="microseconds")


class Books:
    """All counters of one handler in one process, under one lock (`lock`, held for a few lines only).

    The lock is re-entrant, because a `__del__` or a signal handler that logs may run in the middle of a
    method here, on the same thread.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accepted = 0  # without those that wait in `inboxes`
        self.inboxes: list[Sized] = []
        # Of records alone: what is adopted from a spool is accepted, too.
        self.next_number = itertools.count(1).__next__
        self.delivered = 0
        self.dropped: dict[DropReason, int] = {}
        self.requests = 0
        self.retries = 0
        self.splits = 0
        self.bytes_sent = 0
        self.spooled = 0
        self.left_behind: dict[str, int] = {}  # events in spool files that this handler has let go of, by file
        self.last_error: str | None = None
        self.last_success: float | None = None
        self.untold_log = Losses()
        self.untold_intake = Losses()

    def drop(self, reason: DropReason, count: int, first: float, last: float) -> None:
        """Enter `count` records, created between `first` and `last`, as lost."""
        with self.lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            self.untold_log.add(reason, count, first, last)
            self.untold_intake.add(reason, count, first, last)

    def never_left(self, created: float, reason: DropReason = "encoding") -> None:
        """Enter a record that was lost before it reached the buffer: a filter or formatter raised, say."""
        with self.lock:
            self.accepted += 1
            self.next_number()
            self.drop(reason, 1, created, created)

    def deliver(self, count: int) -> None:
        with self.lock:
            self.delivered += count
            self.last_success = time.time()

    def take_untold_log(self) -> Losses:
        with self.lock:
            losses, self.untold_log = self.untold_log, Losses()
            return losses

    def take_untold_intake(self) -> Losses:
        with self.lock:
            losses, self.untold_intake = self.untold_intake, Losses()
            return losses

    def stats(self) -> Stats:
        with self.lock:
            success = self.last_success
            accepted = self.accepted + sum(map(len, self.inboxes))
            return Stats(
                accepted=accepted,
                delivered=self.delivered,
                pending=accepted - self.delivered - sum(self.dropped.values()),
                spooled=self.spooled,
                dropped=MappingProxyType({str(reason): count for reason, count in self.dropped.items()}),
                requests=self.requests,
                retries=self.retries,
                splits=self.splits,
                bytes_sent=self.bytes_sent,
                last_error=self.last_error,
                last_success=None if success is None else datetime.fromtimestamp(success, timezone.utc),
            )
