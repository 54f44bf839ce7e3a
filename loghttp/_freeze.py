"""Deep copies of what may still change, made of nothing but atoms, dicts and lists.

Rule: whatever the value is, nothing is raised and nothing of it is kept alive; bounded in depth and number. Runs
on the program's thread, and only for values that are no atoms.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections import deque
from collections.abc import Iterable, Mapping, Set
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from types import NoneType
from typing import Any, Final
from uuid import UUID

_NUMBERS: Final = frozenset({int, float, bool, complex, Decimal, Fraction})
_TIMES: Final = frozenset({datetime, date, time_of_day, timedelta})
ATOMS: Final = _NUMBERS | _TIMES | frozenset({str, bytes, NoneType, UUID})
"""Types (not their subclasses) whose values never change: they are kept as they are."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
"""What every server's signed 64 bit holds."""
MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 1_000
"""Items copied of one extra, all levels together: a logging call must not copy a database."""
ITEM_COST: Final = 100
"""Bytes that one item of a container keeps alive besides its texts (tracemalloc, CPython 3.11)."""


class Mark(str):
    """Text that stands where a value could not be taken as it was, such as `<cycle>`."""

    __slots__ = ()


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


class _Freezer:
    """One deep copy: bounded in depth and number, indifferent to cycles and to what raises."""

    __slots__ = ("_left", "size")

    def __init__(self) -> None:
        self._left = MAX_ITEMS
        self.size = 0

    def freeze(self, value: Any, above: tuple[int, ...]) -> Any:
        """`above`: the ids of the containers around `value`, by which a cycle is known."""
        self.size += ITEM_COST
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
