"""What a reply means, as a value; what is then done is the courier's affair.

Rule: pure. A reply or a failure goes in, a verdict comes out; no clock, no I/O. Whether to send again is
decided here, when to do so in `_backoff`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

RETRY_AFTER_MAX: Final = 300.0
"""Seconds; a longer Retry-After is taken as this: a typo in a proxy must not stop delivery for a day."""

WORDS_MAX: Final = 300  # characters of an intake's reply that are worth repeating


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response, read whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received: float
    """Wall clock, seconds since 1970: what a Retry-After date is compared with."""
    proxied: bool = False
    """Whether a forward proxy was asked for it, which may have answered itself."""

    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def words(self) -> str:
        """The intake's own words, on one line, shortened."""
        text = visible(" ".join(re.sub(r"<[^>]*>", " ", self.body[:4096].decode("utf-8", "replace")).split()))
        return text if len(text) <= WORDS_MAX else text[:WORDS_MAX] + "…"

    def __str__(self) -> str:
        return f"HTTP {self.status}" + (f": {self.words}" if self.words else "")


def visible(text: str) -> str:
    r"""A line of somebody else's with nothing in it that moves a terminal's cursor or hides: `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


FailureKind = Literal["connection", "stale", "timeout", "tls", "proxy", "proxy_credentials", "request"]
"""`stale`: a kept-alive connection turned out to have been closed by the server while it was idle."""


@dataclass(frozen=True, slots=True)
class Failure:
    """No HTTP response came: why, in words without secrets."""

    kind: FailureKind
    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Delivered:
    """The intake took the batch; `taken` says how many of it, where it tells (None: all)."""

    taken: int | None = None


@dataclass(frozen=True, slots=True)
class TryLater:
    """The same request may succeed later, not before `after` seconds where the intake named a time."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Nothing can be delivered until somebody changes something; `advice` says what to check."""

    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The request, or the one event in it, is larger than the intake takes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The same request will always be refused; `hint` is the index of the bad event, where it was told."""

    reason: str
    hint: int | None = None


Verdict = Delivered | TryLater | Misconfigured | TooLarge | Refused

_ADVICE: Final[Mapping[int, str]] = {
    401: "check the token: the intake does not know it",
    403: "check the token's rights: the intake knows it, or its sender, and says no",
    404: "check url and endpoint: nothing takes logs there",
    405: "check url and endpoint: that address takes no POST",
    407: "check the credentials in `proxies` or HTTPS_PROXY: the proxy refuses them",
}


def judge_status(reply: Reply) -> Verdict:
    """The verdict on any status, as far as the dialects agree (the table in the README)."""
    status = reply.status
    if 200 <= status < 300:
        return Delivered()
    reason = str(reply)
    if status == 401 and _is_proxys_own(reply):
        return Misconfigured(reason, _ADVICE[407])
    if status in _ADVICE:
        return Misconfigured(reason, _ADVICE[status])
    if 300 <= status < 400:
        where = visible(reply.headers.get("location", ""))
        return Misconfigured(
            f"{reason} (to {where})" if where else reason,
            "check url: redirects are not followed, for the token would travel along",
        )
    if status in (408, 425, 429) or status >= 500 or status < 200:
        return TryLater(reason, retry_after(reply))
    if status == 413:
        return TooLarge(reason)
    return Refused(reason, _hint(reply))


def judge_failure(failure: Failure) -> Verdict:
    """The verdict where no response came."""
    if failure.kind == "proxy_credentials":
        return Misconfigured(failure.words, _ADVICE[407])
    return TryLater(failure.words)


def _is_proxys_own(reply: Reply) -> bool:
    """tinyproxy answers 401, as if the intake asked for a password: not the token's fault.

    No intake asks for Basic authentication; and a reply that a proxy has passed on bears a Via.
    """
    asks = reply.headers.get("www-authenticate", "").lower().startswith("basic")
    return "proxy-authenticate" in reply.headers or (reply.proxied and asks and "via" not in reply.headers)


def retry_after(reply: Reply) -> float | None:
    """Retry-After in seconds from now (RFC 9110, 10.2.3: seconds or a date), at most `RETRY_AFTER_MAX`."""
    value = reply.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value.lstrip("0")[:9] or "0"), RETRY_AFTER_MAX)
    try:
        date = parsedate_to_datetime(value)
        seconds = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - reply.received
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # neither form: as if it were not there
    return max(0.0, min(seconds, RETRY_AFTER_MAX))


def _hint(reply: Reply) -> int | None:
    """`invalid-event-number` of the Splunk dialect, counted from 0."""
    answer = reply.json()
    number = answer.get("invalid-event-number") if isinstance(answer, dict) else None
    return number if type(number) is int and number >= 0 else None
