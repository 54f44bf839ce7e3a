"""Takes a record as it is at the moment of logging, so that what was logged is what is sent.

Rule: runs on the program's thread, so it does as little as it can: one shallow copy of the record's
attributes, the message formatted, and a deep copy only of what could still change. It never raises and never
alters the record, which other handlers see too. No JSON, no I/O.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from time import time
from traceback import TracebackException
from types import NoneType
from typing import Any, Final

from loghttp._freeze import ATOMS, ITEM_COST, Mark, freeze, safe_text

STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None)))
"""The attributes that every LogRecord of this Python has; all others are extras."""

_NO_EXTRAS: Final = STANDARD | {"message", "asctime"}  # these two an earlier handler's formatter has left there

_new: Final = object.__new__
_TIME: Final = frozenset({float, int})
RECORD_COST: Final = 1_600
"""Bytes that a waiting record keeps alive besides its texts (tracemalloc: 1,300 on CPython 3.11, 2,000 on 3.13)."""
PLAIN_COST: Final = 2_000
"""The same for a small plain record, its texts included: one number, so that many can be weighed by their count."""
_SMALL: Final = 400  # characters of its message and values
_FEW: Final = 5  # extras
_PLAIN_MOST: Final = 4_000  # characters; no JSON of that is too long for any intake
_FIXED: Final = frozenset({float, bool, NoneType})  # in size
_COPIES: Final = 3  # while it is encoded, a text is there as itself, as JSON text, and as JSON's bytes
LATEST: Final = 253_402_300_799.0
"""Seconds since 1970 to the end of the year 9999: later than this is no time."""


class Captured(logging.LogRecord):
    """A private copy of a record, on its way to the listener.

    What is loghttp's own is kept in slots, beside the record's attributes and not among them.
    """

    __slots__ = ("exception", "extras", "formatter", "plain", "sequence", "size", "text", "values")

    formatter: logging.Formatter | None
    """The handler's formatter when the record was logged."""
    text: str | None
    """What that formatter made of the record on the calling thread; None if it runs on the listener's."""
    exception: TracebackException | None
    extras: Sequence[str]
    """Names of the attributes that are the program's own."""
    values: Sequence[Any]
    """Those of the extras when the record was logged; some may have been frozen since."""
    sequence: int
    """Given by the buffer that takes the record."""
    size: int
    """Bytes that this copy is taken to occupy while it waits."""
    plain: bool
    """Whether it has nothing but a message, formatted, and texts and numbers, and is not long: most records."""

    @property
    def when(self) -> float:
        """`created`, or now where somebody put something else there that is no time."""
        created: Any = self.__dict__.get("created")
        return float(created) if type(created) in _TIME and 0 <= created <= LATEST else time()

    def with_values(self, created: float, sequence: int, message: str, values: Sequence[Any]) -> Captured:
        """As this plain record, but for these, of which `values` are those of its extras."""
        other: Captured = object.__new__(Captured)
        other.__dict__ = {**self.__dict__, "created": created, "msg": message}
        other.__dict__.update(zip(self.extras, values, strict=True))
        other.formatter, other.text, other.exception = None, None, None
        other.extras, other.values, other.sequence = self.extras, tuple(values), sequence
        other.plain, other.size = True, self.size
        return other


def capture_plain(record: logging.LogRecord) -> Captured | None:
    """A copy of a plain record, its message formatted; None if `record` is of another kind.

    This is what most calls of `logger.info` wait for, so it is written for speed.
    """
    captured: Captured = _new(Captured)
    captured.__dict__ = attributes = record.__dict__.copy()
    try:
        message = attributes["msg"]
        if type(message) is not str or type(record) is not logging.LogRecord:
            return None
        if attributes["exc_info"] or attributes["exc_text"] or attributes["stack_info"]:
            return None
        if args := attributes["args"]:
            attributes["msg"] = message = message % args
            attributes["args"] = None
        count, last, names, values_of = _extras_at.get(attributes["lineno"], _NOT_SEEN)
        if count != len(attributes) or last != next(reversed(attributes)):
            names, values_of = _look_for_extras(attributes)
        captured.extras = names
        captured.values = values = values_of(attributes)
    except Exception:  # noqa: BLE001  args that do not fit, any object's __str__, or an attribute is not there
        return None
    size = len(message)
    for value in values:
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is int:
            size += value.__sizeof__()
        elif kind not in _FIXED:
            return None
    if size > _PLAIN_MOST or type(message) is not str:
        return None
    captured.formatter = captured.text = captured.exception = None
    captured.plain = True
    captured.size = PLAIN_COST if size <= _SMALL and len(values) <= _FEW else RECORD_COST + _COPIES * size
    return captured


