"""Makes strict JSON of whatever was logged.

Rule: every value comes out as JSON that the strictest server reads (RFC 8259, and I-JSON, RFC 7493, section
2): no NaN, no lone surrogate, no integer over 64 bit. What had to be changed for that is named in a `notes`
list. Runs on the listener's thread, on private copies; pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final

from loghttp._freeze import INT_MAX, INT_MIN, Mark, safe_text

REDACTED: Final = "[redacted]"
EMPTY: Final = "(empty message)"
"""Stands for a message without text, which strict servers refuse."""

Dumps = Callable[[Any], bytes]


def _orjson() -> Any:
    """The module that comes with the `fast` extra; None without it."""
    try:
        import orjson  # noqa: PLC0415
    except ImportError:
        return None
    return orjson


def _json_dumps() -> Dumps:
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
    return lambda value: encode(value).encode()


def _orjson_dumps(orjson: Any) -> Dumps:
    encode, option = orjson.dumps, orjson.OPT_PASSTHROUGH_SUBCLASS
    # orjson's result keeps a buffer of up to ten times its length alive; a copy lets it go.
    return lambda value: bytes(memoryview(encode(value, None, option)))


def _number_text(orjson: Any) -> Callable[[float], str]:
    return (lambda value: orjson.dumps(value).decode()) if orjson else repr


def _number_texts(orjson: Any) -> Callable[[Sequence[float]], Iterable[str]]:
    return (lambda values: orjson.dumps(values).decode()[1:-1].split(",")) if orjson else partial(map, repr)


_found: Final = _orjson()

dumps: Final = _orjson_dumps(_found) if _found else _json_dumps()
"""Compact UTF-8 JSON of a value that `scalar`, `nest` or `flatten` has been through."""

dumps_large: Final = _json_dumps()
"""The same for documents with a long text, of which orjson would hold seven times the length for a moment."""

dumps_whole: Final[Dumps | None] = _found and _found.dumps
"""The same where it takes no longer for a whole document than for two of its members; None without orjson.

