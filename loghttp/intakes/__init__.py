"""The intakes: one file a dialect, pure (no I/O, no threads, no clock).

A new intake is one such file: a class with the members of `Intake`. `humio` and `sekoia` are the examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loghttp._entry import Entry
from loghttp._options import Limits
from loghttp._verdict import Reply, Verdict

__all__ = ["Entry", "Intake", "Limits", "Reply", "Request", "Verdict"]


@dataclass(frozen=True, slots=True)
class Request:
    """One POST, before compression. What may hold a secret is not in the repr."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Intake(Protocol):
    """What the line needs to know of a destination."""

    @property
    def url(self) -> str:
        """Where events go; holds no secret."""

    @property
    def secrets(self) -> Sequence[str]:
        """What must never be repeated in a message."""

    @property
    def limits(self) -> Limits: ...

    def shape(self, entry: Entry) -> bytes:
        """One event in this dialect, at most `limits.event_bytes` long."""

    def cut(self, event: bytes, limit: int) -> bytes | None:
        """`event` cut to `limit` bytes, marked as cut; None if that cannot be done."""

    def request(self, events: Sequence[bytes]) -> Request:
        """The POST that carries `events`."""

    def judge(self, reply: Reply) -> Verdict:
        """What the reply to that POST means."""
