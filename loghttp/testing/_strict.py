"""Judges a request as the strictest server of its dialect would: taken whole, or refused whole with a reason.

Pure: no sockets, no clock, no state. This module holds what the two dialects have in common, which is HTTP;
`_hec` and `_sekoia` know the rest. The dialect is told by the path.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

from loghttp.testing import _hec, _json, _sekoia
from loghttp.testing._received import Dialect, Headers, ReceivedEvent
from loghttp.testing._replies import Answer, Refused, json_answer

#: "/services/collector/" is a misspelt HEC path, not SEKOIA.IO's "/" below a prefix.
_BELOW_HEC = tuple(f"{path}/" for path in _hec.PATHS)
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What one server insists on."""

    token: str = field(repr=False)
    intake_key: str = field(repr=False)
    #: The repository of the token, which HEC's `index` must name; None: any.
    repository: str | None = None
    #: Most bytes of a request, after decompression, of each dialect.
    hec_body_bytes: int = _hec.BODY_BYTES
    sekoia_body_bytes: int = _sekoia.BODY_BYTES

    def body_bytes(self, path: str) -> int:
        """The most that a request to `path` may carry."""
        return self.sekoia_body_bytes if dialect_of(path) == "sekoia" else self.hec_body_bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a strict server makes of a request."""

    answer: Answer
    #: "" if it is taken.
    refusal: str
    events: tuple[ReceivedEvent, ...]
    #: Decompressed, as far as it came to that.
    body: bytes


def dialect_of(path: str) -> Dialect | None:
    """Which dialect is spoken at `path`; None: neither."""
    if path in _hec.PATHS:
        return "hec"
    if not path.startswith("/") or path.startswith(_BELOW_HEC):
        return None
    return "sekoia" if _sekoia.endpoint(path) in _sekoia.ENDPOINTS else None


def body_length(headers: Headers) -> int | None:
    """How many bytes of body follow the headers; None when that cannot be known."""
    if "Transfer-Encoding" in headers:
        return None
    digits = headers.get("Content-Length", "0")  # RFC 9112, 6.3: without either header there is no body
    return int(digits) if _LENGTH.fullmatch(digits) else None


def judge(rules: Rules, method: str, path: str, headers: Headers, wire: bytes | None) -> Judgement:
    """The judgement on a request whose body came as `wire`; None: left unread, as too large or endless."""
    body = wire or b""
    try:
        dialect = _check_head(rules, method, path, headers)
        body = _unpack(headers, wire, rules.body_bytes(path))
        try:
            text = _json.decode_utf8(body)
        except _json.NotStrictJSON as error:
            raise Refused(400, str(error)) from None
        if dialect == "hec":
            events = _hec.read(text, rules.repository)
            answer = _hec.accepted(headers)
        else:
            endpoint = _sekoia.endpoint(path)
            events = _sekoia.read(text, endpoint, rules.intake_key)
            answer = _sekoia.accepted(endpoint, len(events))
    except Refused as refusal:
        return refused(path, refusal, body)
    return Judgement(answer, "", events, body)


def refused(path: str, refusal: Refused, body: bytes = b"") -> Judgement:
    """The judgement that a refusal is, in the words of the dialect of `path`."""
    match dialect_of(path):
        case "hec":
            answer = _hec.refused(refusal)
        case "sekoia":
            answer = _sekoia.refused(refusal)
        case _:
            answer = json_answer(refusal.status, {"message": refusal.reason})
    if refusal.status == 405:
        answer = Answer(answer.status, {**answer.headers, "Allow": "POST"}, answer.body)
    return Judgement(answer, str(refusal), (), body)


def _check_head(rules: Rules, method: str, path: str, headers: Headers) -> Dialect:
    """Everything that can be said of a request before its body is looked at."""
    dialect = dialect_of(path)
    if dialect is None:
        raise Refused(404, "no intake at this path, which must be exact and without a query")
    if method != "POST":
        raise Refused(405, f"{method} is not allowed, events are sent by POST")
    if dialect == "hec":
        _hec.check_authorization(headers, rules.token)
    if "Transfer-Encoding" in headers or "Content-Length" not in headers:
        raise Refused(411, "Content-Length is required")
    if body_length(headers) is None:
        raise Refused(400, "Content-Length is not a number")
    content_type = headers.get("Content-Type", "")
    content_types = _hec.CONTENT_TYPES if dialect == "hec" else _sekoia.CONTENT_TYPES
    if content_type.replace(" ", "").lower() not in content_types:
        asked = " or ".join(repr(known.replace(";", "; ")) for known in sorted(content_types))
        raise Refused(415, f"Content-Type must be {asked}, not {content_type!r}")
    if headers.get("Content-Encoding", "identity").lower() not in {"gzip", "identity"}:
        raise Refused(415, "Content-Encoding must be gzip or identity")
    return dialect


def _unpack(headers: Headers, wire: bytes | None, most: int) -> bytes:
    """The body without its compression, given up as soon as it proves too large: it may be a gzip bomb."""
    too_large = Refused(413, f"a request of more than {most:,} bytes")
    if wire is None:
        raise too_large
    if headers.get("Content-Encoding", "identity").lower() == "identity":
        return wire
    body = b""
    while wire:  # gzip allows several members, one after the other (RFC 1952, 2.2)
        member = zlib.decompressobj(wbits=31)
        try:
            body += member.decompress(wire, most + 1 - len(body))
        except zlib.error:
            raise Refused(400, "the body is not gzip, as Content-Encoding says") from None
        if len(body) > most:
            raise too_large
        if not member.eof:
            raise Refused(400, "the gzip body is cut short")
        wire = member.unused_data
    return body
