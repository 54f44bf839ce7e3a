"""Encodes plain records, which most records are, by filling in a form.

Records of one call site become events that differ in nothing but their time, sequence, message and the values of
their extras. So the second one is made into a form for all that follow: four times as fast, and without orjson too.
Many of them at a time, as a loop or a storm of errors logs them, are written as the rows of a table.

Rule: a form gives what `Reader.read` and `Intake.shape` would give, or nothing. Used by the listener's thread.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import NoneType
from typing import Any, Final

from loghttp._batch import LARGE
from loghttp._capture import FEW, SMALL, Bare, Plain
from loghttp._entry import Reader
from loghttp._form import Form, Table, in_columns, in_parts, others, stand_ins, whole
from loghttp.intakes import Intake

_MOST: Final = 1_000
"""Call sites (times threads) that are remembered; a program with more of them begins afresh."""

_MANY: Final = 6
"""So many records of one call site are written faster as a table than one by one."""
_LONGEST: Final = 16_384
"""Bytes of a form; an event that is longer takes its time in any case."""
_LINE: Final = LARGE - 7 * SMALL - 10 * (FEW + 2)
"""Bytes of a row in a table: no record that is small makes it a large event. JSON of JSON has 7 bytes a character at
the most, and a number may be 10 longer than its stand-in."""
_UNMET: Final[Any] = object()
_SITE_KINDS: Final = frozenset({str, int, NoneType})


class Templates:
    """The forms of one handler, made as its program's call sites are met."""

    def __init__(self, reader: Reader, intake: Intake) -> None:
        self._reader = reader
        self._intake = intake
        self._uniform = getattr(intake, "uniform", False)
        self._met: set[Any] = set()  # once; a form is worth its making from the second time on
        self._forms: dict[Any, Form | None] = {}  # None: its records have to be shaped one by one
        self._tables: dict[Any, Table] = {}  # of some of these

    def encode(self, record: Bare) -> bytes | None:
        """The event of a plain record; None if it has to be shaped as others are."""
        sequence, site, extras, values, when, message, _ = record
        try:
            key = (site, extras, *map(type, values))
            form: Form | None = self._forms.get(key, _UNMET)
            if form is _UNMET:
                form = self._meet(key, Plain(*record))
            if form is None or not message or message.isspace():
                return None
            return form(when, sequence, message, values)
        except Exception:  # noqa: BLE001  odd attributes, or a text that UTF-8 cannot carry
            return None

    def encode_alike(self, records: Sequence[Any]) -> tuple[bytes, tuple[float, ...]] | None:
        """The events of the first of these records, as many as are of one call site, as lines; and their times.

        None if they are too few, or not all of them small and plain, or cannot be written as a table.
        """
        if len(records) < _MANY or {*map(type, records)} != {tuple}:
            return None
        try:
            if any(record[1] != records[0][1] for record in records[1:_MANY]):
                return None  # mostly, and at little cost
            columns = [*zip(*records, strict=True)]
            alike = min(_alike(columns[1]), _alike(columns[2]))  # of one site, and with the same extras
            if alike < _MANY:
                return None
            numbers, sites, names, rows, times, messages, _ = [column[:alike] for column in columns]
            columns, kinds = [*zip(*rows, strict=True)], [*map(type, rows[0])]
            table = self._tables.get((sites[0], names[0], *kinds))
            if table is None or not all(map(str.strip, messages)):
                return None
            if any({*map(type, column)} != {kind} for column, kind in zip(columns, kinds, strict=True)):
                return None
            return table((times, numbers, messages, *columns)), times
        except Exception:  # noqa: BLE001  as above
            return None

    def _meet(self, key: Any, record: Plain) -> Form | None:
        if not self._uniform or not _SITE_KINDS.issuperset(map(type, record.site)):
            return None  # what equals them may be written in another way
        if key not in self._met:
            if len(self._met) >= _MOST:
                self._met.clear()
            self._met.add(key)
            return None
        if len(self._forms) >= _MOST:
            self._forms.clear()
            self._tables.clear()
        self._forms[key] = None  # for good, if the next line raises
        self._forms[key] = form = self._draw(key, record)
        return form

    def _draw(self, key: Any, record: Plain) -> Form | None:
        """Have the intake shape the record with stand-ins for its values, and find them in what comes out."""
        values = [record.when, record.sequence, record.message, *record.values]
        standing = stand_ins(values)
        body = self._shape(record, standing)
        if len(body) > _LONGEST:
            return None  # others of this site may have to be cut
        # The proof: these values, and all others, come out as they would without a form.
        proofs, kinds = [values, others(values)], [type(value) for value in values]
        events = [json.loads(self._shape(record, proof)) for proof in proofs]
        for form in (whole(body, standing), in_parts(body, standing, kinds)):
            if form and [json.loads(_filled(form, proof)) for proof in proofs] == events:
                table = in_columns(body, standing, kinds) if len(body) <= _LINE else None
                if table and [*map(json.loads, table([*zip(*proofs, strict=True)]).split(b"\n"))] == events:
                    self._tables[key] = table
                return form
        return None

    def _shape(self, record: Plain, values: Sequence[Any]) -> bytes:
        when, sequence, message, *extras = values
        other = record._replace(when=when, sequence=sequence, message=message, values=tuple(extras))
        return self._intake.shape(self._reader.read(other))


def _filled(form: Form, values: Sequence[Any]) -> bytes:
    when, sequence, message, *extras = values
    return form(when, sequence, message, tuple(extras))


def _alike(values: tuple[Any, ...]) -> int:
    """How many of the first equal the very first; 0 if others like it come later, for to count on takes too long."""
    number = values.count(values[0])
    return number if number == len(values) or values[:number].count(values[0]) == number else 0
