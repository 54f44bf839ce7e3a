"""Forms: what is fixed of an event, and where the rest goes.

An event is shaped with stand-ins for all that is another in each record of its call site: time, sequence, message
and the extras' values. What comes out is cut at the stand-ins, and to write the next event is to fill in its values.
With orjson, which writes a whole document as fast as two of its members, the form is the document itself.

Rule: a form is a guess that its maker has to prove. It knows no dialect, only JSON. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from secrets import token_hex
from types import NoneType
from typing import Any, Final

from loghttp._encoding import dumps_whole, text_of_number, text_of_text, texts_of_numbers
from loghttp._stats import iso

Form = Callable[[float, int, str, tuple[Any, ...]], bytes]
"""Writes the event of a time, a sequence, a message and the extras' values, of the same kinds as the first one's.

Raises ValueError or TypeError for a text that UTF-8 cannot carry. The result is not for keeping: see
`_encoding.dumps_whole`.
"""
Table = Callable[[Sequence[Sequence[Any]]], bytes]
"""Writes the events of many records at once, one a line, of the columns of their times, sequences and messages, and
of each extra's values. It takes half the time of as many forms: nothing in it is done in Python for each record. Raises
as a form.
"""
_Place = tuple[dict[str, Any], str]
_Encoder = Callable[[Any], str]

# Stand-ins, which nothing else in an event can equal.
_TEXT: Final = f"loghttp-{token_hex(8)}-"
_INT: Final = 7_046_029_254_386_353_000
_FLOAT: Final = 704_602_925_438.5
_CREATED: Final = 1_234_567_890.123456

_BOOLS: Final = {True: "true", False: "false"}


def stand_ins(values: Sequence[Any]) -> list[Any]:
    """What is written in the same places as these: a time, and others. None, which may not be written, stays."""
    return [_CREATED, *(_stand_in(number, value) for number, value in enumerate(values[1:], 1))]


def others(values: Sequence[Any]) -> list[Any]:
    """Of the same kinds, and as different as can be."""
    return [_other(value) for value in values]


def whole(body: bytes, standing: Sequence[Any]) -> Form | None:
    """The form that this body, with stand-ins, is the document of; None if it is no object, or there is no orjson."""
    document = json.loads(body) if dumps_whole else None
    if not isinstance(document, dict) or dumps_whole is None:
        return None
    places: list[_Place] = []
    for stand_in in standing:
        found = list(_places(document, stand_in))
        if len(found) > 1:
            return None
        places += found or [({}, "nowhere")]
    (times, time), (numbers, number), (messages, message_key), *extras = places
    dumps, put = dumps_whole, _setter(extras)

    def form(when: float, sequence: int, message: str, values: tuple[Any, ...]) -> bytes:
        times[time], numbers[number], messages[message_key] = when, sequence, message
        put(values)
        return dumps(document)

    return form


def _places(document: dict[str, Any], stand_in: Any) -> list[_Place]:
    holders = [document]
    for holder in holders:
        holders += [member for member in holder.values() if type(member) is dict]
    return [(holder, key) for holder in holders for key, member in holder.items() if member == stand_in is not None]


def _setter(places: Sequence[_Place]) -> Callable[[tuple[Any, ...]], None]:
    """Puts values in their places. Written out for a few: a loop takes as long as to write the whole document."""
    match places:
        case [(a, i)]:

            def put(values: tuple[Any, ...]) -> None:
                (a[i],) = values

        case [(a, i), (b, j)]:

            def put(values: tuple[Any, ...]) -> None:
                a[i], b[j] = values

        case [(a, i), (b, j), (c, k)]:

            def put(values: tuple[Any, ...]) -> None:
                a[i], b[j], c[k] = values

        case [(a, i), (b, j), (c, k), (d, m)]:

            def put(values: tuple[Any, ...]) -> None:
                a[i], b[j], c[k], d[m] = values

        case _:

            def put(values: tuple[Any, ...]) -> None:
                for (holder, key), value in zip(places, values, strict=True):
                    holder[key] = value

    return put


def in_parts(body: bytes, standing: Sequence[Any], kinds: Sequence[type]) -> Form | None:
    """The form of this body, cut at its stand-ins; None where one is not by itself, but a part of some text."""
    if (cut := _cut(body, standing, kinds)) is None:
        return None
    parts, values_at = cut
    places = [(place, *values_at[place]) for place in values_at]

    def form(when: float, sequence: int, message: str, values: tuple[Any, ...]) -> bytes:
        every = (when, sequence, message, *values)
        filled = parts.copy()
        for place, number, encode in places:
            filled[place] = encode(every[number])
        return "".join(filled).encode()

    return form


def in_columns(body: bytes, standing: Sequence[Any], kinds: Sequence[type]) -> Table | None:
    """The table of this body, cut likewise; None also if a text may be written twice, or the body is not one line."""
    cut = _cut(body, standing, kinds)
    if cut is None or b"\n" in body:
        return None
    parts, values_at = cut
    but_times = [number for number, _ in values_at.values() if number]
    if len({*but_times}) < len(but_times):
        return None

    def table(columns: Sequence[Sequence[Any]]) -> bytes:
        rows = len(columns[0])
        cells: list[Iterable[str]] = [repeat(part, rows) for part in parts]
        for place, (number, encode) in values_at.items():
            cells[place] = _column(encode, columns[number])
        return "\n".join(map("".join, zip(*cells, strict=True))).encode()

    return table


def _cut(
    body: bytes, standing: Sequence[Any], kinds: Sequence[type]
) -> tuple[list[str], dict[int, tuple[int, _Encoder]]] | None:
    """The body in parts; and by their indices among these, the stand-ins' numbers and how values are written there."""
    spellings: dict[str, tuple[int, _Encoder]] = {}
    for number, stand_in in enumerate(standing):
        spellings |= {text: (number, encode) for text, encode in _spellings(stand_in, kinds[number])}
    parts = re.split(f"({'|'.join(map(re.escape, spellings))})", body.decode())
    if any(_TEXT in part for part in parts[::2]):
        return None
    return parts, {place: spellings[parts[place]] for place in range(1, len(parts), 2)}


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


def _spellings(stand_in: Any, kind: type) -> list[tuple[str, _Encoder]]:
    """How a stand-in may have been written, and how values of this kind are to be written there."""
    if kind is str:
        return [(f'\\"{stand_in}\\"', _quoted), (f'"{stand_in}"', text_of_text)]
    if stand_in == _CREATED:
        return [(text_of_number(_CREATED), text_of_number), (iso(_CREATED), iso)]
    if kind is NoneType:
        return []
    return [(text_of_number(stand_in), {int: repr, float: text_of_number, bool: _BOOLS.__getitem__}[kind])]


def _quoted(value: str) -> str:
    """In JSON that is itself a text in JSON."""
    return text_of_text(text_of_text(value))[1:-1]


def _column(encode: _Encoder, values: Sequence[Any]) -> Iterable[str]:
    """As `map`; but orjson writes many numbers in the time that it is called for three."""
    return texts_of_numbers(values) if encode in (text_of_number, repr) else map(encode, values)