def capture(record: logging.LogRecord, formatter: logging.Formatter | None = None, text: str | None = None) -> Captured:
    """A copy of any record, which later changes to its args, its extras or its exception do not reach."""
    captured: Captured = _new(Captured)
    captured.__dict__ = attributes = record.__dict__.copy()
    captured.formatter = formatter
    captured.text = text
    size = _freeze_message(record, attributes) + len(text or "")
    captured.extras = tuple(name for name in attributes if name not in _NO_EXTRAS)
    for name in captured.extras:
        attributes[name], cost = freeze(attributes[name])
        size += cost
    captured.exception, cost = _snapshot(attributes["exc_info"]) if attributes["exc_info"] else (None, 0)
    attributes["exc_info"] = None  # frames, and every local variable in them, are let go
    for name in ("exc_text", "stack_info"):
        if isinstance(attributes.get(name), str):
            size += len(attributes[name])
    captured.plain = False
    captured.size = RECORD_COST + _COPIES * (size + cost)
    return captured


def message_of(record: logging.LogRecord) -> str:
    """The record's message; where msg and args do not fit, both, and the reason."""
    try:
        return str.__str__(str(record.getMessage()))
    except Exception as error:  # noqa: BLE001  any object's __str__ may run here
        return Mark(f"{safe_text(record.msg)} <args {safe_text(record.args)} do not fit: {safe_text(error)}>")


def _freeze_message(record: logging.LogRecord, attributes: dict[str, Any]) -> int:
    """Format the message now, unless its args are atoms, which last; the bytes of the texts."""
    message, args = attributes["msg"], attributes["args"]
    if issubclass(type(message), dict):  # not isinstance, which asks the object
        attributes["msg"], size = freeze(message)
        return size
    if type(message) is str and type(record) is logging.LogRecord:
        if not args:
            return len(message)
        if type(args) is tuple and ATOMS.issuperset(map(type, args)):
            return len(message) + sum(len(arg) if type(arg) is str else arg.__sizeof__() for arg in args)
    attributes["msg"] = message = message_of(record)
    attributes["args"] = None
    return len(message)


_ValuesOf = Callable[[Mapping[str, Any]], tuple[Any, ...]]
_extras_at: dict[Any, tuple[int, str, tuple[str, ...], _ValuesOf]] = {}
"""By line number: how many attributes a record from there has, the last one, its extras' names, how to get them.

They are nearly always the same, and to look through all attributes takes longer than all else here. `logging` adds
extras after the standard attributes, so another extra makes another number or another last one.
"""
_LINES_MOST: Final = 10_000
_NAMES_MOST: Final = 1_000  # characters
_NOT_SEEN: Final[tuple[int, str, tuple[str, ...], _ValuesOf]] = (0, "", (), lambda _: ())


def _look_for_extras(attributes: dict[str, Any]) -> tuple[tuple[str, ...], _ValuesOf]:
    names = tuple(name for name in attributes if name not in _NO_EXTRAS)
    values_of: _ValuesOf = lambda attributes: tuple([attributes[name] for name in names])  # noqa: E731
    if len(names) > 1:
        values_of = itemgetter(*names)
    if sum(map(len, names)) > _NAMES_MOST:
        raise ValueError  # not worth remembering, nor to be kept alive
    if type(attributes["lineno"]) is int:
        if len(_extras_at) >= _LINES_MOST:
            _extras_at.clear()
        _extras_at[attributes["lineno"]] = len(attributes), next(reversed(attributes)), names, values_of
    return names, values_of


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
        size += RECORD_COST + len(str(part)) + ITEM_COST * len(part.stack)
        chained = [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
        waiting += [other for other in chained if other is not None]
    return snapshot, size
