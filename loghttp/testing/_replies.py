"""How a strict server replies: `Answer`, the reply as a value, and `Refused`, which becomes one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers (without those of framing, which the server adds) and a body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refused(Exception):  # noqa: N818 - "raise Refused" reads as what happens
    """A request is not taken: with which status, for which reason, and what HEC adds to that."""

    def __init__(self, status: int, reason: str, *, code: int | None = None, event: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        #: HEC's own number for the kind of refusal.
        self.code = code
        #: Which event of the request is to blame, from 0; None when it is none of them.
        self.event = event

    def __str__(self) -> str:
        return self.reason if self.event is None else f"event {self.event}: {self.reason}"


def json_answer(status: int, value: Any) -> Answer:
    """`value` as the JSON body of an answer."""
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
