"""What a `LocalIntake` can be told to do wrong, as values, and what each does to a strict server's answer.

Pure: which request a fault falls on is `LocalIntake`'s business, and how a connection is cut is the server's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from loghttp.testing import _sekoia
from loghttp.testing._received import ReceivedEvent
from loghttp.testing._replies import Answer
from loghttp.testing._strict import Judgement

Connection = Literal["keep", "close", "reset", "half"]

_CONNECTIONS = ("keep", "close", "reset", "half")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: a token
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request instead of, or before, the answer of a healthy intake.

    Args:
        status: answer this, 200 to 599. None: the answer that a healthy intake would give.
        headers: added to the answer.
        body: of the answer; needs `status`, or `connection="half"`.
        delay: seconds before anything is answered; `LocalIntake.heal` and `LocalIntake.stop` cut it short.
        connection: "close": closed without an answer. "reset": the same, by RST. "half": the answer's headers
            with its full ``Content-Length``, half of its body, then closed. "keep": none of these.
        event_ids: take only the first so many events. A SEKOIA.IO client can tell by the ids that it is
            answered, a HEC client is not told.
        take: the events are kept although the answer is a fault, and before any `delay`: the reply was lost.
            Without `status`, `connection` and `event_ids` they are kept anyway, after the delay.

    Raises:
        ValueError: for a fault that does nothing, or that contradicts itself.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes = b""
    delay: float = 0.0
    connection: Connection = "keep"
    event_ids: int | None = None
    take: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))
        if problem := _problem(self):
            raise ValueError(problem)

    @property
    def cuts(self) -> bool:
        """Whether the connection ends without an answer."""
        return self.connection in {"close", "reset"}

    @property
    def only_decorates(self) -> bool:
        """Whether a healthy intake's answer is given after all: later, or with other headers."""
        return self.status is None and self.connection == "keep" and self.event_ids is None


def outcome(fault: Fault | None, judgement: Judgement) -> tuple[Answer | None, tuple[ReceivedEvent, ...]]:
    """What is answered (None: nothing) and which events are taken when `fault` falls on a judged request."""
    if fault is None:
        return judgement.answer, judgement.events
    return _answer(fault, judgement), _taken(fault, judgement)


def _answer(fault: Fault, judgement: Judgement) -> Answer | None:
    if fault.cuts:
        return None
    answer = judgement.answer
    if fault.event_ids is not None:
        if fault.event_ids < len(judgement.events) and judgement.events[0].dialect == "sekoia":
            answer = _sekoia.accepted("/batch", fault.event_ids)
        if fault.status is not None and not judgement.refusal:
            answer = replace(answer, status=fault.status)
    elif fault.status is not None or fault.body:
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        answer = Answer(fault.status or 200, {}, body)
    return replace(answer, headers={**answer.headers, **fault.headers})


def _taken(fault: Fault, judgement: Judgement) -> tuple[ReceivedEvent, ...]:
    if fault.event_ids is not None:
        return judgement.events[: fault.event_ids]
    return judgement.events if fault.take or fault.only_decorates else ()


def _problem(fault: Fault) -> str:  # noqa: PLR0912 - one line a rule, read from top to bottom
    answers_itself = fault.status is not None or fault.connection == "half"
    if fault.connection not in _CONNECTIONS:
        return f"connection must be one of {', '.join(_CONNECTIONS)}, not {fault.connection!r}"
    if fault.status is not None and not 200 <= fault.status <= 599:
        return f"status must be from 200 to 599, not {fault.status!r}"
    if not (math.isfinite(fault.delay) and fault.delay >= 0):
        return f"delay must be a number of seconds, 0 or more, not {fault.delay!r}"
    if fault.event_ids is not None and fault.event_ids < 0:
        return f"event_ids must be 0 or more, not {fault.event_ids!r}"
    if fault.only_decorates and not (fault.delay or fault.headers or fault.body):
        return "a fault needs something to do: a status, headers, a delay, a connection or event_ids"
    if fault.cuts and (fault.status is not None or fault.headers or fault.body):
        return f"connection={fault.connection!r} answers nothing, so status, headers and body have no place"
    if fault.body and not answers_itself:
        return "a body needs a status"
    if fault.body and fault.status in {204, 304}:
        return f"status {fault.status} has no body (RFC 9110)"
    if fault.connection == "half" and fault.status is not None and len(fault.body) < 2:
        return "connection='half' with a status needs a body to send half of"
    if fault.event_ids is not None and (fault.connection != "keep" or fault.body or fault.take):
        return "event_ids says itself what is taken and answered: no connection, body or take beside it"
    if fault.event_ids is not None and fault.status is not None and fault.status >= 300:
        return f"event_ids are answered by a 2xx, not by {fault.status}"
    for name, value in fault.headers.items():
        if name.lower() in _FRAMING_HEADERS:
            return f"the header {name} is the server's own; connection='half' gives a wrong length"
        if not (_HEADER_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            return f"the header {name!r} must have a name that is a token and a printable ASCII value"
    return ""
