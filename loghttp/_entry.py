"""Reads a captured record into the neutral form that every intake shapes its events from.

Rule: this is the only room that knows `LogRecord`'s attributes, and the intakes know only `Entry`. Runs on
the listener's thread.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from traceback import TracebackException
from typing import Any, Final

from pythonjsonlogger.core import BaseJsonFormatter

from loghttp._capture import SITE, STANDARD, Captured, Plain, message_of
from loghttp._encoding import EMPTY, LARGE, dumps, nest, scalar, text
from loghttp._freeze import ATOMS, Mark, freeze, safe_text

DEFAULT_ATTRIBUTES: Final = ("level", "logger", "module", "function", "line", "process", "thread", "sequence")
"""Record attributes that become fields when nothing else is said."""

_SOURCES: Final = {
    "level": "levelname",
    "logger": "name",
    "function": "funcName",
    "line": "lineno",
    "thread": "threadName",  # its name; a thread's number says nothing outside the process
}
"""Short names for record attributes; any other name is taken as `LogRecord`'s own."""

_VARYING: Final = frozenset({"msg", "args", "created", "msecs", "relativeCreated"})
"""Attributes that are another's in each record."""


@dataclass(slots=True)
class Entry:
    """One record, safe to shape: all text can be UTF-8, all numbers can be JSON."""

    created: float
    """`record.created`: seconds since 1970, UTC."""
    message: str
    """The message without its traceback; never empty."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """The chosen record attributes, and `exc_type` and `exc_message` where there was an exception."""
    extras: dict[str, Any] = field(default_factory=dict)
    """What the program passed as `extra=`, or logged as a dict; dicts and lists kept (see `_freeze.freeze`)."""
    traceback: str = ""
    stack: str = ""
    text: str | None = None
    """What a user's text formatter made of the record."""
    document: dict[str, Any] | None = None
    """What a user's JSON formatter made of the record."""
    large: bool = False
    """Whether its record weighs more than `_encoding.LARGE`."""
    notes: list[str] = field(default_factory=list)
    """Names of what had to be changed to be sent at all."""


class Reader:
    """Reads records; made once for a handler, used by its listener's thread."""

    def __init__(self, attributes: Sequence[str], redact: Collection[str] = ()) -> None:
        self._sources = tuple((name, _SOURCES.get(name, name)) for name in attributes if name != "sequence")
        self._with_sequence = "sequence" in attributes
        sources = {source for _, source in self._sources if source in STANDARD}
        self._site = (*SITE, *(sources - {*SITE}))
        self.site_of = None if _VARYING & sources else itemgetter(*self._site)
        """Gets a plain record's `site`; None if what is asked for is another in each record."""
        self._redact = frozenset(name.lower() for name in redact)

    def read(self, record: Captured | Plain) -> Entry:
        """Raises what the user's formatter raises, and nothing else."""
        if isinstance(record, Plain):
            record = record.whole(self._site)
        values = record.__dict__
        notes: list[str] = []
        entry = Entry(record.when, "", large=record.size > LARGE, notes=notes)
        if record.when != values.get("created"):
            notes.append("time")
        entry.attributes = self._attributes(record, notes)
        for key in record.extras:
            name = key if type(key) is str else safe_text(key)
            if not name.startswith("_"):
                entry.extras[name] = values[key]
        self._read_exception(record, entry)
        if values.get("stack_info"):
            entry.stack = text(safe_text(values["stack_info"]), "stack_info", notes)
        if type(record.msg) is dict:  # structured logging: its members are fields, and its text is JSON
            entry.extras = {**record.msg, **entry.extras}
            message = dumps(nest(record.msg, "", notes, self._redact)).decode()
        else:
            formatted = record.msg if type(record.msg) is Mark else message_of(record)
            if type(formatted) is Mark:
                record.msg, record.args = formatted, None  # a formatter would stumble over them once more
            message = text(formatted, "message", notes)
        if not message.strip():
            message = EMPTY
            notes.append("message")
        entry.message = message
        if record.formatter is not None:
            self._read_formatted(record, record.formatter, entry)
        return entry

    def _attributes(self, record: Captured, notes: list[str]) -> dict[str, Any]:
        values = record.__dict__
        attributes: dict[str, Any] = {}
        for name, source in self._sources:
            value = values.get(source)
            if value is not None and (source in STANDARD):
                kind = type(value)
                if issubclass(kind, int):  # an enum's member, say: as the int that it equals
                    kind, value = int, int.__int__(value)
                attributes[name] = scalar(value if kind in ATOMS else safe_text(freeze(value)[0]), name, notes)
        if self._with_sequence:
            attributes["sequence"] = record.sequence
        return attributes

    def _read_exception(self, record: Captured, entry: Entry) -> None:
        """The exception as text and as two fields; formatters find the text where logging caches it."""
        exception, cached = record.exception, record.__dict__.get("exc_text")
        if exception is None:  # it may have come through a queue or a socket, as text
            entry.traceback = text(safe_text(cached), "exception", entry.notes).strip("\n") if cached else ""
            return
        entry.attributes["exc_type"] = text(_type_name(exception), "exc_type", entry.notes)
        entry.attributes["exc_message"] = text(str(exception), "exc_message", entry.notes)
        if isinstance(cached, str) and cached.isspace() and "Traceback" in str(record.msg):
            return  # how loguru says that the traceback stands in the message already
        try:
            traceback = "".join(exception.format()).rstrip("\n")
        except Exception as error:  # noqa: BLE001  a SyntaxError with odd attributes, say
            traceback = Mark(f"<traceback unreadable: {type(error).__name__}>")
        entry.traceback = text(traceback, "exception", entry.notes)
        in_lines = getattr(record.formatter, "exc_info_as_array", False)
        record.exc_text = traceback.splitlines() if in_lines else traceback  # type: ignore[assignment]

    def _read_formatted(self, record: Captured, formatter: logging.Formatter, entry: Entry) -> None:
        formatted = formatter.format(record) if record.text is None else record.text
        if isinstance(formatter, BaseJsonFormatter):
            try:
                document = json.loads(formatted)
            except (ValueError, RecursionError):
                document = None
            if isinstance(document, dict) and document:
                entry.document = nest(document, "", entry.notes, self._redact)
                return
        entry.text = text(formatted if formatted.strip() else EMPTY, "message", entry.notes)


def _type_name(exception: TracebackException) -> str:
    """As tracebacks write it: `ValueError`, `shop.errors.OutOfStock`."""
    if sys.version_info >= (3, 13):
        return exception.exc_type_str or ""
    kind = exception.exc_type
    return (
        kind.__qualname__ if kind.__module__ in ("__main__", "builtins") else f"{kind.__module__}.{kind.__qualname__}"
    )
