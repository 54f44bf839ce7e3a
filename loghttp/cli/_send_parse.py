"""One line of a log becomes one record: what it says of its own time, level and fields is taken over.

Rule: pure but for the time of a line that has none. Nothing of a line is lost: what is not recognised stays a field,
bytes that are no UTF-8 stay readable (`\\xff`), and a line that is no JSON object is text.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

TIMES: Final = ("@timestamp", "timestamp", "time", "ts", "datetime", "asctime", "created")
LEVELS: Final = ("level", "severity", "levelname", "log.level", "loglevel", "lvl")
MESSAGES: Final = ("message", "msg", "event", "short_message", "log")

_SAME: Final = {"WARN": "WARNING", "ERR": "ERROR", "FATAL": "CRITICAL", "CRIT": "CRITICAL"}
_WORDS: Final = "TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|ERR|CRITICAL|CRIT|FATAL|ALERT|EMERG"
_STAMP: Final = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_OPENING: Final = re.compile(r"[\[(<\"]?")
_LEVEL_FIRST: Final = re.compile(rf"[\[(<]?({_WORDS})\b")
_LEVEL_NEXT: Final = re.compile(rf"[\])>\":,]*\s*(?:\S+\s+){{0,3}}?[\[(<]?({_WORDS})\b")
"""After the time, and at most three words such as a logger's name or a process id."""
_HEAD: Final = 120  # characters of a line in which time and level are looked for
_OLDEST: Final = 1e8  # 1973, in seconds; smaller numbers are no times of logs
_UNITS: Final = (1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9)  # seconds, milli-, micro-, nanoseconds

# Names that `logging` keeps for itself. These may be set to any text or whole number, for no other use is made of them
# here; they are sent under their own names as the handler's `attributes`.
ATTRIBUTES: Final = ("pathname", "filename", "module", "lineno", "funcName", "thread", "threadName", "process")
_BLANK: Final[dict[str, Any]] = {
    **dict.fromkeys(ATTRIBUTES),
    "name": "loghttp.send",
    "levelno": logging.INFO,  # loghttp's flush_level is for programs; a file leaves in whole batches
    "levelname": None,
}
_RESERVED: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Parser:
    """Makes records of lines; `fields` are on each of them, where the line itself has no such name."""

    def __init__(self, fields: dict[str, Any] | None = None, *, text_only: bool = False) -> None:
        self._fields = fields or {}
        self._text_only = text_only

    def record(self, line: bytes, offset: int) -> logging.LogRecord | None:
        """The record; None for a line without anything in it. `offset` is where it begins, in bytes."""
        text = line.rstrip(b"\r\0").decode("utf-8", "backslashreplace").removeprefix("\ufeff")
        if not text or text.isspace():
            return None
        members = None if self._text_only else _object(text)
        attributes = {**_BLANK, **self._fields, "offset": offset}
        if members is None:
            attributes |= {"msg": text, **_of_text(text)}
        else:
            attributes |= _of_members(text, members)
        return logging.makeLogRecord(attributes)


def _object(text: str) -> dict[str, Any] | None:
    """The members of a line that is a JSON object with any."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document else None


def _of_text(text: str) -> dict[str, Any]:
    """Time and level at the start of a line, each where it is there; the text itself stays whole."""
    found: dict[str, Any] = {}
    head = text[:_HEAD]
    opening = _OPENING.match(head)
    stamp = _STAMP.match(head, opening.end() if opening else 0)
    level = _LEVEL_NEXT.match(head, stamp.end()) if stamp else _LEVEL_FIRST.match(head)
    if stamp and (seconds := _seconds(stamp)) is not None:
        found["created"] = seconds
    if level:
        found["level"] = _SAME.get(level[1], level[1])
    return found


def _of_members(text: str, members: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"msg": text}
    for name in TIMES:
        if name in members and (seconds := _time(members[name])) is not None:
            del members[name]
            attributes["created"] = seconds
            break
    for name in MESSAGES:
        if isinstance(members.get(name), str) and members[name].strip():
            attributes["msg"] = members.pop(name).rstrip("\n")
            break
    for name in LEVELS:
        if isinstance(members.get(name), str) and members[name].strip():
            level = members.pop(name).strip()
            known = level.upper() if re.fullmatch(_WORDS, level.upper()) else level
            members = {"level": _SAME.get(known, known), **members}
            break
    for name in ("exc_info", "exc_text"):
        if isinstance(members.get(name), str) and "exc_text" not in attributes:
            attributes["exc_text"] = members.pop(name)
    if isinstance(members.get("stack_info"), str):
        attributes["stack_info"] = members.pop("stack_info")
    attributes.update(_free(members))
    return attributes


def _free(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The members by names that a record can bear."""
    if "name" in members and "logger" not in members:  # python-json-logger's
        members["logger"] = members.pop("name")
    taken = {*members, *_RESERVED}
    for name, value in members.items():
        if name in _RESERVED:
            if isinstance(value, dict):  # ECS: {"process": {"pid": 1}}
                yield from ((_unused(f"{name}.{inner}", taken), deeper) for inner, deeper in value.items())
            elif name in ATTRIBUTES and type(value) in (str, int):
                yield name, value
            else:
                yield _unused(f"{name}_", taken), value
        elif name.startswith("_") or not name:  # extras that begin so are private, and would stay home
            yield _unused(name.lstrip("_") or "field", taken), value
        else:
            yield name, value


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _time(value: Any) -> float | None:
    """Seconds since 1970 of a text as ISO 8601 writes it, or of a number of seconds, milli-, micro- or nanoseconds."""
    if isinstance(value, str):
        stamp = _STAMP.match(value.strip())
        if stamp:
            return _seconds(stamp)
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= _OLDEST:
        return None
    return next((value / unit for most, unit in _UNITS if value < most), None)


def _seconds(stamp: re.Match[str]) -> float | None:
    *parts, fraction, zone = stamp.groups()
    whole = _whole(tuple(parts), zone)
    return None if whole is None else whole + (float(f"0.{fraction}") if fraction else 0.0)


@lru_cache(maxsize=64)  # lines of one second come together
def _whole(parts: tuple[str, ...], zone: str | None) -> float | None:
    try:
        moment = datetime(*map(int, parts))  # type: ignore[arg-type]  # six of them
        if zone is None:
            return moment.timestamp()  # this machine's own time, as Python's logging writes it
        if zone == "Z":
            return moment.replace(tzinfo=timezone.utc).timestamp()
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        return moment.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset)).timestamp()
    except (ValueError, OverflowError):  # the 30th of February; before 1970 on some systems
        return None
