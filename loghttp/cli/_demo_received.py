"""What one intake received in `loghttp demo`, under the names that its users know. Pure: no output, no colours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from loghttp import DEFAULT_ATTRIBUTES, Stats
from loghttp.testing import LocalIntake, ReceivedEvent

_BARE = re.compile(r"[^\s\"'=][^\s=]*")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, split as a log viewer shows it."""

    columns: dict[str, str]
    """What an intake's users have as columns, by its names; the text of the event is the last."""
    members: dict[str, Any]
    """All other fields: the extras first, then the record's attributes."""
    traceback: str
    """Kept apart from what it came in: `@rawstring`, or the member `exc_info`. Empty if there was none."""
    traceback_in: str
    document: dict[str, Any]
    """As it came: HEC's object, or SEKOIA.IO's quoted JSON without its quotes."""

    @property
    def text_name(self) -> str:
        return next(reversed(self.columns))

    @property
    def extras(self) -> dict[str, Any]:
        return {name: value for name, value in self.members.items() if name not in DEFAULT_ATTRIBUTES}

    def flat(self) -> dict[str, Any]:
        """Columns and members together, the traceback folded and in its place."""
        values = self.columns | self.members
        if self.traceback:
            whole = [values.get(self.traceback_in, ""), *fold(self.traceback)]
            values[self.traceback_in] = "\n".join(part for part in whole if part)
        return values


@dataclass(frozen=True, slots=True)
class Received:
    """All that one intake received, and the books of the handler that sent it."""

    key: str
    title: str
    events: list[Event]
    stats: Stats
    raw_bytes: int
    """What `stats.bytes_sent` was before compression."""

    def same_on_all(self) -> dict[str, Any]:
        """The columns and attributes that say the same on each event: `#env`, `process`, ..."""
        all_values = [event.columns | event.members for event in self.events]
        return {
            name: value
            for name, value in (all_values[0] if all_values else {}).items()
            if all(name in values and values[name] == value for values in all_values)
        }


def read_humio(intake: LocalIntake, stats: Stats) -> Received:
    return Received("humio", "Humio", [_humio(event) for event in _of("hec", intake)], stats, _raw("hec", intake))


def read_sekoia(intake: LocalIntake, stats: Stats) -> Received:
    events = [_sekoia(event) for event in _of("sekoia", intake)]
    return Received("sekoia", "SEKOIA.IO", events, stats, _raw("sekoia", intake))


def as_text(value: Any) -> str:
    """Text that needs no quotes as it is, everything else as JSON."""
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value, separators=(",", ":"))


def fold(traceback: str) -> list[str]:
    """The first and the last line of a traceback, and between them how many there were."""
    first, *between, last = traceback.splitlines()
    return [first, f"  ... {len(between)} lines", last]


def _of(dialect: str, intake: LocalIntake) -> list[ReceivedEvent]:
    return [event for event in intake.events if event.dialect == dialect]


def _raw(dialect: str, intake: LocalIntake) -> int:
    requests = [request for request in intake.requests if any(event.dialect == dialect for event in request.events)]
    return sum(len(request.body) for request in requests)


def _humio(event: ReceivedEvent) -> Event:
    """HEC's members by the names that Humio gives them."""
    tags = {name: value for name, value in event.fields.items() if name.startswith("#")}
    fields = {name: value for name, value in event.fields.items() if name not in tags}
    message, _, traceback = event.message.partition("\nTraceback ")
    columns = {
        "@timestamp": datetime.fromtimestamp(event.time or 0, timezone.utc).isoformat(timespec="milliseconds"),
        "@host": event.host or "",
        "#type": event.sourcetype or "",
        **tags,
        "@rawstring": message,
    }
    traceback = f"Traceback {traceback}" if traceback else ""
    return Event(columns, _extras_first(fields), traceback, "@rawstring", event.body)


def _sekoia(event: ReceivedEvent) -> Event:
    document = dict(event.event) if isinstance(event.event, dict) else {"message": event.event}
    members = dict(document)
    columns = {name: str(members.pop(name, "")) for name in ("@timestamp", "level", "message")}
    traceback = str(members.pop("exc_info", ""))
    return Event(columns, _extras_first(members), traceback, "exc_info", document)


def _extras_first(fields: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(fields.items(), key=lambda item: item[0] in DEFAULT_ATTRIBUTES))
