"""Takes a record as it is at the moment of logging, so that what was logged is what is sent.

Rule: runs on the program's thread, so it does as little as it can: of most records the message, formatted, and
what was asked for beside it; of any other one shallow copy, and a deep one only of what could still change. It
never raises and never alters the record, which other handlers see too. No JSON, no I/O.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from time import time
from traceback import TracebackException
from typing import Any, Final, NamedTuple

from loghttp._freeze import ATOMS, INT_MAX, INT_MIN, ITEM_COST, Mark, freeze, safe_text
from loghttp._selflog import LOGGER_NAME

STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None)))
"""The attributes that every LogRecord of this Python has; all others are extras."""

_NO_EXTRAS: Final = STANDARD | {"message", "asctime"}  # these two an earlier handler's formatter has left there
_NOTHING: Final = dict.fromkeys(STANDARD)

SITE: Final = ("process", "levelno", "levelname", "name", "module", "funcName", "threadName")
"""What a plain record's `site` has in any case."""
_READ: Final = frozenset({"msg", "args", "created", "lineno", "exc_info", "exc_text", "stack_info"})
_others_of: Final = itemgetter(*(STANDARD - _READ - {*SITE}))

_TIME: Final = frozenset({float, int})
RECORD_COST: Final = 1_600
"""Bytes that a captured record keeps alive besides its texts (tracemalloc: 1,300 on CPython 3.11, 2,000 on 3.13)."""
PLAIN_COST: Final = 1_600
"""The same for a small plain one, its texts included (16 of 17 characters: 1,590 on CPython 3.11): one number, so that
many can be weighed by their count. No other record weighs less."""
SMALL: Final = 300  # characters of its message and values
FEW: Final = 16  # extras
_FOUND_MOST: Final = len(STANDARD) + FEW  # attributes
_PLAIN_MOST: Final = 4_000  # characters; no JSON of that is too long for any intake
_COPIES: Final = 3  # while it is encoded, a text is there as itself, as JSON text, and as JSON's bytes
LATEST: Final = 253_402_300_799.0
"""Seconds since 1970 to the end of the year 9999: later than this is no time."""


class Plain(NamedTuple):
    """What is needed of a record that has nothing but a message, and beside it texts, and numbers that JSON can carry:
    most records."""

    sequence: int
    """First, as it tells two records apart: comparing them asks none of the program's objects."""
    site: tuple[Any, ...]
    """Process, level, and the attributes that were asked for: what all records of one call have in common."""
    extras: tuple[str, ...]
    """Names of the attributes that are the program's own."""
    values: tuple[Any, ...]
    """Those of the extras."""
    when: float
    message: str
    size: int
    """Bytes that it is taken to occupy while it waits."""

    @property
    def process(self) -> Any:
        return self.site[0]

    def numbered(self, sequence: int) -> Plain:
        return self._replace(sequence=sequence)

    def whole(self, sources: Sequence[str]) -> Captured:
        """As a record again; `sources` are the names of what is in `site`."""
        captured: Captured = object.__new__(Captured)
        captured.__dict__ = {
            **_NOTHING,
            **dict(zip(sources, self.site, strict=True)),
            "created": self.when,
            "msg": self.message,
            "args": (),
            **dict(zip(self.extras, self.values, strict=True)),
        }
        captured.formatter = captured.text = captured.exception = None
        captured.extras, captured.sequence, captured.size = self.extras, self.sequence, self.size
        return captured


class Captured(logging.LogRecord):
    """A private copy of a record, on its way to the listener.

    What is loghttp's own is kept in slots, beside the record's attributes and not among them.
    """

    __slots__ = ("exception", "extras", "formatter", "sequence", "size", "text")

    formatter: logging.Formatter | None
    """The handler's formatter when the record was logged."""
    text: str | None
    """What that formatter made of the record on the calling thread; None if it runs on the listener's."""
    exception: TracebackException | None
    extras: tuple[str, ...]
    sequence: int
    size: int

    @property
    def when(self) -> float:
        """`created`, or now where somebody put something else there that is no time."""
        created: Any = self.__dict__.get("created")
        return float(created) if type(created) in _TIME and 0 <= created <= LATEST else time()

    def numbered(self, sequence: int) -> Captured:
        self.sequence = sequence
        return self


Bare = tuple[int, tuple[Any, ...], tuple[str, ...], tuple[Any, ...], float, str, int]
"""A `Plain` without its names: how a small one waits, for to name it takes longer than to make it.

An ordinary tuple of these is always small; a `Plain` is one of these too, of any size.
"""

SiteOf = Callable[[Mapping[str, Any]], tuple[Any, ...]]
_new: Final = tuple.__new__
_LogRecord: Final = logging.LogRecord


def named(record: Captured | Bare) -> Captured | Plain:
    """What waited bare, as a `Plain`; anything else as it is."""
    return _new(Plain, record) if type(record) is tuple else record  # type: ignore[return-value]  # it is a Plain


