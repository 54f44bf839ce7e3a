"""Humio's HTTP Event Collector, read strictly: authorization, events, and the words of its answers.

Pure. Members and limits are those that Humio documents; what another server of HEC refuses is refused too.
"""

from __future__ import annotations

import gzip
import math
import re
from typing import Any

from loghttp.testing import _json
from loghttp.testing._received import Headers, ReceivedEvent
from loghttp.testing._replies import Answer, Refused, json_answer

PATHS = frozenset({"/api/v1/ingest/hec", "/services/collector"})
#: A bare text/plain makes Fluent Bit's HEC input keep the body raw, so only the documented form will do.
CONTENT_TYPES = frozenset({"text/plain;charset=utf-8", "application/json", "application/json;charset=utf-8"})

# Humio's documented limits: one request after decompression, one event, the fields of one event.
BODY_BYTES = 33_554_432
EVENT_BYTES = 1_000_000
FIELDS = 8_000

_TEXT_MEMBERS = ("timezone", "index", "sourcetype", "source", "host")
_MEMBERS = frozenset({"time", "event", "fields", *_TEXT_MEMBERS})
#: As seconds this is the year 5138; as milliseconds, March 1973. Whoever sends more has sent milliseconds.
_LATEST_SECONDS = 1e11
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_AUTHORIZATION = re.compile(r"(?:Bearer|Splunk) (\S+)")

_TAKEN = b"{}"
_TAKEN_GZIP = gzip.compress(_TAKEN, mtime=0)


def accepted(headers: Headers) -> Answer:
    """What a healthy server was recorded answering: ``{}``, compressed for a client that offers gzip."""
    if _offers_gzip(headers.get("Accept-Encoding", "")):
        return Answer(200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, _TAKEN_GZIP)
    return Answer(200, {"Content-Type": "application/json"}, _TAKEN)


def refused(refusal: Refused) -> Answer:
    """The answer to a request that is refused, in HEC's words."""
    bad_data = refusal.status == 400
    members = {
        "text": f"Invalid data format: {refusal.reason}" if bad_data else refusal.reason,
        "code": 6 if bad_data else refusal.code,
        "invalid-event-number": refusal.event,
    }
    return json_answer(refusal.status, {name: value for name, value in members.items() if value is not None})


def check_authorization(headers: Headers, token: str) -> None:
    """Refuse a request that does not bear `token`."""
    if "Authorization" not in headers:
        raise Refused(401, "Token is required", code=2)
    match = _AUTHORIZATION.fullmatch(headers["Authorization"])
    if match is None:
        raise Refused(401, "Invalid authorization", code=3)
    if match[1] != token:
        raise Refused(403, "Invalid token", code=4)


def read(text: str, repository: str | None) -> tuple[ReceivedEvent, ...]:
    """The events of a request's body; the first bad one refuses them all."""
    events: list[ReceivedEvent] = []
    try:
        for value, source in _json.read_sequence(text):
            events.append(_event(value, source, repository))
    except _json.NotStrictJSON as error:
        raise Refused(400, str(error), event=len(events)) from None
    except Refused as refusal:
        raise Refused(refusal.status, refusal.reason, event=len(events)) from None
    if not events:
        raise Refused(400, "no event in the body")
    return tuple(events)


def _offers_gzip(accept_encoding: str) -> bool:
    choices = (choice.partition(";q=") for choice in accept_encoding.replace(" ", "").lower().split(","))
    # A weight of nothing but zeros and dots is zero, which forbids (RFC 9110, 12.4.2); no weight is 1.
    return any(name in {"gzip", "*"} and (not weight or weight.strip("0.")) for name, _, weight in choices)


def _event(value: Any, source: str, repository: str | None) -> ReceivedEvent:
    if isinstance(value, list):
        raise Refused(400, "an array; events are objects one after the other, not in an array")
    if not isinstance(value, dict):
        raise Refused(400, "not a JSON object")
    if len(source) * 4 > EVENT_BYTES and len(source.encode()) > EVENT_BYTES:
        raise Refused(413, f"an event of more than {EVENT_BYTES:,} bytes")
    if unknown := value.keys() - _MEMBERS:
        raise Refused(400, f"unknown member {min(unknown)!r}")
    for name in _TEXT_MEMBERS:
        if name in value and (not isinstance(value[name], str) or not value[name]):
            raise Refused(400, f"{name} must be a non-empty string")
    if repository is not None and value.get("index", repository) != repository:
        raise Refused(400, "index must be the repository of the token")
    return ReceivedEvent(
        dialect="hec",
        body=value,
        event=_event_member(value),
        time=_time(value),
        fields=_fields(value),
        **{name: value.get(name) for name in _TEXT_MEMBERS},
    )


def _event_member(value: dict[str, Any]) -> str | dict[str, Any]:
    event = value.get("event")
    if isinstance(event, (str, dict)) and event:
        return event
    raise Refused(400, "event must be there, a non-empty string or a non-empty object")


def _time(value: dict[str, Any]) -> float | None:
    if "time" not in value:
        return None
    time = value["time"]
    if isinstance(time, str) and _SECONDS.fullmatch(time):
        time = float(time)
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not math.isfinite(time):
        raise Refused(400, "time must be a number of seconds")
    if abs(time) > _LATEST_SECONDS:
        raise Refused(400, "time looks like milliseconds, it must be seconds")
    return float(time)


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    fields = value.get("fields", {})
    if not isinstance(fields, dict):
        raise Refused(400, "fields must be an object")
    if len(fields) > FIELDS:
        raise Refused(400, f"more than {FIELDS:,} fields")
    for name, member in fields.items():
        if name in {"", "#"}:
            raise Refused(400, "a field without a name")
        if not isinstance(member, (str, int, float)):  # a bool is an int
            raise Refused(400, f"field {name!r} must be a string, a number or a bool; fields are flat")
        if name.startswith("#") and not isinstance(member, str):
            raise Refused(400, f"tag {name!r} must be a string")
    return fields
