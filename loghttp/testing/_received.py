"""What a `LocalIntake` keeps of what it took: the events and the requests, as values that never change.

Their `repr` is made for failing tests: short, and without the token or the intake key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Dialect = Literal["hec", "sekoia"]

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


class Headers(Mapping[str, str]):
    """Request headers, looked up in any case; one that came twice is joined by ``", "`` (RFC 9110, 5.3)."""

    __slots__ = ("_lines",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._lines: dict[str, tuple[str, str]] = {}
        for name, value in pairs:
            key = name.lower()
            earlier = self._lines.get(key)
            self._lines[key] = (name, value) if earlier is None else (earlier[0], f"{earlier[1]}, {value}")

    def __getitem__(self, name: str) -> str:
        return self._lines[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._lines

    def __repr__(self) -> str:
        shown = {name: "[secret]" if key in _SECRET_HEADERS else value for key, (name, value) in self._lines.items()}
        return f"Headers({shown!r})"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One event that the intake has taken.

    `body` is what came for this event: HEC's whole object; for SEKOIA.IO ``{"json": ...}``, with its
    ``timestamp`` or ``@timestamp`` if it has one, without the intake key. The other attributes are read from
    it, and None where it is silent.
    """

    dialect: Dialect
    body: dict[str, Any]
    #: HEC: the ``event`` member. SEKOIA.IO: the quoted JSON object, unquoted, or else the text itself.
    event: str | dict[str, Any]
    #: Unix seconds.
    time: float | None = None
    #: HEC's ``fields``, tags included; always empty for SEKOIA.IO, which has none.
    fields: dict[str, Any] = field(default_factory=dict)
    host: str | None = None
    source: str | None = None
    sourcetype: str | None = None
    index: str | None = None
    timezone: str | None = None

    @property
    def message(self) -> str:
        """The event if it is a string, or else its ``message`` member ("" if it has none)."""
        return self.event if isinstance(self.event, str) else str(self.event.get("message", ""))

    @property
    def tags(self) -> dict[str, str]:
        """The fields that are tags, without their ``#``."""
        return {name[1:]: value for name, value in self.fields.items() if name.startswith("#")}


@dataclass(frozen=True, slots=True, repr=False)
class ReceivedRequest:
    """One request that the intake has seen, whether it took it, refused it, or failed it on purpose."""

    method: str
    path: str
    headers: Headers
    #: After decompression; as it came if that was not possible, empty if it was too large to be read at all.
    body: bytes
    #: Size of the body as it came, in bytes.
    wire_bytes: int
    #: What was answered; None when the connection was cut, and while a fault's `delay` holds the answer back.
    status: int | None
    #: Why a strict server refuses this request; "" when it does not.
    refusal: str
    #: The events that it brought and that were taken.
    events: tuple[ReceivedEvent, ...]
    #: Unix seconds.
    received_at: float

    def __repr__(self) -> str:
        # Neither headers, nor body, nor query: they may carry the token and the intake key.
        answer = "no answer" if self.status is None else str(self.status)
        refusal = f", refused: {self.refusal}" if self.refusal else ""
        path = self.path.partition("?")[0]
        return (
            f"<ReceivedRequest {self.method} {path}, {self.wire_bytes} bytes: "
            f"{answer}, {len(self.events)} events taken{refusal}>"
        )
