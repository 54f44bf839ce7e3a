"""What a reply means: the verdict table of the design, row by row, without a socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any, get_args
from unittest.mock import ANY

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st

from loghttp._verdict import (
    RETRY_AFTER_MAX,
    WORDS_MAX,
    Delivered,
    Failure,
    FailureKind,
    Misconfigured,
    Refused,
    Reply,
    TooLarge,
    TryLater,
    judge_failure,
    judge_status,
    retry_after,
)

NOW = datetime(2026, 11, 6, 8, 49, 37, tzinfo=timezone.utc)
MAX = RETRY_AFTER_MAX


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    """A reply that came at `NOW`; header names as arguments, `retry_after="5"`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content, NOW.timestamp())


def http_date(seconds_from_now: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW.timestamp() + seconds_from_now, timezone.utc), usegmt=True)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


# ---- the table


@each("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    """The dialects that know no better take every 2xx as delivered, whole."""
    assert Delivered(None) == judge_status(reply(status))


@each("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599])
def test_what_may_heal_by_itself_is_tried_later(status: int) -> None:
    """Time-outs, too many requests and the server's own trouble: the same request may succeed later."""
    assert TryLater(f"HTTP {status}: busy") == judge_status(reply(status, b"busy"))


@each("status", [408, 425, 429, 500, 503])
def test_the_intake_s_wish_goes_along(status: int) -> None:
    """Retry-After counts on every status that is tried later, 503 as well as 429."""
    assert TryLater(f"HTTP {status}", 7.0) == judge_status(reply(status, retry_after="7"))


@each(
    ("status", "check"),
    [
        (401, "token"),
        (403, "token"),
        (404, "url"),
        (405, "url"),
        (301, "url"),
        (302, "url"),
        (307, "url"),
        (308, "url"),
    ],
)
def test_what_needs_a_human_says_what_to_check(status: int, check: str) -> None:
    """A wrong token or URL keeps the batch, and the advice names the parameter to look at."""
    verdict = judge_status(reply(status, b"no"))
    assert isinstance(verdict, Misconfigured)
    assert f"HTTP {status}: no" == verdict.reason
    assert check in verdict.advice


def test_a_redirect_says_where_to() -> None:
    """Redirects are not followed, for the token would travel along; where they lead is worth knowing."""
    verdict = judge_status(reply(301, location="https://www.example.com/login"))
    assert isinstance(verdict, Misconfigured)
    assert "https://www.example.com/login" in verdict.reason


def test_a_proxy_s_401_is_not_the_token_s_fault() -> None:
    """tinyproxy answers 401 to its own bad credentials; sending a human to the token would mislead."""
    verdict = judge_status(reply(401, proxy_authenticate='Basic realm="tinyproxy"'))
    assert isinstance(verdict, Misconfigured)
    assert "prox" in verdict.advice
    assert "token" not in verdict.advice


def test_a_proxy_s_407_keeps_the_batch() -> None:
    """407 is a 4xx, but of the proxy's: nothing is wrong with the events."""
    verdict = judge_status(reply(407))
    assert isinstance(verdict, Misconfigured)
    assert "prox" in verdict.advice


def test_413_is_too_large() -> None:
    """A request that is too large can be made smaller, unlike one that is refused."""
    assert TooLarge("HTTP 413: Request Entity Too Large") == judge_status(reply(413, b"Request Entity Too Large"))


@each("status", [400, 402, 406, 409, 410, 415, 418, 422, 431, 451, 499])
def test_every_other_4xx_is_refused(status: int) -> None:
    """Same input, same error: the batch holds something that the intake will never take."""
    assert Refused(f"HTTP {status}: no") == judge_status(reply(status, b"no"))


def test_only_2xx_is_success() -> None:
    """Whatever number a server or a proxy makes up, there is one verdict, and only 2xx is success."""
    successes = [status for status in range(100, 1_000) if isinstance(judge_status(reply(status)), Delivered)]
    assert list(range(200, 300)) == successes


@each("kind", sorted(set(get_args(FailureKind)) - {"proxy_credentials"}))
def test_no_reply_at_all_is_tried_later(kind: FailureKind) -> None:
    """Refused and reset connections, DNS, TLS, time-outs and proxies: the same request may succeed later."""
    assert TryLater("[Errno 111] Connection refused") == judge_failure(Failure(kind, "[Errno 111] Connection refused"))


def test_a_proxy_that_refuses_our_credentials_needs_a_human() -> None:
    """No waiting heals a wrong proxy password."""
    verdict = judge_failure(Failure("proxy_credentials", "407 Proxy Authentication Required"))
    assert isinstance(verdict, Misconfigured)
    assert "prox" in verdict.advice


# ---- Retry-After (RFC 9110, section 10.2.3)


@each(
    ("value", "seconds"),
    [
        pytest.param("0", 0.0, id="zero"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="white space"),
        pytest.param("300", 300.0, id="as long as is obeyed"),
        pytest.param("301", MAX, id="a little longer"),
        pytest.param("86400", MAX, id="a day"),
        pytest.param("9" * 400, MAX, id="absurd"),
        pytest.param("0000000000007", 7.0, id="leading zeros"),
        pytest.param(http_date(60), 60.0, id="date"),
        pytest.param(http_date(-60), 0.0, id="past date"),
        pytest.param(http_date(86_400), MAX, id="date tomorrow"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", MAX, id="absurd date"),
        pytest.param("Friday, 06-Nov-26 08:50:07 GMT", 30.0, id="RFC 850 date"),
        pytest.param("Fri Nov  6 08:50:07 2026", 30.0, id="asctime date"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="garbage"),
        pytest.param("", None, id="empty"),
        pytest.param("1.5", None, id="no whole number"),
        pytest.param("²", None, id="a digit that is none"),
        pytest.param("Fri, 99 Nov 2026 08:50:07 GMT", None, id="impossible date"),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """Seconds and dates are read, long waits are capped, the past means now, and anything else is not there."""
    assert seconds == retry_after(reply(503, retry_after=value))


@pytest.mark.parametrize("value", ["Fri, 06 Nov 2026 08:50:07 GMT", "Fri Nov  6 08:50:07 2026"])
def test_a_retry_after_date_is_gmt_wherever_the_machine_stands(value: str, new_york: None) -> None:
    """All three forms of an HTTP date are in GMT (RFC 9110, section 5.6.7), also the one that does not say so."""
    assert 30.0 == retry_after(reply(503, retry_after=value))


def test_no_retry_after_is_no_wish() -> None:
    """Without the header the courier's own back-off decides alone."""
    assert None is retry_after(reply(503))


@given(st.one_of(st.text(max_size=40), st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,5} \d\d:\d\d:\d\d [-+A-Z0-9]{1,6}")))
@settings(deadline=None, max_examples=100)
def test_no_retry_after_can_hurt(value: str) -> None:
    """Whatever stands in the header, the wait is none or between nothing and the cap."""
    seconds = retry_after(reply(503, retry_after=value))
    assert seconds is None or 0.0 <= seconds <= MAX


# ---- hints


@each(
    ("body", "hint"),
    [
        ({"text": "Invalid data format", "code": 6, "invalid-event-number": 3}, 3),
        ({"invalid-event-number": 0}, 0),
        ({"invalid-event-number": -1}, None),
        ({"invalid-event-number": "3"}, None),
        ({"invalid-event-number": True}, None),
        ({"invalid-event-number": 1.0}, None),
        ({"text": "no"}, None),
        ([3], None),
        (3, None),
        (b"<html>400</html>", None),
        (b"[" * 100_000, None),
        (b"\xff\xfe", None),
    ],
)
def test_the_hint_is_the_number_of_the_bad_event(body: Any, hint: int | None) -> None:
    """Splunk's dialect names the bad event; whatever else the body holds is no hint and does no harm."""
    verdict = judge_status(reply(400, body))
    assert isinstance(verdict, Refused)
    assert hint == verdict.hint


# ---- the intake's words


@each(
    ("body", "words"),
    [
        (b"", ""),
        (b"  Bad\r\n\tevent  ", "Bad event"),
        (b"<html><h1>502</h1><p>Bad Gateway</p></html>", "502 Bad Gateway"),
        (b"caf\xff", "caf\N{REPLACEMENT CHARACTER}"),
        (b"x" * 10_000, "x" * WORDS_MAX + "…"),
        (b"\x1b]0;title\x07 \xe2\x80\xae caf\xc3\xa9", r"\x1b]0;title\x07 \u202e café"),
    ],
)
def test_the_intake_s_words_fit_on_one_line(body: bytes, words: str) -> None:
    """What an intake says is repeated on one short line, without mark-up, and nothing in it moves a cursor or hides."""
    assert words == reply(500, body).words


def test_a_reply_reads_at_a_glance() -> None:
    """`str` of a reply is what log lines and `last_error` show."""
    assert "HTTP 503: Server is busy" == str(reply(503, b"Server is busy"))
    assert "HTTP 503" == str(reply(503))


def test_a_redirect_moves_no_cursor() -> None:
    """Where a redirect leads is the server's word, too."""
    verdict = judge_status(reply(301, location="https://logs.example/\x1b[2J"))
    assert Misconfigured(r"HTTP 301 (to https://logs.example/\x1b[2J)", ANY) == verdict
