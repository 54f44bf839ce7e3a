"""Reads JSON as the strictest of servers does: what any of them may refuse is refused here, with a reason.

Python's own ``json`` is generous (NaN, lone surrogates, integers of any size, repeated names), and a client
that is only tested against it finds out in production. Pure: text in, values out, or `NotStrictJSON`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

#: No intake documents its depth limit; parsers in the field stop somewhere between 64 and 1,000.
MAX_DEPTH = 64
#: Signed or unsigned 64 bit: wider integers are refused by servers written in C++, Rust or Java.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
_LONGEST_INTEGER = len(str(MIN_INTEGER))

_WHITESPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class NotStrictJSON(ValueError):  # noqa: N818 - "raise NotStrictJSON" reads as what happens
    """The text is not JSON that every server would read; the message says why, without quoting values."""


def decode_utf8(body: bytes) -> str:
    """The text of a request body; a byte order mark is refused, as RFC 8259 section 8.1 lets a server do."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictJSON(f"not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise NotStrictJSON("begins with a byte order mark")
    return text


def read_value(text: str) -> Any:
    """The one JSON value that `text` is."""
    value, end = _read_at(text, _skip_whitespace(text, 0))
    if _skip_whitespace(text, end) != len(text):
        raise NotStrictJSON(f"something follows the JSON value, at character {end}")
    return value


def read_sequence(text: str) -> Iterator[tuple[Any, str]]:
    """Each JSON value of `text`, in order, with the text it was read from.

    White space between two values is optional: ``curl --data @file`` strips the line breaks of the file, so
    the very example of Humio's page reaches the server as ``}{``.
    """
    start = _skip_whitespace(text, 0)
    while start < len(text):
        value, end = _read_at(text, start)
        yield value, text[start:end]
        start = _skip_whitespace(text, end)


def _skip_whitespace(text: str, start: int) -> int:
    match = _WHITESPACE.match(text, start)
    return match.end() if match else start


def _read_at(text: str, start: int) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise NotStrictJSON(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise NotStrictJSON(f"nested deeper than {MAX_DEPTH}") from None
    _check_depth(value, text, start, end)
    _check_surrogates(value, text, start, end)
    return value, end


def _check_depth(value: Any, text: str, start: int, end: int) -> None:
    # Counting brackets is one pass in C and settles nearly every event without a walk.
    if text.count("{", start, end) + text.count("[", start, end) > MAX_DEPTH:
        level = [value]
        for _ in range(MAX_DEPTH + 1):
            level = [child for parent in level for child in _children(parent)]
        if level:
            raise NotStrictJSON(f"nested deeper than {MAX_DEPTH}")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_surrogates(value: Any, text: str, start: int, end: int) -> None:
    # UTF-8 cannot bring one in, only an escape can; a proper pair of escapes has become one character by now.
    if _SURROGATE_ESCAPE.search(text, start, end):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise NotStrictJSON("a lone surrogate, which is no character") from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotStrictJSON(f"the name {twice!r} is there twice in one object")
    return members


def _integer(digits: str) -> int:
    if len(digits) <= _LONGEST_INTEGER and MIN_INTEGER <= (value := int(digits)) <= MAX_INTEGER:
        return value
    raise NotStrictJSON("an integer of more than 64 bits")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise NotStrictJSON("a number too large for a double")
    return value


def _constant(name: str) -> Any:
    raise NotStrictJSON(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_names, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
