"""Every knob of delivery, with its default and where the number comes from.

Rule: `Delivery` is checked once, when the handler is made, and never changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Any, Final, Literal, TypedDict

from loghttp import _checks
from loghttp._errors import ConfigurationError

Overflow = Literal["drop_oldest", "drop_newest", "block"]


class DeliveryOptions(TypedDict, total=False):
    """The options of delivery, the same for every handler, as type checkers see them. All times in seconds.

    A bad value raises `ConfigurationError` when the handler is made.

    Options:
        batch_events: A batch is sent when it holds this many events (default: the intake's advice, 5,000).
        batch_bytes: A batch is sent when it holds this many bytes, uncompressed (default: the intake's advice, 5 MB).
        flush_interval: A batch is sent when its oldest event is this old (default 1.0).
        flush_level: A record of this level or above makes its batch due at once (default logging.ERROR).
        buffer_events: Most events kept in memory, all stages together (default 100,000).
        buffer_bytes: Most bytes kept in memory, all stages together (default 64 MiB).
        overflow: What gives way when the buffer is full: "drop_oldest" (default), "drop_newest", or "block".
        block_timeout: With overflow="block": the longest a logging call waits (default None: until there is room).
        compression: Compression of request bodies: "gzip" (default; RFC 1952), or None.
        timeout: To connect, and to send or to read in one request; one number is both (default (5.0, 30.0)).
        retry_for: Age at which an undeliverable event is dropped as "expired" (default None: never).
        retry_wait_max: Longest own wait between attempts (default 30.0); Retry-After (RFC 9110) is obeyed up to 300.
        close_timeout: Longest that close(), flush() without a timeout, and interpreter exit take (default 5.0).
        spool_dir: Durable mode: a folder in which events wait on disk, and survive the process (default None).
        spool_bytes: Most bytes that this process keeps in the spool (default 1 GiB).
        spool_fsync: Survive a power cut, too: each commit waits for the disk (default False).
        verify: TLS: True (default), False, or the path of a CA bundle, as in requests.
        cert: TLS client certificate: a PEM file, or (certificate, key), as in requests (default None).
        proxies: As in requests; default: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment.
        headers: Extra request headers (default None); none that loghttp sets itself, as Authorization.
    """

    batch_events: int
    """A batch is sent when it holds this many events (default: the intake's advice, 5,000)."""
    batch_bytes: int
    """A batch is sent when it holds this many bytes, uncompressed (default: the intake's advice, 5 MB)."""
    flush_interval: float
    """A batch is sent when its oldest event is this old (default 1.0)."""
    flush_level: int | str
    """A record of this level or above makes its batch due at once (default logging.ERROR)."""
    buffer_events: int
    """Most events kept in memory, all stages together (default 100,000)."""
    buffer_bytes: int
    """Most bytes kept in memory, all stages together (default 64 MiB)."""
    overflow: Overflow
    """What gives way when the buffer is full: "drop_oldest" (default), "drop_newest", or "block"."""
    block_timeout: float | None
    """With overflow="block": the longest a logging call waits (default None: until there is room)."""
    compression: Literal["gzip"] | None
    """Compression of request bodies: "gzip" (default; RFC 1952), or None."""
    timeout: float | tuple[float, float]
    """To connect, and to send or to read in one request; one number is both (default (5.0, 30.0))."""
    retry_for: float | None
    """Age at which an undeliverable event is dropped as "expired" (default None: never)."""
    retry_wait_max: float
    """Longest own wait between attempts (default 30.0); Retry-After (RFC 9110) is obeyed up to 300."""
    close_timeout: float
    """Longest that close(), flush() without a timeout, and interpreter exit take (default 5.0)."""
    spool_dir: str | PathLike[str] | None
    """Durable mode: a folder in which events wait on disk, and survive the process (default None)."""
    spool_bytes: int
    """Most bytes that this process keeps in the spool (default 1 GiB)."""
    spool_fsync: bool
    """Survive a power cut, too: each commit waits for the disk (default False)."""
    verify: bool | str
    """TLS: True (default), False, or the path of a CA bundle, as in requests."""
    cert: str | tuple[str, str] | None
    """TLS client certificate: a PEM file, or (certificate, key), as in requests (default None)."""
    proxies: Mapping[str, str] | None
    """As in requests; default: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment."""
    headers: Mapping[str, str] | None
    """Extra request headers (default None); none that loghttp sets itself, as Authorization."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one intake takes; the numbers stand, with their source, at the top of its own file."""

    batch_events: int
    """Advice: the default of `batch_events`."""
    batch_bytes: int
    """Advice: the default of `batch_bytes`."""
    event_bytes: int
    """An event that is longer (UTF-8) is cut before it is sent."""
    batch_events_max: int | None = None
    """Most events that one request can carry at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`DeliveryOptions`, checked and complete. `repr` shows no proxy, header or path of a key."""

    batch_events: int
    batch_bytes: int
    flush_interval: float = 1.0
    flush_level: int = logging.ERROR
    buffer_events: int = 100_000
    buffer_bytes: int = 64 * 1024 * 1024
    overflow: Overflow = "drop_oldest"
    block_timeout: float | None = None
    compression: Literal["gzip"] | None = "gzip"
    timeout: tuple[float, float] = (5.0, 30.0)
    retry_for: float | None = None
    retry_wait_max: float = 30.0
    close_timeout: float = 5.0
    spool_dir: str | None = None
    spool_bytes: int = 1024 * 1024 * 1024
    spool_fsync: bool = False
    verify: bool | str = True
    cert: str | tuple[str, str] | None = field(default=None, repr=False)
    proxies: dict[str, str] | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def checked(cls, options: Mapping[str, Any], limits: Limits) -> Delivery:
        """Check a handler's keyword arguments. Raises `ConfigurationError` for an unknown or bad one."""
        unknown = sorted(options.keys() - _CHECKS.keys())
        if unknown:
            known = ", ".join(option.name for option in fields(cls))
            raise ConfigurationError(f"unknown option {unknown[0]!r}; the options of delivery are: {known}")
        values: dict[str, Any] = {"batch_events": limits.batch_events, "batch_bytes": limits.batch_bytes}
        values |= {name: _CHECKS[name](name, value) for name, value in options.items()}
        most = limits.batch_events_max
        if most is not None and "batch_events" in options and values["batch_events"] > most:
            raise ConfigurationError(f"batch_events must be at most {most} for this endpoint")
        delivery = cls(**values)
        if delivery.block_timeout is not None and delivery.overflow != "block":
            raise ConfigurationError('block_timeout needs overflow="block"')
        return delivery


def _overflow(name: str, value: object) -> Any:
    return _checks.one_of(name, value, ("drop_oldest", "drop_newest", "block"))


def _compression(name: str, value: object) -> Any:
    return _checks.one_of(name, value, ("gzip", None))


def _positive_seconds(name: str, value: object) -> float:
    return _checks.seconds(name, value, zero=False)  # waits of nothing would hammer the intake


_CHECKS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "batch_events": _checks.count,
    "batch_bytes": _checks.count,
    "flush_interval": _checks.seconds,
    "flush_level": _checks.level,
    "buffer_events": _checks.count,
    "buffer_bytes": _checks.count,
    "overflow": _overflow,
    "block_timeout": _checks.optional_seconds,
    "compression": _compression,
    "timeout": _checks.timeouts,
    "retry_for": _checks.optional_seconds,
    "retry_wait_max": _positive_seconds,
    "close_timeout": _checks.seconds,
    "spool_dir": _checks.folder,
    "spool_bytes": _checks.count,
    "spool_fsync": _checks.flag,
    "verify": _checks.verify,
    "cert": _checks.cert,
    "proxies": _checks.proxies,
    "headers": _checks.headers,
}
