"""Takes a record as it is at the moment of logging, so that what was logged is what is sent.

Rule: runs on the program's thread, so it does as little as it can: one shallow copy of the record's
attributes, and a deep copy only of what could still change. It never raises and never alters the record,
which other handlers see too. No JSON, no I/O.
"""

from __future__ import annotations

import dataclasses
import logging
import numbers
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from time import time
from traceback import TracebackException
from types import NoneType
from typing import Any, Final
from uuid import UUID

STANDARD: Final = frozenset(vars(logging.makeLogRecord({})))
"""The attributes that every LogRecord of this Python has; all others are extras."""

FORMATTED: Final = frozenset({"message", "asctime"})
"""Attributes that an earlier handler's formatter leaves on the record: neither standard nor extras."""

_TIME: Final = frozenset({float, int})
_NUMBERS: Final = frozenset({int, float, bool, complex, Decimal, Fraction})
_TIMES: Final = frozenset({datetime, date, time_of_day, timedelta})
ATOMS: Final = _NUMBERS | _TIMES | frozenset({str, bytes, NoneType, UUID})
"""Types (not their subclasses) whose values never change: they are kept as they are."""

RECORD_COST: Final = 1_100
"""Bytes that a waiting record keeps alive besides its texts (tracemalloc, CPython 3.11)."""
_COPIES: Final = 3  # while it is encoded, a text is there as itself, as JSON text, and as JSON's bytes
_ITEM_COST: Final = 100  # the same for one item of an extra's container

LATEST: Final = 253_402_300_799.0
"""Seconds since 1970 to the end of the year 9999: later than this is no time."""
MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 1_000
"""Items copied of one extra, all levels together: a logging call must not copy a database."""


class Mark(str):
    """Text that stands where a value could not be taken as it was, such as `<cycle>`."""

    __slots__ = ()


class Captured(logging.LogRecord):
    """A private copy of a record, on its way to the listener.

    What is loghttp's own is kept in slots, beside the record's attributes and not among them.
    """

    __slots__ = ("exception", "extras", "formatter", "sequence", "size", "text", "when")

    formatter: logging.Formatter | None
    """The handler's formatter when the record was logged."""
    text: str | None
    """What that formatter made of the record on the calling thread; None if it runs on the listener's."""
    exception: TracebackException | None
    extras: Sequence[str]
    """Names of the attributes that are the program's own."""
    when: float
    """`created`, or now where somebody put something else there that is no time."""
    sequence: int
    """Given by the buffer that takes the record."""
    size: int
    """Bytes that this copy is taken to occupy while it waits."""


def capture(record: logging.LogRecord, formatter: logging.Formatter | None = None, text: str | None = None) -> Captured:
    """A copy of `record` that later changes to its args, its extras or its exception do not reach."""
    captured: Captured = object.__new__(Captured)
    captured.__dict__ = attributes = record.__dict__.copy()
    captured.formatter = formatter
    captured.text = text
    captured.exception = None
    when = attributes["created"]
    captured.when = float(when) if type(when) in _TIME and 0 <= when <= LATEST else time()
    size = RECORD_COST if text is None else RECORD_COST + len(text)

    message = attributes["msg"]
    if type(message) is str and type(record) is logging.LogRecord:
        size += len(message)
        if attributes["args"]:
            arguments = _size_if_lasting(attributes["args"])
            size += _format_now(record, attributes) if arguments is None else arguments
    elif issubclass(type(message), dict):  # not isinstance, which asks the object
        attributes["msg"], cost = freeze(message)
        size += cost
    else:
        size += _format_now(record, attributes)

    captured.extras = extras = _extras(attributes)
    for name in extras:
        value = attributes[name]
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind in ATOMS:
            size += value.__sizeof__()
        else:
            attributes[name], cost = freeze(value)
            size += cost
    if attributes["exc_info"]:
        captured.exception, cost = _snapshot(attributes["exc_info"])
        attributes["exc_info"] = None  # frames, and every local variable in them, are let go
        size += cost
    for name in ("exc_text", "stack_info"):
        if isinstance(attributes.get(name), str):
            size += len(attributes[name])
    captured.size = RECORD_COST + _COPIES * (size - RECORD_COST)
    return captured


def message_of(record: logging.LogRecord) -> str:
    """The record's message; where msg and args do not fit, both, and the reason."""
    try:
        return str(record.getMessage())
    except Exception as error:  # noqa: BLE001  any object's __str__ may run here
        return Mark(f"{safe_text(record.msg)} <args {safe_text(record.args)} do not fit: {safe_text(error)}>")


def safe_text(value: object) -> str:
    """`str(value)`, or a mark where that raises."""
    try:
        return str.__str__(str(value))  # a subclass of str is let go: its methods are the user's
    except Exception as error:  # noqa: BLE001  any object's __str__ may run here
        return Mark(f"<unprintable {type(value).__name__}: {type(error).__name__}>")


def freeze(value: object) -> tuple[Any, int]:
    """A private copy made of atoms, `Mark`s, dicts and lists; and the bytes it is taken to occupy."""
    freezer = _Freezer()
    return freezer.freeze(value, ()), freezer.size


