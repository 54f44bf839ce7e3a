"""What the page of `loghttp serve` shows of an event and of a request, as JSON values. Pure: no output, no clock.

Rule: both dialects come out in one shape, flat and under the names that an intake's users know, so that one filter
finds `user.id=7` in both. No header is shown but the client's name: others may carry the token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Final

from loghttp.testing import ReceivedEvent, ReceivedRequest

_LEVEL_NAMES: Final = ("level", "levelname", "severity", "log.level")
_SEVERITIES: Final = {
    **dict.fromkeys(("TRACE", "DEBUG", "10"), "debug"),
    **dict.fromkeys(("INFO", "INFORMATION", "NOTICE", "20"), "info"),
    **dict.fromkeys(("WARN", "WARNING", "30"), "warning"),
    **dict.fromkeys(("ERR", "ERROR", "40"), "error"),
    **dict.fromkeys(("CRIT", "CRITICAL", "FATAL", "ALERT", "EMERG", "EMERGENCY", "PANIC", "50"), "critical"),
}
_EXACT_IN_JAVASCRIPT: Final = 2**53  # a larger integer would be shown as another one
_DEEPEST: Final = 16  # what is nested deeper is shown as JSON
_FRACTION: Final = re.compile(r"\.([0-9]+)")


def shown_event(event: ReceivedEvent, number: int, request: int, received_at: float) -> dict[str, Any]:
    """An event for the page: `number` is its own, `request` that of the request that brought it."""
    try:
        fields = _hec_fields(event) if event.dialect == "hec" else _sekoia_fields(event)
        text = event.message or _json(event.event)
    except RecursionError:  # JSON that could just be read may be too deep to be written
        fields, text = {}, "(nested too deep to be shown)"
    time = _time(event)
    level = next((str(fields[name]) for name in _level_keys(fields)), "")
    return {
        "n": number,
        "request": request,
        "dialect": event.dialect,
        "time": received_at if time is None else time,
        "level": level,
        "severity": severity(level),
        "text": text,
        "fields": {"@timestamp": _iso(received_at if time is None else time), **fields},
    }


def shown_request(request: ReceivedRequest, number: int, state: str) -> dict[str, Any]:
    """A request for the page: `state` is "done", "held" while its answer is held back, or "cut"."""
    return {
        "n": number,
        "state": state,
        "time": request.received_at,
        "method": request.method,
        "path": request.path.partition("?")[0],  # a query may carry a token
        "status": request.status,
        "refusal": request.refusal,
        "events": len(request.events),
        "wire": request.wire_bytes,
        "size": len(request.body),
        "agent": request.headers.get("User-Agent", ""),
    }


def severity(level: str) -> str:
    """Which of Python's five levels a level of any logging library is, in lower case; "" if it is none."""
    return _SEVERITIES.get(level.upper(), "")


def flatten(members: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects as dotted names, arrays as JSON: ``{"user": {"id": 7}}`` is ``{"user.id": 7}``."""
    return dict(_flat(members, "", 1))


def _flat(members: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, (dict, list)):
            yield prefix + name, _json(value)
        elif isinstance(value, int) and abs(value) > _EXACT_IN_JAVASCRIPT:
            yield prefix + name, str(value)
        else:
            yield prefix + name, value


def _hec_fields(event: ReceivedEvent) -> dict[str, Any]:
    """HEC's members by the names that Humio gives them, the tags first."""
    known = {"@host": event.host, "@source": event.source, "#type": event.sourcetype}
    known |= {"#repo": event.index, "@timezone": event.timezone}
    tags = {name: value for name, value in event.fields.items() if name.startswith("#")}
    others = {name: value for name, value in event.fields.items() if name not in tags}
    document = event.event if isinstance(event.event, dict) else {}
    return {name: value for name, value in known.items() if value} | tags | flatten(document) | flatten(others)


def _sekoia_fields(event: ReceivedEvent) -> dict[str, Any]:
    return flatten(event.event) if isinstance(event.event, dict) else {}


def _level_keys(fields: Mapping[str, Any]) -> Iterator[str]:
    return (key for name in _LEVEL_NAMES for key in (name, f"#{name}") if key in fields)


def _time(event: ReceivedEvent) -> float | None:
    """The event's own time in Unix seconds; None if it says none that can be read, or none that a clock shows."""
    time = event.time
    stamp = event.event.get("@timestamp") if isinstance(event.event, dict) else None
    if time is None and isinstance(stamp, str):
        try:
            # Python 3.10 reads neither "Z" nor a fraction of other than 3 or 6 digits.
            digits = _FRACTION.sub(lambda fraction: "." + fraction[1][:6].ljust(6, "0"), stamp, count=1)
            read = datetime.fromisoformat(digits.replace("Z", "+00:00"))
            time = (read if read.tzinfo else read.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            return None
    return time if time is not None and 0 <= time < 253_402_300_800 else None  # from 1970 to the year 9999


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