What it returns is not for keeping, see `_orjson_dumps`.
"""

text_of_text: Final = encode_basestring
"""The JSON of one text, as text: it is `dumps(value)` once UTF-8 is made of it, which fails for a lone surrogate."""
text_of_number: Final = _number_text(_found)
"""The same for one finite number within 64 bits."""
texts_of_numbers: Final = _number_texts(_found)
"""The same for each of a tuple of them."""

LARGE: Final = 400_000
"""What a record weighs (three bytes a character) whose text orjson is spared: less costs it 1 MB for a moment."""


def text(value: str, name: str, notes: list[str]) -> str:
    """`value` as text that UTF-8 can carry: a lone surrogate becomes its escape, such as `\\udc80`."""
    if type(value) is not str:  # a `Mark`
        notes.append(name)
        value = str.__str__(value)
    if value.isascii():  # a flag that CPython keeps, so nearly always this is all there is to do
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        notes.append(name)
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def scalar(value: Any, name: str, notes: list[str]) -> str | int | float | bool | None:
    """One atom (see `_freeze.ATOMS`) as a JSON scalar; numbers that JSON cannot carry become text."""
    kind = type(value)
    if kind is str:
        return text(value, name, notes)
    if kind is bool or value is None:
        return value  # type: ignore[no-any-return]
    if kind is int:
        if INT_MIN <= value <= INT_MAX:
            return value  # type: ignore[no-any-return]
        notes.append(name)
        return _big_int(value)
    if kind is float:
        if isfinite(value):
            return value  # type: ignore[no-any-return]
        notes.append(name)
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return text(_plain_text(value), name, notes)


def _big_int(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # over 4,300 digits (sys.set_int_max_str_digits)
        return hex(value)


def _plain_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    try:
        return str(value.isoformat())  # datetime, date, time
    except AttributeError:
        return safe_text(value)
    except Exception as error:  # noqa: BLE001  a user's tzinfo
        return Mark(f"<unreadable {type(value).__name__}: {type(error).__name__}>")


def nest(value: Any, name: str, notes: list[str], redact: Collection[str] = ()) -> Any:
    """A frozen value as JSON that keeps its dicts and lists."""
    if type(value) is dict:
        return {
            text(key, name, notes): REDACTED
            if redact and key.lower() in redact
            else nest(item, f"{name}.{key}" if name else key, notes, redact)
            for key, item in value.items()
        }
    if type(value) is list:
        return [nest(item, name, notes, redact) for item in value]
    return scalar(value, name, notes)


def flatten(value: Any, name: str, notes: list[str], redact: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """A frozen value as (dotted name, scalar) pairs, for intakes that take flat fields only.

    `{"user": {"id": 7}}` gives `user.id`. A list of scalars stays one readable value, its JSON text; a list
    that holds more is numbered as LogScale numbers arrays, `items[0].id`. None gives nothing: a field that
    is absent is what null means there.
    """
    if redact and name.lower() in redact:
        yield name, REDACTED
    elif type(value) is dict:
        for key, item in value.items():
            inner = text(key, name or key, notes)
            inner = f"{name}.{inner}" if name else inner
            if redact and key.lower() in redact:
                yield inner, REDACTED
            else:
                yield from flatten(item, inner, notes, redact)
    elif type(value) is list:
        if any(type(item) in (dict, list) for item in value):
            for index, item in enumerate(value):
                yield from flatten(item, f"{name}[{index}]", notes, redact)
        else:
            yield name, dumps([scalar(item, name, notes) for item in value]).decode()
    elif value is not None:
        yield name, scalar(value, name, notes)


def joined(notes: list[str]) -> str:
    """The names of what was changed, each once, as one value for the event itself to bear."""
    return ", ".join(dict.fromkeys(notes))[:1_000].encode("utf-8", "backslashreplace").decode()


def fit(document: Any, limit: int) -> bytes | None:
    """`document` as JSON of at most `limit` bytes: its longest texts are cut, with a mark. None: cannot be.

    All texts are cut down to one level, so that several long ones give way evenly and none is emptied.
    """
    body = dumps_large(document)
    if len(body) <= limit:
        return body
    texts = [(holder, key, value, len(dumps_large(value))) for holder, key, value in _texts(document)]
    weights = [weight for *_, weight in texts]
    level = _level(weights, limit - (len(body) - sum(weights)))
    while level > _LEAST:
        for holder, key, value, weight in texts:
            if weight > level:
                holder[key] = _cut_at(value, len(value) * level // weight)
        body = dumps_large(document)
        if len(body) <= limit:
            return body
        level = level * 9 // 10  # characters differ in weight, and marks have some too
    return None


def _level(weights: list[int], room: int) -> int:
    """The height to which all weights must be cut down for their sum to be within `room`."""
    left = len(weights)
    for weight in sorted(weights):
        if weight * left > room:
            return max(0, room // left)
        room -= weight
        left -= 1
    return max(weights, default=0)


_CUT_MARK: Final = re.compile(r"… \[cut by loghttp: (\d+) characters left out\]$")
_LEAST: Final = 100  # bytes; a text that is cut has to hold its mark, and something before it


def _cut_at(value: str, length: int) -> str:
    """`value` cut to about `length` characters, mark included; one that was cut before has one mark still."""
    cut_before = _CUT_MARK.search(value)
    whole = len(value) if cut_before is None else cut_before.start() + int(cut_before[1])
    keep = max(0, length - 50)
    return f"{value[:keep]}… [cut by loghttp: {whole - keep} characters left out]"


def _texts(value: Any, holder: Any = None, key: Any = None) -> Iterator[tuple[Any, Any, str]]:
    """Each text in a document, with where it stands: (its dict or list, its key or index, the text)."""
    if type(value) is str and holder is not None:
        yield holder, key, value
    elif type(value) is dict or type(value) is list:
        for inner_key, item in list(value.items() if type(value) is dict else enumerate(value)):
            yield from _texts(item, value, inner_key)
