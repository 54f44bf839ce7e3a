"""Encodes plain records, which most records are, by filling in a form.

Records of one call site become events that differ in nothing but their time, sequence, message and the values of
their extras. So the second one is made into a form for all that follow: four times as fast, and without orjson too.

Rule: a form gives what `Reader.read` and `Intake.shape` would give, or nothing. Used by the listener's thread.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import NoneType
from typing import Any, Final

from loghttp._capture import Bare, Plain
from loghttp._entry import Reader
from loghttp._form import Form, in_parts, others, stand_ins, whole
from loghttp.intakes import Intake

_MOST: Final = 1_000
"""Call sites (times threads) that are remembered; a program with more of them begins afresh."""

_LONGEST: Final = 16_384
"""Bytes of a form; an event that is longer takes its time in any case."""
_SITE_KINDS: Final = frozenset({str, int, NoneType})


class Templates:
    """The forms of one handler, made as its program's call sites are met."""

    def __init__(self, reader: Reader, intake: Intake) -> None:
        self._reader = reader
        self._intake = intake
        self._met: set[Any] = set()  # once; a form is worth its making from the second time on
        self._forms: dict[Any, Form | None] = {}  # None: its records have to be shaped one by one

    def encode(self, record: Bare) -> bytes | None:
        """The event of a plain record; None if it has to be shaped as others are."""
        sequence, site, extras, values, when, message, _ = record
        try:
            key = (site, extras, *map(type, values))
            form: Form | None = self._forms.get(key, _unmet)
            if form is _unmet:
                form = self._meet(key, Plain(*record))
            if form is None or not message or message.isspace():
                return None
            return form(when, sequence, message, values)
        except Exception:  # noqa: BLE001  odd attributes, or a text that UTF-8 cannot carry
            return None

    def _meet(self, key: Any, record: Plain) -> Form | None:
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

    def _draw(self, record: Plain) -> Form | None:
        """Have the intake shape the record with stand-ins for its values, and find them in what comes out."""
        values = [record.when, record.sequence, record.message, *record.values]
        standing = stand_ins(values)
        body = self._shape(record, standing)
        if len(body) > _LONGEST:
            return None  # others of this site may have to be cut
        # The proof: these values, and all others, come out as they would without a form.
        proofs = [(proof, json.loads(self._shape(record, proof))) for proof in (values, others(values))]
        for form in (whole(body, standing), in_parts(body, standing, [type(value) for value in values])):
            if form and all(json.loads(_filled(form, proof)) == event for proof, event in proofs):
                return form
        return None

    def _shape(self, record: Plain, values: Sequence[Any]) -> bytes:
        when, sequence, message, *extras = values
        other = record._replace(when=when, sequence=sequence, message=message, values=tuple(extras))
        return self._intake.shape(self._reader.read(other))


def _filled(form: Form, values: Sequence[Any]) -> bytes:
    when, sequence, message, *extras = values
    return form(when, sequence, message, tuple(extras))


def _unmet(*_: Any) -> bytes:
    """Stands for the form of a site that was not met."""
    return b""