def capture_plain(  # noqa: PLR0912  a chain of questions, cheapest first
    record: logging.LogRecord, site_of: SiteOf, number: Callable[[], int]
) -> Bare | None:
    """What there is of a plain record, its message formatted and numbered; None if `record` is of another kind.

    Bare if it is small, by which `Buffer.put` knows that it is. This is what most calls of `logger.info` wait for,
    so it is written for speed.
    """
    attributes = record.__dict__
    try:
        message, when, line = attributes["msg"], attributes["created"], attributes["lineno"]
        if type(message) is not str or type(record) is not _LogRecord or attributes["name"] == LOGGER_NAME:
            return None
        if attributes["exc_info"] or attributes["exc_text"] or attributes["stack_info"]:
            return None
        if args := attributes["args"]:
            message = message % args
        site = site_of(attributes)
        size, found = len(message), len(attributes)
        _others_of(attributes)  # only to see that they are there; what lacks one is no usual record
        try:
            count, names, values_of = _extras_at[line]
            values = values_of(attributes)
            known = found == count or found == count + ("message" in attributes) + ("asctime" in attributes)
        except KeyError:  # or another file's line
            known = False
        if not known:
            names, values_of = _look_for_extras(attributes)
            values = values_of(attributes)
            size += sum(map(len, names))  # those that were known are shared
    except Exception:  # noqa: BLE001  args that do not fit, any object's __str__, or an attribute is not there
        return None
    if type(message) is not str or type(line) is not int or type(when) is not float or not 0.0 <= when <= LATEST:
        return None
    for value in values:
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is int or kind is float:
            if not INT_MIN <= value <= INT_MAX:  # nor is NaN between anything
                return None
        elif kind is not bool and value is not None:
            return None
    if size <= SMALL and found <= _FOUND_MOST:
        return number(), site, names, values, when, message, PLAIN_COST
    cost = PLAIN_COST + ITEM_COST * len(values) + _COPIES * size
    return Plain(number(), site, names, values, when, message, cost) if size <= _PLAIN_MOST else None


def capture(record: logging.LogRecord, formatter: logging.Formatter | None = None, text: str | None = None) -> Captured:
    """A copy of any record, which later changes to its args, its extras or its exception do not reach."""
    captured: Captured = object.__new__(Captured)
    captured.__dict__ = attributes = record.__dict__.copy()
    captured.formatter = formatter
    captured.text = text
    size = _freeze_message(record, attributes) + len(text or "")
    captured.extras = tuple(name for name in attributes if name not in _NO_EXTRAS)
    for name in captured.extras:
        attributes[name], cost = freeze(attributes[name])
        size += cost + len(name) if isinstance(name, str) else cost
    captured.exception, cost = _snapshot(attributes["exc_info"]) if attributes["exc_info"] else (None, 0)
    attributes["exc_info"] = None  # frames, and every local variable in them, are let go
    for name in ("exc_text", "stack_info"):
        if isinstance(attributes.get(name), str):
            size += len(attributes[name])
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
    if has_own_way := callable(attributes.get("getMessage")):  # a filter's, for this one record
        del attributes["getMessage"]
    if type(message) is str and type(record) is logging.LogRecord and not has_own_way:
        if not args:
            return len(message)
        if type(args) is tuple and ATOMS.issuperset(map(type, args)):
            return len(message) + sum(len(arg) if type(arg) is str else arg.__sizeof__() for arg in args)
    attributes["msg"] = message = message_of(record)
    attributes["args"] = None
    return len(message)


_ValuesOf = Callable[[Mapping[str, Any]], tuple[Any, ...]]
_extras_at: dict[int, tuple[int, tuple[str, ...], _ValuesOf]] = {}
"""By line number: how many attributes a record from there has, its extras' names, and how to get their values.

They are nearly always the same, and to look through all attributes takes longer than all else here. A record that
has all standard attributes and all these extras, and no attribute more, has no other extras.
"""
_LINES_MOST: Final = 2_000
_NAMES_MOST: Final = 2_000  # characters, of one line's extras; those of all lines are 4 MB at most


def _look_for_extras(attributes: dict[str, Any]) -> tuple[tuple[str, ...], _ValuesOf]:
    names = tuple(name for name in attributes if name not in _NO_EXTRAS)
    values_of: _ValuesOf = lambda attributes: tuple([attributes[name] for name in names])  # noqa: E731
    if len(names) > 1:
        values_of = itemgetter(*names)
    if sum(map(len, names)) > _NAMES_MOST:
        raise ValueError  # not worth remembering, nor to be kept alive
    if len(_extras_at) >= _LINES_MOST:
        _extras_at.clear()
    _extras_at[attributes["lineno"]] = len(STANDARD) + len(names), names, values_of
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
