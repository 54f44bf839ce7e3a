"""Encodes plain records, which most records are, by filling in a form.

Records of one call site become events that differ in nothing but their time, sequence, message and the values of
their extras. So one is shaped by the intake with stand-ins in those places, and what comes out, cut at the
stand-ins, is the form for all that follow: four times as fast, and without orjson too.

Rule: a form gives what `Reader.read` and `Intake.shape` would give, or nothing. It knows no dialect. Used by the
listener's thread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from math import isfinite
from secrets import token_hex
from types import NoneType
from typing import Any, Final

from loghttp._batch import Event
from loghttp._capture import Plain
from loghttp._encoding import INT_MAX, INT_MIN, dumps, dumps_number, dumps_text
from loghttp._entry import Reader
from loghttp._stats import iso
from loghttp.intakes import Intake

_MOST: Final = 1_000
"""Call sites (times threads) that are remembered; a program with more of them begins afresh."""

_LONGEST: Final = 16_384
"""Bytes of a form; an event that is longer takes its time in any case."""
_SITE_KINDS: Final = frozenset({str, int, NoneType})

# Stand-ins, which nothing else in an event can equal.
_TEXT: Final = f"loghttp-{token_hex(8)}-"
_INT: Final = 7_046_029_254_386_353_000
_FLOAT: Final = 704_602_925_438.5
_CREATED: Final = 1_234_567_890.123456

_Encoder = Callable[[Any], bytes]


class Templates:
    """The forms of one handler, made as its program's call sites are met."""

    def __init__(self, reader: Reader, intake: Intake) -> None:
        self._reader = reader
        self._intake = intake
        self._met: set[Any] = set()  # once; a form is worth its making from the second time on
        self._forms: dict[Any, _Form | None] = {}  # None: its records have to be shaped one by one

    def encode(self, record: Plain, now: float) -> Event | None:
        """The event of a plain record; None if it has to be shaped as others are."""
        sequence, site, extras, values, when, message, _ = record
        try:
            key = (site, extras, *map(type, values))
            form = self._forms.get(key, _UNMET)
            if form is _UNMET:
                form = self._meet(key, record)
            if form is None or not message or message.isspace():
                return None
            return _new(Event, (form.fill((when, sequence, message, *values)), when, now, 0))
        except Exception:  # noqa: BLE001  odd attributes, or a value that JSON or UTF-8 cannot carry
            return None

    def _meet(self, key: Any, record: Plain) -> _Form | None:
        if not _SITE_KINDS.issuperset(map(type, record.site)):
            return None  # what equals them may be written in another way
        if key not in self._met:
            if len(self._met) >= _MOST:
                self._met.clear()
            self._met.add(key)
            return None
        if len(self._forms) >= _MOST:
            self._forms.clear()
        self._forms[key] = None  # for good, if the next line raises
        self._forms[key] = form = self._draw(record)
        return form

    def _draw(self, record: Plain) -> _Form | None:
        """Have the intake shape the record with stand-ins for its values, and find them in what comes out."""
        values = [record.when, record.sequence, record.message, *record.values]
        stand_ins = [_CREATED, *(_stand_in(number, value) for number, value in enumerate(values[1:], 1))]
        body = self._shape(record, stand_ins)
        if len(body) > _LONGEST:
            return None  # others of this site may have to be cut
        spellings: dict[bytes, tuple[int, _Encoder]] = {}
        for number, stand_in in enumerate(stand_ins):
            kind = type(values[number])
            spellings |= {text: (number, encode) for text, encode in _spellings(stand_in, kind)}
        parts = re.split(b"(" + b"|".join(map(re.escape, spellings)) + b")", body)
        if any(_TEXT.encode() in part for part in parts[::2]):
            return None  # a value that is not by itself, but a part of some text
        form = _Form(parts, [(place, *spellings[parts[place]]) for place in range(1, len(parts), 2)])
        # The proof: these values, and all others, come out as they would without a form.
        proofs = (values, [_other(value) for value in values])
        proven = all(json.loads(form.fill(proof)) == json.loads(self._shape(record, proof)) for proof in proofs)
        return form if proven else None

    def _shape(self, record: Plain, values: Sequence[Any]) -> bytes:
        when, sequence, message, *extras = values
        other = record._replace(when=when, sequence=sequence, message=message, values=tuple(extras))
        return self._intake.shape(self._reader.read(other))


class _Form:
    """An event's JSON in parts, with places among them: each with a value's number, and how that is written there."""

    __slots__ = ("_parts", "_places")

    def __init__(self, parts: list[bytes], places: Sequence[tuple[int, int, _Encoder]]) -> None:
        self._parts = parts
        self._places = places

    def fill(self, values: Sequence[Any]) -> bytes:
        """Raises ValueError or TypeError for a value that JSON or UTF-8 cannot carry."""
        parts = self._parts.copy()
        for place, number, encode in self._places:
            parts[place] = encode(values[number])
        return b"".join(parts)


_UNMET: Final = _Form([], [])
_new: Final = tuple.__new__  # as `Event(...)` does, in half the time


def _stand_in(number: int, value: Any) -> Any:
    """Something that is written in the same places; None, which may not be written, stands for itself."""
    kind = type(value)
    if kind is str:
        return f"{_TEXT}{number}-"
    if kind is int or kind is bool:
        return _INT + number
    if kind is float:
        return _FLOAT + number
    if value is None:
        return None
    raise TypeError


def _other(value: Any) -> Any:
    """Another of its kind, as different as can be."""
    kind = type(value)
    if kind is str:
        return f'"{value}\\\n\u00e9' if value else "x"
    return not value if kind is bool else None if value is None else kind(value / 3 + 1)


def _spellings(stand_in: Any, kind: type) -> list[tuple[bytes, _Encoder]]:
    """How a stand-in may have been written, and how values of this kind are to be written there."""
    if kind is str:
        return [(b'\\"%b\\"' % stand_in.encode(), _quoted), (b'"%b"' % stand_in.encode(), dumps_text)]
    if stand_in == _CREATED:
        return [(dumps_number(_CREATED), dumps_number), (iso(_CREATED).encode(), _iso)]
    if kind is NoneType:
        return []
    return [(dumps_number(stand_in), {int: _int, float: _float, bool: dumps}[kind])]


def _quoted(value: str) -> bytes:
    """In JSON that is itself a text in JSON."""
    return dumps_text(dumps_text(value).decode())[1:-1]


def _int(value: int) -> bytes:
    if INT_MIN <= value <= INT_MAX:
        return dumps_number(value)
    raise ValueError


def _float(value: float) -> bytes:
    if isfinite(value):
        return dumps_number(value)
    raise ValueError


def _iso(created: float) -> bytes:
    return iso(created).encode()
