"""SEKOIA.IO: the HTTPS intake dialect.

Where the numbers come from (docs.sekoia.io, "HTTPS intake", read 2026-11): an event of over 250 KiB is
rejected, never cut by the server (counted here as 250,000 bytes of UTF-8, as other clients do). The number
of events and the size of a batch are not documented; other clients send 500 to 10,000 events and stop at
9,437,184 bytes after JSON escaping. With 5,000 an intake that is 50 ms away takes as many as one at hand.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

from pythonjsonlogger.json import JsonFormatter

from loghttp._batch import join
from loghttp._checks import Secret
from loghttp._encoding import dumps, dumps_large, fit, joined, nest
from loghttp._entry import Entry
from loghttp._options import Limits
from loghttp._stats import iso
from loghttp._verdict import Delivered, Reply, Verdict, judge_status
from loghttp.intakes import Request

ENDPOINTS: Final = ("/batch", "/array", "/")
EVENT_BYTES: Final = 250_000
BATCH_LIMITS: Final = Limits(batch_events=5_000, batch_bytes=5_000_000, event_bytes=EVENT_BYTES)
SINGLE_LIMITS: Final = Limits(batch_events=1, batch_bytes=5_000_000, event_bytes=EVENT_BYTES, batch_events_max=1)

Endpoint = Literal["/batch", "/array", "/"]


def _serialize(document: Any, **_: object) -> str:
    return dumps(document).decode()


def _serialize_large(document: Any, **_: object) -> str:
    return dumps_large(document).decode()


class Sekoia:
    """Shapes SEKOIA.IO events: quoted JSON made by python-json-logger, or the user's plain text."""

    uniform = True

    def __init__(
        self,
        url: str,
        intake_key: Secret,
        endpoint: Endpoint,
        *,
        fields: Mapping[str, Any],
        redact: Collection[str],
    ) -> None:
        self.url = url
        self.limits = SINGLE_LIMITS if endpoint == "/" else BATCH_LIMITS
        self._key = intake_key
        self._endpoint = endpoint
        self._static = dict(fields)
        self._redact = frozenset(redact)
        # python-json-logger writes the document; the encoder is ours, for it must be strict.
        self._quote = JsonFormatter(json_serializer=_serialize).serialize_log_record
        self._quote_large = JsonFormatter(json_serializer=_serialize_large).serialize_log_record

    @property
    def secrets(self) -> Sequence[str]:
        return (self._key.reveal(),)

    def shape(self, entry: Entry) -> bytes:
        return self._wrap(self._text(entry), iso(entry.created))

    def cut(self, event: bytes, limit: int) -> bytes | None:
        wrapped = json.loads(event)
        text = wrapped if isinstance(wrapped, str) else wrapped["json"]
        inner = limit
        for _ in range(8):  # quoting makes it longer again, by a factor that depends on the text
            shorter = _cut(text, inner)
            body = dumps(shorter if isinstance(wrapped, str) else {**wrapped, "json": shorter})
            if len(body) <= limit:
                return body
            inner = min(inner - 1, inner * limit // len(body))
        return None

    def request(self, events: Sequence[bytes]) -> Request:
        key = dumps(self._key.reveal())
        match self._endpoint:
            case "/batch":
                body = b'{"intake_key":%s,"jsons":[%s]}' % (key, join(events, b","))
            case "/array":
                body = b"[%s]" % b",".join(_with_key(event, key) for event in events)
            case "/":
                body = _with_key(events[0], key)
        return Request(self.url, body, {"Content-Type": "application/json"})

    def judge(self, reply: Reply) -> Verdict:
        verdict = judge_status(reply)
        if isinstance(verdict, Delivered):
            answer = reply.json()
            ids = answer.get("event_ids") if isinstance(answer, dict) else None
            return Delivered(len(ids)) if isinstance(ids, list) else verdict
        return verdict

    def _text(self, entry: Entry) -> str:
        if entry.text is not None:
            return entry.text if len(entry.text.encode()) <= EVENT_BYTES else _cut(entry.text, EVENT_BYTES)
        document = self._document(entry)
        quoted = self._quote_large(document) if entry.large else self._quote(document)
        if len(quoted) * 4 > EVENT_BYTES and len(quoted.encode()) > EVENT_BYTES:  # at most 4 bytes a character
            document["loghttp_cut"] = True
            return (fit(document, EVENT_BYTES) or self._smallest(entry)).decode()
        return quoted

    def _document(self, entry: Entry) -> dict[str, Any]:
        """A name given twice: the extra wins, then the static field, then the attribute."""
        if entry.document is not None:
            # At the other endpoints the time stands beside the text.
            time = {"@timestamp": iso(entry.created)} if self._endpoint == "/batch" else {}
            document = {**time, **self._static, **entry.document}
        else:
            document = self._own_document(entry)
        if entry.notes:
            document["loghttp_changed"] = joined(entry.notes)
        return document

    def _own_document(self, entry: Entry) -> dict[str, Any]:
        document = {"@timestamp": iso(entry.created), "message": entry.message, **entry.attributes}
        if entry.traceback:
            document["exc_info"] = entry.traceback
        if entry.stack:
            document["stack_info"] = entry.stack
        document |= self._static
        document |= nest(entry.extras, "", entry.notes, self._redact)
        return document

    def _smallest(self, entry: Entry) -> bytes:
        """What is left of an event that no cutting of texts makes small enough: it has too many members."""
        document = {"@timestamp": iso(entry.created), "message": entry.message, **entry.attributes, "loghttp_cut": True}
        return fit(document, EVENT_BYTES) or dumps({"message": "(too large to send)"})

    def _wrap(self, text: str, timestamp: str) -> bytes:
        """The event as it waits: whole but for the key, which is added when it is sent and never stored."""
        match self._endpoint:
            case "/batch":
                return dumps(text)
            case "/array":
                return dumps({"json": text, "timestamp": timestamp})
            case "/":
                return dumps({"json": text, "@timestamp": timestamp})


def _with_key(event: bytes, key: bytes) -> bytes:
    return b'{"intake_key":%s,%s' % (key, event[1:])


def _cut(text: str, limit: int) -> str:
    """Structured text loses the ends of its longest values and stays JSON; other text loses its end."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        document["loghttp_cut"] = True
        body = fit(document, limit)
        if body is not None:
            return body.decode()
    mark = "… [cut by loghttp]"
    return text.encode()[: max(0, limit - len(mark.encode()))].decode("utf-8", "ignore") + mark
