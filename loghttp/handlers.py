"""The handlers: arguments in, everything checked and built in one place.

Rule: what is wrong is told here, as a `ConfigurationError`, before anything runs.
"""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from loghttp import _checks
from loghttp._entry import DEFAULT_ATTRIBUTES, Reader
from loghttp._handler import HTTPHandler
from loghttp._options import Delivery, DeliveryOptions
from loghttp.intakes import Intake, humio, sekoia

if TYPE_CHECKING:
    from typing_extensions import Unpack


class IntakeHandler(HTTPHandler):
    """Ships records to any intake: what the handlers below are made of, and one for a dialect of your own.

    Args:
        intake: The dialect: an object with the members of `loghttp.intakes.Intake`.
        attributes: Record attributes that `shape` gets in `Entry.attributes`; see `HumioHECHandler`.
        redact: Names (any case, any depth) whose values are redacted in a dict that was logged as the message; for
            extras, hand them to `loghttp.intakes.nest` or `flatten`.
        level: As in `logging.Handler`.
        **delivery: See `DeliveryOptions`.

    Raises:
        ConfigurationError: a bad argument; the message names it and the cure.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        attributes: Iterable[str] = DEFAULT_ATTRIBUTES,
        redact: Iterable[str] = (),
        level: int | str = logging.NOTSET,
        **delivery: Unpack[DeliveryOptions],
    ) -> None:
        reader = Reader(_checks.names("attributes", attributes), _checks.names("redact", redact))
        super().__init__(intake, reader, Delivery.checked(delivery, intake.limits), level)


class HumioHECHandler(IntakeHandler):
    """Ships records to Humio (CrowdStrike Falcon LogScale) by its HTTP Event Collector.

    Each record becomes an event: its message, with the traceback appended, is the `event` string; its
    attributes and extras are flat `fields`; `record.created` is its `time`. Extras that are dicts become
    dotted names (`user.id`), lists of scalars their JSON text. Where a name is given twice, the extra wins,
    then the static field, then the attribute.

    A text formatter set on the handler makes the `event` string; a python-json-logger formatter makes
    `event` an object, and the fields are then `fields` and `tags` only.

    Args:
        url: Base URL; a path prefix is kept. Default: `HUMIO_URL`, else `https://cloud.humio.com`.
        token: Ingest token. Default: `HUMIO_INGEST_TOKEN`. White space around it is stripped.
        endpoint: `"/api/v1/ingest/hec"` (default) or `"/services/collector"`.
        auth_scheme: `"Bearer"` (default), or `"Splunk"` for the other servers that speak HEC.
        host: `@host`, this machine's name by default.
        source: `@source`, for example the path of an application.
        sourcetype: `#type`, the name of the Humio parser.
        index: Repository; must be the token's unless the server sets ALLOW_CHANGE_REPO_ON_EVENTS.
        timezone: `timezone` of the event; the server's default is `Z`.
        tags: Static tags: `{"env": "prod"}` is sent as `fields["#env"]`. Fewer than 1,000 values each.
        tag_attributes: Record attributes or extras that become tags instead of fields.
        fields: Static fields on every event: text, numbers, booleans.
        attributes: Record attributes that become fields: `level`, `logger`, `module`, `function`, `line`,
            `process`, `thread` (its name), `sequence` (by default all of these), or `LogRecord`'s own names.
        event_format: `"string"` (default), or `"object"`: `event` is an object of message, attributes and
            extras, and `fields` holds only the static fields and tags.
        redact: Names (any case, any depth) of extras whose values are sent as `"[redacted]"`.
        level: As in `logging.Handler`.
        **delivery: The options of `DeliveryOptions`, all times in seconds:
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

    Raises:
        ConfigurationError: a bad or missing argument; the message names it and the cure.

    Source: https://library.humio.com/falcon-logscale-cloud/log-shippers-hec.html
    """

    @_checks.shows_no_arguments
    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        endpoint: str = "/api/v1/ingest/hec",
        auth_scheme: str = "Bearer",
        host: str | None = None,
        source: str | None = None,
        sourcetype: str | None = None,
        index: str | None = None,
        timezone: str | None = None,
        tags: Mapping[str, Any] | None = None,
        tag_attributes: Iterable[str] = (),
        fields: Mapping[str, Any] | None = None,
        attributes: Iterable[str] = DEFAULT_ATTRIBUTES,
        event_format: str = "string",
        redact: Iterable[str] = (),
        level: int | str = logging.NOTSET,
        **delivery: Unpack[DeliveryOptions],
    ) -> None:
        base = _checks.base_url(url, "HUMIO_URL", "https://cloud.humio.com")
        secret = _checks.secret("token", token, "HUMIO_INGEST_TOKEN")
        path = _checks.one_of("endpoint", endpoint, humio.ENDPOINTS)
        members = {
            "host": _checks.text("host", host) or socket.gethostname(),
            "source": _checks.text("source", source),
            "sourcetype": _checks.text("sourcetype", sourcetype),
            "index": _checks.text("index", index),
            "timezone": _checks.text("timezone", timezone),
        }
        tag_names = _checks.names("tag_attributes", tag_attributes)
        names = _checks.names("attributes", attributes)
        redacted = _checks.names("redact", redact)
        intake = humio.Humio(
            _checks.join_url(base, path),
            secret,
            auth_scheme=_checks.one_of("auth_scheme", auth_scheme, ("Bearer", "Splunk")),
            members={name: value for name, value in members.items() if value is not None},
            tags={name.lstrip("#"): value for name, value in _checks.scalars("tags", tags).items()},
            tag_attributes=tag_names,
            fields=_checks.scalars("fields", fields),
            event_format=_checks.one_of("event_format", event_format, ("string", "object")),
            redact={name.lower() for name in redacted},
        )
        _warn_if_in_clear(base, "token")
        super().__init__(intake, attributes=(*names, *tag_names), redact=redacted, level=level, **delivery)


class SekoiaHandler(IntakeHandler):
    """Ships records to SEKOIA.IO by its HTTPS intake.

    Each record becomes quoted JSON, made by python-json-logger: `@timestamp`, `message`, the attributes, the
    extras (nested as they are), `exc_info`, `exc_type` and `exc_message`. A text formatter set on the
    handler makes plain-text events, which have no place for `fields`; a python-json-logger formatter makes
    the quoted JSON in its own way.

    Args:
        intake_key: The intake's key. Default: `SEKOIA_INTAKE_KEY`. White space around it is stripped.
        url: Base URL, with the region's prefix. Default: `SEKOIA_URL`, else `https://intake.sekoia.io`.
        endpoint: `"/batch"` (default); `"/array"`, which carries a time for each event beside its text; or
            `"/"`, one event a request.
        attributes: Record attributes that become members of the JSON; see `HumioHECHandler`.
        fields: Static members on every event: text, numbers, booleans.
        redact: Names (any case, any depth) of extras whose values are sent as `"[redacted]"`.
        level: As in `logging.Handler`.
        **delivery: The options of `DeliveryOptions`, all times in seconds:
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

    Raises:
        ConfigurationError: a bad or missing argument; the message names it and the cure.

    Source: https://docs.sekoia.io/integration/ingestion_methods/https/
    """

    @_checks.shows_no_arguments
    def __init__(
        self,
        intake_key: str | None = None,
        url: str | None = None,
        *,
        endpoint: str = "/batch",
        attributes: Iterable[str] = DEFAULT_ATTRIBUTES,
        fields: Mapping[str, Any] | None = None,
        redact: Iterable[str] = (),
        level: int | str = logging.NOTSET,
        **delivery: Unpack[DeliveryOptions],
    ) -> None:
        base = _checks.base_url(url, "SEKOIA_URL", "https://intake.sekoia.io")
        secret = _checks.secret("intake_key", intake_key, "SEKOIA_INTAKE_KEY")
        path = _checks.one_of("endpoint", endpoint, sekoia.ENDPOINTS)
        redacted = _checks.names("redact", redact)
        intake = sekoia.Sekoia(
            _checks.join_url(base, path),
            secret,
            path,
            fields=_checks.scalars("fields", fields),
            redact={name.lower() for name in redacted},
        )
        _warn_if_in_clear(base, "intake_key")
        super().__init__(intake, attributes=attributes, redact=redacted, level=level, **delivery)


_warned_hosts: set[str] = set()


def _warn_if_in_clear(url: SplitResult, what: str) -> None:
    host = url.hostname or ""
    if url.scheme == "https" or _is_loopback(host) or host in _warned_hosts:
        return
    _warned_hosts.add(host)
    warnings.warn(
        f"the {what} travels in clear to {host}: use https:// in url, unless the network is yours",
        UserWarning,
        stacklevel=4,  # here, the constructor, its wrapper, the caller
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
