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
from typing import Any, Final

from loghttp._freeze import ATOMS, ITEM_COST, Mark, freeze, safe_text

STANDARD: Final = frozenset(vars(logging.makeLogRecord({})))
"""The attributes that every LogRecord of this Python has; all others are extras."""

_STANDARD_COUNT: Final = len(STANDARD)

FORMATTED: Final = frozenset({"message", "asctime"})
"""Attributes that an earlier handler's formatter leaves on the record: neither standard nor extras."""

_TIME: Final = frozenset({float, int})
RECORD_COST: Final = 1_100
"""Bytes that a waiting record keeps alive besides its texts (tracemalloc, CPython 3.11)."""
PLAIN_COST: Final = 1_500
"""The same for a plain record, its texts included: one number, so that many can be weighed by their count."""
_PLAIN_TEXT: Final = 400  # characters
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
    """Whether it is short, and has nothing but a message and atoms: most records. Its size is `PLAIN_COST`."""

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


def capture(
    record: logging.LogRecord,
    formatter: logging.Formatter | None = None,
    text: str | None = None,
    *,
    keep_args: bool = True,
) -> Captured:
    """A copy of `record` that later changes to its args, its extras or its exception do not reach.

    `keep_args`: somebody asks for the message's template and its args as they are, such as a formatter.
    """
    captured: Captured = object.__new__(Captured)
    captured.__dict__ = attributes = record.__dict__.copy()
    captured.formatter = formatter
    captured.text = text
    captured.exception = None
    message, plain = attributes["msg"], not keep_args
    if type(message) is not str or type(record) is not logging.LogRecord:
        size, plain = _freeze_message(record, attributes), False
    elif keep_args:
        size = len(message) + _freeze_args(record, attributes)
    else:
        if args := attributes["args"]:
            try:
                attributes["msg"] = message = message % args
                attributes["args"] = None
            except Exception:  # noqa: BLE001  they do not fit, or any object's __str__ raised
                _format_now(record, attributes)
                plain = False
        size = len(message)

    if len(attributes) == _STANDARD_COUNT and next(reversed(attributes)) in STANDARD:
        captured.extras = captured.values = ()
    else:
        captured.extras, captured.values = _extras(attributes)
        for value in captured.values:
            kind = type(value)
            if kind is str:
                size += len(value)
            elif kind in ATOMS:
                size += value.__sizeof__()
            else:
                size, plain = size + _freeze_extras(captured.extras, attributes), False
                break

    if attributes["exc_info"] or attributes.get("exc_text") or attributes.get("stack_info"):
        size, plain = size + _freeze_exception(captured, attributes), False
    captured.plain = plain = plain and size <= _PLAIN_TEXT
    captured.size = PLAIN_COST if plain else RECORD_COST + _COPIES * (size + len(text or ""))
    return captured


def message_of(record: logging.LogRecord) -> str:
    """The record's message; where msg and args do not fit, both, and the reason."""
    try:
        return str(record.getMessage())
    except Exception as error:  # noqa: BLE001  any object's __str__ may run here
        return Mark(f"{safe_text(record.msg)} <args {safe_text(record.args)} do not fit: {safe_text(error)}>")


def _freeze_message(record: logging.LogRecord, attributes: dict[str, Any]) -> int:
    """Whatever was logged in the place of a text; the bytes of what it became."""
    if issubclass(type(attributes["msg"]), dict):  # not isinstance, which asks the object
        attributes["msg"], size = freeze(attributes["msg"])
        return size
    return _format_now(record, attributes)


def _freeze_args(record: logging.LogRecord, attributes: dict[str, Any]) -> int:
    """Format the message now, unless its args are atoms, which last; the bytes of their texts."""
    args = attributes["args"]
    if not args:
        return 0
    if type(args) is tuple and ATOMS.issuperset(map(type, args)):
        return sum(len(arg) if type(arg) is str else arg.__sizeof__() for arg in args)
    return _format_now(record, attributes)


def _format_now(record: logging.LogRecord, attributes: dict[str, Any]) -> int:
    attributes["msg"] = message = message_of(record)
    attributes["args"] = None
    return len(message)


def _freeze_extras(names: Sequence[str], attributes: dict[str, Any]) -> int:
    size = 0
    for name in names:
        attributes[name], cost = freeze(attributes[name])
        size += cost
    return size


_ValuesOf = Callable[[Mapping[str, Any]], tuple[Any, ...]]
_extras_at: dict[int, tuple[int, Sequence[str], _ValuesOf]] = {}
"""By line number: how many attributes a record from there has, the names of its extras, and how to get them.

They are nearly always the same, and to look through all attributes takes longer than all else here.
"""
_EXTRAS_AT_MOST: Final = 10_000


def _extras(attributes: dict[str, Any]) -> tuple[Sequence[str], tuple[Any, ...]]:
    """The names of the extras, and their values."""
    line = attributes["lineno"]
    try:
        count, names, values_of = _extras_at[line]
        if count == len(attributes):
            return names, values_of(attributes)
    except (KeyError, TypeError):  # not seen yet; or another file's line; or somebody put there what is no number
        pass
    names = tuple(name for name in attributes if name not in STANDARD and name not in FORMATTED)
    values_of = _values_of(names)
    if type(line) is int:
        if len(_extras_at) >= _EXTRAS_AT_MOST:
            _extras_at.clear()
        _extras_at[line] = len(attributes), names, values_of
    return names, values_of(attributes)


def _values_of(names: Sequence[str]) -> _ValuesOf:
    if len(names) > 1:
        return itemgetter(*names)
    return (lambda attributes: (attributes[names[0]],)) if names else (lambda _: ())


def _freeze_exception(captured: Captured, attributes: dict[str, Any]) -> int:
    """Take the exception as text, and let it go with its frames and every local variable in them."""
    size = 0
    if attributes["exc_info"]:
        captured.exception, size = _snapshot(attributes["exc_info"])
        attributes["exc_info"] = None
    texts = (attributes.get(name) for name in ("exc_text", "stack_info"))
    return size + sum(len(text) for text in texts if isinstance(text, str))


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
