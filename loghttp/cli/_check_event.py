"""The test event: sent by the real handler, and what became of it.

Rule: the handler is the judge; the words here only add what a person can do. One event is sent, once: `PATIENCE`
are the options of a handler that does not try again.
"""

from __future__ import annotations

import logging
import re
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Any, Final

from loghttp._verdict import Misconfigured, Reply, judge_status
from loghttp.cli._check_probe import CREDENTIALS
from loghttp.cli._check_step import Step
from loghttp.cli._destination import plain

PATIENCE: Final[dict[str, Any]] = {
    "flush_interval": 0.0,
    "retry_for": 0.001,  # no second attempt
    "retry_wait_max": 0.01,
    "close_timeout": 0.5,  # the outcome is known by then, or never
}
SLOW: Final = 2.0
"""Seconds for one event beyond which it is said: handlers have time, but a 503 may not be far."""
_LOOK_EVERY: Final = 0.01
_STATUS: Final = re.compile(r"HTTP (\d{3})\b")
_LOCATION: Final = re.compile(r" \(to (\S+)\)$")


@dataclass(slots=True)
class Trial:
    """One event on its way through a handler."""

    handler: Any
    mark: str
    """What it can be searched for: the field `loghttp_check`."""
    began: float
    said: list[str]
    filtered: bool = False
    """Whether a filter of the handler held it back; then it was sent past the filter."""

    @classmethod
    def send(cls, handler: Any, said: list[str]) -> Trial:
        """Hand the event over; `said` is where what loghttp says meanwhile is collected."""
        mark = secrets.token_hex(4)
        trial = cls(handler, mark, time.monotonic(), said)
        text = f"loghttp check: a test event from {socket.gethostname()}; if you can read this, delivery works"
        record = logging.makeLogRecord(
            {
                "name": "loghttp.check",
                "levelno": logging.INFO,
                "levelname": "INFO",
                "msg": text,
                "module": "check",
                "funcName": "check",
                "loghttp_check": mark,
            }
        )
        if not handler.handle(record):  # a filter of the user's: what is looked at here is delivery
            trial.filtered = True
            handler.emit(record)
        return trial

    def wait(self, url: str, limit: float, *, explained: bool) -> Step:
        """What became of it, at the latest after `limit` seconds; if an earlier step has `explained` it, in short."""
        while not self._settled() and time.monotonic() - self.began < limit:
            time.sleep(_LOOK_EVERY)
        seconds = time.monotonic() - self.began
        delivered = self.handler.stats().delivered
        self.handler.close()
        if delivered:
            return self._arrived(seconds)
        return self._failed(url, seconds, explained)

    def _settled(self) -> bool:
        stats = self.handler.stats()
        return not stats.pending or (
            stats.last_error is not None and any("not delivered" in line for line in self.said)
        )

    def _arrived(self, seconds: float) -> Step:
        text = f"delivered; search for loghttp_check={self.mark}"
        if seconds > SLOW:
            return Step(
                "event",
                "note",
                text,
                f"Slow: one event took {seconds:.1f} s. What stands between, or is it busy?",
                seconds,
            )
        return Step("event", "ok", text, seconds=seconds)

    def _failed(self, url: str, seconds: float, explained: bool) -> Step:
        stats = self.handler.stats()
        error = plain(stats.last_error or f"nothing was heard within {seconds:.0f} s")
        if explained:
            return Step("event", "failed", f"not delivered: {error}", "", seconds)
        status = _STATUS.match(error)
        at = f" (POST {url})" if status else ""
        proxys = any("the proxy refuses them" in line for line in self.said)
        advice = CREDENTIALS if proxys else _advice(error, int(status[1]) if status else 0, stats.dropped)
        return Step("event", "failed", f"{error}{at}", advice, seconds)


def _advice(error: str, status: int, dropped: Any) -> str:
    words = error.lower()
    if "intake_rejected" in dropped:
        return "The intake answers success but takes nothing: check the intake key, and the intake's format."
    if "certificate" in words and status == 400:
        return "It wants a client certificate: --cert here, cert= on the handler."
    if "https port" in words:
        return "The port is one for https: begin the URL with https://."
    if "certificate required" in words or "handshake failure" in words:
        return "It wants a client certificate: --cert here, cert= on the handler."
    if "timed out" in words:
        return "It took the connection and did not answer in time: is it busy? --timeout waits longer."
    return _of_status(status, error)


def _of_status(status: int, error: str) -> str:
    if where := _LOCATION.search(error):
        return f"It redirects, and redirects are not followed, for the token would travel along: is the URL {where[1]}?"
    match status:
        case 401:
            return "Check the token: the intake does not know it. Was it copied whole, and for this server?"
        case 403:
            return "Check the token: it is wrong, or has no right to send here, or not from this address."
        case 404:
            return "Nothing takes logs at that address: check the URL (without the endpoint's path) and the endpoint."
        case 413:
            return (
                "Too large, at less than a kilobyte: a limit in front of the intake (nginx: client_max_body_size) is"
                " far too low."
            )
        case 429:
            return "It takes no more for now. A handler keeps its records and tries again; check the account's quota."
        case 0:
            return "The steps above may say why." if "nothing was heard" in error else ""
    if status >= 500 or status == 408:
        return "The intake, or what stands in front of it, is in trouble. A handler keeps its records and tries again."
    verdict = judge_status(Reply(status, {}, b"", 0.0))
    if isinstance(verdict, Misconfigured):
        return verdict.advice[:1].upper() + verdict.advice[1:] + "."
    return "The intake refuses the event itself: check endpoint, index and sourcetype."
