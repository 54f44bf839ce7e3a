"""Humio (CrowdStrike Falcon LogScale): the HTTP Event Collector dialect.

Where the numbers come from (library.humio.com, "Ingesting with HTTP Event Collector" and "Limits", read
2026-11): an event of over 1 MB is cut by the server, unmarked; a request may hold 33,554,432 bytes after
decompression; at most 5,000 events and 5 MB a batch are advised.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

from loghttp._batch import join
from loghttp._checks import Secret
from loghttp._encoding import dumps, dumps_large, fit, flatten, joined, nest
from loghttp._entry import Entry
from loghttp._options import Limits
from loghttp._verdict import Reply, TryLater, Verdict, judge_status, retry_after
from loghttp.intakes import Request

ENDPOINTS: Final = ("/api/v1/ingest/hec", "/services/collector")
LIMITS: Final = Limits(batch_events=5_000, batch_bytes=5_000_000, event_bytes=1_000_000)
_FIELDS_MAX: Final = 7_900  # the server keeps 8,000 an event; a few are its own

EventFormat = Literal["string", "object"]


class Humio:
    """Shapes HEC events. `members` are `host`, `source`, `sourcetype`, `index`, `timezone`, those that are set."""

    limits = LIMITS
    uniform = True

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        auth_scheme: str = "Bearer",
        members: Mapping[str, str],
        tags: Mapping[str, Any],
        tag_attributes: Sequence[str],
        fields: Mapping[str, Any],
        event_format: EventFormat,
        redact: Collection[str],
    ) -> None:
        self.url = url
        self._token = token
        self._auth_scheme = auth_scheme
        self._members = dict(members)
        self._static = {f"#{name}": _as_text(value) for name, value in tags.items()}
        self._static |= {name: _as_text(value) if name.startswith("#") else value for name, value in fields.items()}
        self._tag_attributes = tuple(tag_attributes)
        self._event_format = event_format
        self._redact = frozenset(redact)

    @property
    def secrets(self) -> Sequence[str]:
        return (self._token.reveal(),)

    def shape(self, entry: Entry) -> bytes:
        fields: dict[str, Any]
        event: str | dict[str, Any]
        tags = self._tags(entry)
        if entry.document is not None:
            event, fields = entry.document, self._static_without(entry.document)
        elif self._event_format == "object" and entry.text is None:
            event, fields = self._object(entry), self._static_without(entry.extras)
        else:
            event, fields = _string(entry), self._fields(entry)
        fields |= tags
        if entry.notes:
            fields["loghttp_changed"] = joined(entry.notes)
        # `time` is in seconds, and a float always has its point: a bare integer could be read as milliseconds.
        document = {"time": entry.created, **self._members, "event": event, "fields": fields}
        body = dumps_large(document) if entry.large else dumps(document)
        if len(body) > LIMITS.event_bytes:
            fields["loghttp_cut"] = "true"  # a text, as some HEC servers take no other fields
            body = fit(document, LIMITS.event_bytes) or self._smallest(entry, tags)
        return body

    def cut(self, event: bytes, limit: int) -> bytes | None:
        document = json.loads(event)
        document.setdefault("fields", {})["loghttp_cut"] = "true"
        return fit(document, limit)

    def request(self, events: Sequence[bytes]) -> Request:
        # One compact object a line, with the metadata in each: the framing that every HEC server takes.
        return Request(
            self.url,
            join(events, b"\n"),
            {
                "Authorization": f"{self._auth_scheme} {self._token.reveal()}",
                "Content-Type": "application/json",
            },
        )

    def judge(self, reply: Reply) -> Verdict:
        if 200 < reply.status < 300:  # "201-399: an error has occurred; check the text and retry"
            return TryLater(str(reply), retry_after(reply))
        return judge_status(reply)

    def _fields(self, entry: Entry) -> dict[str, Any]:
        """Flat fields. A name given twice: the extra wins, then the static field, then the attribute."""
        fields = {**entry.attributes, **self._static}
        given: set[str] = set()
        for name, value in flatten(entry.extras, "", entry.notes, self._redact):
            free = name if name not in ("", "#") else f"{name}_"
            while free in given:  # {"a.b": 1, "a": {"b": 2}}: both are kept
                free += "_"
            given.add(free)
            fields[free] = _as_text(value) if free.startswith("#") else value
            if len(fields) >= _FIELDS_MAX:
                entry.notes.append("more fields than the intake takes")
                break
        return fields

    def _object(self, entry: Entry) -> dict[str, Any]:
        event = {"message": entry.message}
        event |= {name: value for name, value in entry.attributes.items() if name not in self._static}
        if entry.traceback:
            event["exc_info"] = entry.traceback
        if entry.stack:
            event["stack_info"] = entry.stack
        event.update(nest(entry.extras, "", entry.notes, self._redact))
        return event

    def _static_without(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The static fields, but for the names that the event object has itself."""
        return {name: value for name, value in self._static.items() if name not in event}

    def _tags(self, entry: Entry) -> dict[str, str]:
        """Take the `tag_attributes` out of the entry: what is a tag is not a field as well."""
        tags = {}
        for name in self._tag_attributes:
            attribute, extra = entry.attributes.pop(name, None), entry.extras.pop(name, None)
            value = attribute if extra is None else nest({name: extra}, "", entry.notes, self._redact)[name]
            if value is not None:
                tags[f"#{name}"] = _as_text(value)
        return tags

    def _smallest(self, entry: Entry, tags: dict[str, str]) -> bytes:
        """What is left of an event that no cutting of texts makes small enough: it has too many fields."""
        fields = {**entry.attributes, **self._static, **tags, "loghttp_cut": "true"}
        document = {"time": entry.created, **self._members, "event": _string(entry), "fields": fields}
        return fit(document, LIMITS.event_bytes) or dumps({"time": entry.created, "event": "(too large to send)"})


def _as_text(value: Any) -> str:
    """A tag's value is text."""
    return value if isinstance(value, str) else dumps(value).decode()


def _string(entry: Entry) -> str:
    if entry.text is not None:
        return entry.text
    return "\n".join(part for part in (entry.message, entry.traceback, entry.stack) if part)