def _size_if_lasting(arguments: object) -> int | None:
    """Bytes of the texts among a record's args if none of them can change, else None."""
    if type(arguments) is not tuple:
        return None  # a mapping: "%(name)s"
    size = 0
    for argument in arguments:
        kind = type(argument)
        if kind is str:
            size += len(argument)
        elif kind in ATOMS:
            size += argument.__sizeof__()
        else:
            return None
    return size


def _format_now(record: logging.LogRecord, attributes: dict[str, Any]) -> int:
    attributes["msg"] = message = message_of(record)
    attributes["args"] = None
    return len(message)


def _extras(attributes: dict[str, Any]) -> Sequence[str]:
    """The names of the extras.

    `logging` adds them after the standard attributes, so they are found from the end; if their number is not
    what is expected (a record factory may add its own first), all attributes are looked through.
    """
    names: list[str] = []
    for name in reversed(attributes):
        if name in STANDARD:
            break
        names.append(name)
    if len(names) != len(attributes) - len(STANDARD):
        names = [name for name in reversed(attributes) if name not in STANDARD]
    return [name for name in reversed(names) if name not in FORMATTED] if names else ()


def _snapshot(exc_info: Any) -> tuple[TracebackException | None, int]:
    """The exception as it is now: its text, notes, causes and line numbers, but no frames; and its bytes.

    Source lines are looked up later, on the listener's thread, for that reads files.
    """
    try:
        kind, value, trace = exc_info
        if kind is None:
            return None, 0
        snapshot = TracebackException(kind, value, trace, lookup_lines=False, compact=True)
    except Exception as error:  # noqa: BLE001  properties of a user's exception may run here
        failure = RuntimeError(f"the exception could not be read: {type(error).__name__}")
        snapshot = TracebackException(RuntimeError, failure, None)
    size = 0
    waiting: list[Any] = [snapshot]
    while waiting:
        part = waiting.pop()
        notes = getattr(part, "__notes__", None)  # since 3.11
        if isinstance(notes, list):
            part.__notes__ = notes = list(notes)  # it was the exception's own, which may grow
            size += sum(len(note) for note in notes if isinstance(note, str))
        size += RECORD_COST + len(str(part)) + _ITEM_COST * len(part.stack)
        chained = [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
        waiting += [other for other in chained if other is not None]
    return snapshot, size


class _Freezer:
    """One deep copy: bounded in depth and number, indifferent to cycles and to what raises."""

    __slots__ = ("_left", "size")

    def __init__(self) -> None:
        self._left = MAX_ITEMS
        self.size = 0

    def freeze(self, value: Any, above: tuple[int, ...]) -> Any:
        """`above`: the ids of the containers around `value`, by which a cycle is known."""
        self.size += _ITEM_COST
        kind = type(value)
        if kind is str:
            self.size += len(value)
            return value
        if kind in ATOMS:
            self.size += value.__sizeof__()
            return value
        try:
            return self._freeze_other(value, above)
        except Exception as error:  # noqa: BLE001  any method of the user's object may run here
            return Mark(f"<unreadable {kind.__name__}: {type(error).__name__}>")

    def _freeze_other(self, value: Any, above: tuple[int, ...]) -> Any:
        if id(value) in above:
            return Mark("<cycle>")
        inside = (*above, id(value))
        if isinstance(value, Enum):
            return self.freeze(value.value, inside)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
            return self._freeze_mapping(fields, len(dataclasses.fields(value)), inside)
        if isinstance(value, Mapping):
            return self._freeze_mapping(value.items(), len(value), inside)
        if isinstance(value, (list, tuple, Set, deque)):
            return self._freeze_items(value, len(value), inside)
        if isinstance(value, (bytearray, memoryview)):
            self.size += len(value)
            return bytes(value)
        if isinstance(value, numbers.Integral):  # also NumPy's
            return int(value)
        if isinstance(value, numbers.Real):
            return float(value)
        text = _describe(value)
        self.size += len(text)
        return text

    def _freeze_mapping(self, members: Iterable[tuple[Any, Any]], number: int, above: tuple[int, ...]) -> Any:
        if len(above) > MAX_DEPTH:
            return Mark(f"<{number} entries, too deep>")
        copy: dict[str, Any] = {}
        # A list first: another thread may be changing the mapping. Cut first: it may be a database.
        for key, item in list(islice(members, max(0, self._left))):
            self._left -= 1
            name = key if type(key) is str else safe_text(key)
            while name in copy:  # {1: "a", "1": "b"}: both are kept
                name += "_"
            self.size += len(name)
            copy[name] = self.freeze(item, above)
        if len(copy) < number:
            copy["<more>"] = Mark(f"<{number - len(copy)} entries left out>")
        return copy

    def _freeze_items(self, items: Iterable[Any], number: int, above: tuple[int, ...]) -> Any:
        if len(above) > MAX_DEPTH:
            return Mark(f"<{number} items, too deep>")
        copy: list[Any] = []
        for item in list(islice(items, max(0, self._left))):
            self._left -= 1
            copy.append(self.freeze(item, above))
        if len(copy) < number:
            copy.append(Mark(f"<{number - len(copy)} items left out>"))
        return copy


def _describe(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {safe_text(value)}"
    return safe_text(value)
