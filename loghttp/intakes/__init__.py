"""The intakes: one file a dialect, pure (no I/O, no threads, no clock).

A new intake is one such file: a class with the members of `Intake`, and `loghttp.handlers.IntakeHandler` in front of
it. `humio` and `sekoia` are examples, and so is `examples/own_intake.py`, which uses only the names below. They are
public, and may still change between minor versions while loghttp is younger than 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loghttp._encoding import fit, flatten, nest
from loghttp._entry import Entry
from loghttp._options import Limits
from loghttp._verdict import (
    Delivered,
    Misconfigured,
    Refused,
    Reply,
    TooLarge,
    TryLater,
    Verdict,
    judge_status,
    retry_after,
)

__all__ = [
    "Delivered",
    "Entry",
    "Intake",
    "Limits",
    "Misconfigured",
    "Refused",
    "Reply",
    "Request",
    "TooLarge",
    "TryLater",
    "Verdict",
    "fit",
    "flatten",
    "judge_status",
    "nest",
    "retry_after",
]


@dataclass(frozen=True, slots=True)
class Request:
    """One POST, before compression. What may hold a secret is not in the repr."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Intake(Protocol):
    """What the line needs to know of a destination.

    One that has `uniform = True` besides says that two events of one call site differ in nothing but their time,
    sequence, message and the values of their extras, each written somewhere as JSON or text. Records of 4,000
    characters or less are then mostly written by filling in a form, several times as fast as `shape`. An intake that
    cuts messages, or leaves out or adds what depends on a value, is not uniform.
    """

    @property
    def url(self) -> str:
        """Where events go; holds no secret."""

    @property
    def secrets(self) -> Sequence[str]:
        """What must never be repeated in a message."""

    @property
    def limits(self) -> Limits:
        """What one request and one event may hold; the defaults of `batch_events` and `batch_bytes` are from here."""

    def shape(self, entry: Entry) -> bytes:
        """One event in this dialect, at most `limits.event_bytes` long."""

    def cut(self, event: bytes, limit: int) -> bytes | None:
        """`event` cut to `limit` bytes, marked as cut; None if that cannot be done."""

    def request(self, events: Sequence[bytes]) -> Request:
        """The POST that carries `events`."""

    def judge(self, reply: Reply) -> Verdict:
        """What the reply to that POST means."""
