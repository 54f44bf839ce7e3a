"""SEKOIA.IO's HTTPS intake, read strictly: its three endpoints, the intake key, and the words of its answers.

Pure. Members are those of the vendor's page and examples; anything else is refused, the page's misprint
``intakey_key`` too.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from typing import Any

from loghttp.testing import _json
from loghttp.testing._received import ReceivedEvent
from loghttp.testing._replies import Answer, Refused, json_answer

ENDPOINTS = frozenset({"/", "/batch", "/array"})
CONTENT_TYPES = frozenset({"application/json", "application/json;charset=utf-8"})

#: Where SEKOIA.IO's other clients stop; the vendor documents no limit of a request.
BODY_BYTES = 9_437_184
#: Documented: an event of more than 250 KiB is rejected, never cut.
EVENT_BYTES = 250 * 1024

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def endpoint(path: str) -> str:
    """The last part of `path`, slash included: the endpoints are there below any prefix."""
    return "/" + path.rpartition("/")[2]


def accepted(endpoint: str, events: int) -> Answer:
    """The answer to a request of which so many events were taken: an id for each."""
    ids = [str(uuid.uuid4()) for _ in range(events)]
    return json_answer(200, {"event_id": ids[0]} if endpoint == "/" and ids else {"event_ids": ids})


def refused(refusal: Refused) -> Answer:
    """The answer to a request that is refused. The vendor documents no body for it, so: the reason."""
    return json_answer(refusal.status, {"message": str(refusal)})


def read(text: str, endpoint: str, intake_key: str) -> tuple[ReceivedEvent, ...]:
    """The events of a request's body; the first bad one refuses them all."""
    try:
        value = _json.read_value(text)
    except _json.NotStrictJSON as error:
        raise Refused(400, str(error)) from None
    bodies = _READERS[endpoint](value, intake_key)
    events: list[ReceivedEvent] = []
    try:
        for body in bodies:
            events.append(_event(body))
    except Refused as refusal:
        raise Refused(refusal.status, refusal.reason, event=len(events)) from None
    return tuple(events)


def _read_one(value: Any, intake_key: str) -> list[dict[str, Any]]:
    _check_object(value, {"intake_key", "json", "@timestamp"}, intake_key)
    return [_without_key(value)]


def _read_batch(value: Any, intake_key: str) -> list[dict[str, Any]]:
    _check_object(value, {"intake_key", "jsons"}, intake_key)
    jsons = value.get("jsons")
    if not isinstance(jsons, list) or not jsons:
        raise Refused(400, "jsons must be a non-empty list of strings")
    return [{"json": text} for text in jsons]


def _read_array(value: Any, intake_key: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise Refused(400, "the body must be a non-empty array of objects")
    for number, item in enumerate(value):
        _check_object(item, {"intake_key", "json", "timestamp"}, intake_key, event=number)
    return [_without_key(item) for item in value]


_READERS = {"/": _read_one, "/batch": _read_batch, "/array": _read_array}


def _check_object(value: Any, members: set[str], intake_key: str, event: int | None = None) -> None:
    if not isinstance(value, dict):
        raise Refused(400, "not a JSON object", event=event)
    # Names first: a misspelt intake_key is best told as what it is.
    if unknown := value.keys() - members:
        raise Refused(400, f"unknown member {min(unknown)!r}", event=event)
    if "intake_key" not in value:
        raise Refused(401, "intake_key is missing", event=event)
    if value["intake_key"] != intake_key:
        raise Refused(401, "intake_key is not known", event=event)


def _without_key(value: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in value.items() if name != "intake_key"}


def _event(body: dict[str, Any]) -> ReceivedEvent:
    text = body.get("json")
    if not isinstance(text, str) or not text:
        raise Refused(400, "an event must be a non-empty string")
    if len(text) * 4 > EVENT_BYTES and len(text.encode()) > EVENT_BYTES:
        raise Refused(413, f"an event of more than {EVENT_BYTES:,} bytes")
    return ReceivedEvent(dialect="sekoia", body=body, event=_unquoted(text), time=_time(body))


def _unquoted(text: str) -> str | dict[str, Any]:
    """What a reader would take for a JSON object must be one that every reader takes; other text is text."""
    if not text.startswith("{") or not _is_generously_json(text):
        return text
    try:
        structured: dict[str, Any] = _json.read_value(text)
    except _json.NotStrictJSON as error:
        raise Refused(400, f"structured logs are quoted JSON, this one is not: {error}") from None
    return structured


def _is_generously_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _time(body: dict[str, Any]) -> float | None:
    stamps = [body[name] for name in ("timestamp", "@timestamp") if name in body]
    return _unix_seconds(stamps[0]) if stamps else None


def _unix_seconds(stamp: Any) -> float:
    match = _RFC3339.fullmatch(stamp) if isinstance(stamp, str) else None
    if match is None:
        raise Refused(400, "a timestamp must be RFC 3339 with an offset: 2021-04-05T21:33:31+02:00")
    seconds, fraction, offset = match.groups()
    # Python 3.10 reads neither "Z" nor a fraction of other than 3 or 6 digits.
    micros = (fraction or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{seconds}.{micros}{offset.replace('Z', '+00:00')}").timestamp()
    except ValueError:
        raise Refused(400, "a timestamp of a day or an hour that does not exist") from None
