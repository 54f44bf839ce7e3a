"""One line for each supported call, for mypy alone: `tests/test_typing.py` checks it, and nothing runs it.

A line that mypy must refuse bears a `type: ignore`; with `warn_unused_ignores`, mypy complains when it is not
refused.
"""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from loghttp import (
    DEFAULT_ATTRIBUTES,
    DROP_REASONS,
    ConfigurationError,
    DeliveryOptions,
    HumioHECHandler,
    LoghttpError,
    SekoiaHandler,
    Stats,
)
from loghttp.testing import Fault, LocalIntake, ReceivedEvent, ReceivedRequest

# ---- HumioHECHandler

humio = HumioHECHandler()
HumioHECHandler("https://cloud.humio.com", "token")
HumioHECHandler(url="https://cloud.humio.com", token="token")
HumioHECHandler(url=None, token=None)
HumioHECHandler(endpoint="/api/v1/ingest/hec")
HumioHECHandler(endpoint="/services/collector")
HumioHECHandler(auth_scheme="Bearer")
HumioHECHandler(auth_scheme="Splunk")
HumioHECHandler(host="web-1", source="/srv/shop", sourcetype="applog", index="shop", timezone="Z")
HumioHECHandler(tags={"env": "prod", "shard": 7})
HumioHECHandler(tag_attributes=("levelname", "service"))
HumioHECHandler(tag_attributes=["levelname"])
HumioHECHandler(fields={"team": "shop", "shard": 7, "ratio": 0.5, "canary": True})
HumioHECHandler(attributes=DEFAULT_ATTRIBUTES)
HumioHECHandler(attributes=())
HumioHECHandler(attributes=["levelname", "taskName"])
HumioHECHandler(event_format="string")
HumioHECHandler(event_format="object")
HumioHECHandler(redact={"password"})
HumioHECHandler(level=logging.WARNING)
HumioHECHandler(level="WARNING")

# ---- SekoiaHandler

sekoia = SekoiaHandler()
SekoiaHandler("intake-key", "https://intake.sekoia.io")
SekoiaHandler(intake_key="intake-key", url="https://intake.fra2.sekoia.io/api/v1/intake-http")
SekoiaHandler(endpoint="/batch")
SekoiaHandler(endpoint="/array")
SekoiaHandler(endpoint="/")
SekoiaHandler(attributes=("levelname",), fields={"team": "shop"}, redact=["password"], level="INFO")

# ---- the options of delivery, on both

HumioHECHandler(batch_events=100, batch_bytes=1_000_000)
HumioHECHandler(flush_interval=0.5, flush_level=logging.CRITICAL)
HumioHECHandler(flush_level="CRITICAL")
HumioHECHandler(buffer_events=1_000, buffer_bytes=1_000_000)
HumioHECHandler(overflow="drop_oldest")
HumioHECHandler(overflow="drop_newest")
HumioHECHandler(overflow="block", block_timeout=1.0)
HumioHECHandler(overflow="block", block_timeout=None)
HumioHECHandler(compression="gzip")
HumioHECHandler(compression=None)
HumioHECHandler(timeout=10)
HumioHECHandler(timeout=(5.0, 30.0))
HumioHECHandler(retry_for=None)
HumioHECHandler(retry_for=3_600, retry_wait_max=10, close_timeout=2)
HumioHECHandler(spool_dir="/var/spool/shop", spool_bytes=1_000_000, spool_fsync=True)
HumioHECHandler(verify=True)
HumioHECHandler(verify="/etc/ssl/own-ca.pem")
HumioHECHandler(cert="/etc/ssl/client.pem")
HumioHECHandler(cert=("/etc/ssl/client.crt", "/etc/ssl/client.key"))
HumioHECHandler(proxies={"https": "http://proxy:3128"})
HumioHECHandler(headers={"X-Team": "shop"})
SekoiaHandler(
    batch_events=100, compression=None, timeout=10, overflow="block", verify=False, headers={"X-Team": "shop"}
)
options: DeliveryOptions = {"batch_events": 100, "timeout": (5.0, 30.0), "overflow": "drop_newest"}
HumioHECHandler(**options)
SekoiaHandler("intake-key", **options)

# ---- dictConfig: a dictionary is any dictionary to it, but options and factories can be checked

CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "humio": {"class": "loghttp.HumioHECHandler", "tags": {"env": "prod"}, **options},
        "sekoia": {"()": SekoiaHandler, "redact": ["password"], **options},
    },
    "root": {"level": "INFO", "handlers": ["humio", "sekoia"]},
}
logging.config.dictConfig(CONFIGURATION)

# ---- what must be refused

wrong: DeliveryOptions = {"batch_size": 100}  # type: ignore[typeddict-unknown-key]
wrong = {"overflow": "drop"}  # type: ignore[typeddict-item]

HumioHECHandler("https://cloud.humio.com", "token", "/services/collector")  # type: ignore[call-arg]
HumioHECHandler(token=7)  # type: ignore[arg-type]
HumioHECHandler(batch_size=100)  # type: ignore[call-arg]
HumioHECHandler(batch_events="100")  # type: ignore[arg-type]
HumioHECHandler(overflow="drop")  # type: ignore[arg-type]
HumioHECHandler(compression="zstd")  # type: ignore[arg-type]
HumioHECHandler(timeout=(1.0, 2.0, 3.0))  # type: ignore[arg-type]
SekoiaHandler(tags={"env": "prod"})  # type: ignore[call-arg]

# ---- handlers are handlers

handler: logging.Handler = humio
logging.getLogger().addHandler(humio)
logging.basicConfig(handlers=[humio, sekoia])
humio.setFormatter(logging.Formatter("%(message)s"))
humio.setFormatter(None)
humio.setLevel("WARNING")
humio.addFilter(lambda record: record.name != "noisy")
humio.handle(logging.makeLogRecord({}))
humio.emit(logging.makeLogRecord({}))
humio.close()
flushed: bool = humio.flush()
flushed = sekoia.flush(timeout=5.0)
flushed = sekoia.flush(None)

# ---- stats

stats: Stats = humio.stats()
numbers: list[int] = [stats.accepted, stats.delivered, stats.pending, stats.spooled]
numbers += [stats.requests, stats.retries, stats.splits, stats.bytes_sent]
dropped: Mapping[str, int] = stats.dropped
last_error: str | None = stats.last_error
last_success: datetime | None = stats.last_success
reasons: Mapping[Any, str] = DROP_REASONS
stats.accepted = 7  # type: ignore[misc]
stats.dropped["refused"] = 7  # type: ignore[index]

# ---- errors


def errors() -> str:
    try:
        HumioHECHandler()
    except ConfigurationError as error:
        base: LoghttpError = error
        value: ValueError = error
        return f"{base}{value}"
    return ""


# ---- loghttp.testing


def testing() -> ReceivedEvent:
    with LocalIntake() as intake:
        HumioHECHandler(intake.url, intake.token)
        SekoiaHandler(intake.intake_key, intake.url)
        intake.fail_next(3, status=503)
        intake.fail_when(lambda request: True, status=413)
        intake.wait_until(lambda intake: not intake.requests)
        events: list[ReceivedEvent] = intake.wait_for(1)
        message: str = events[0].message
        events[0].fields[message]
        requests: list[ReceivedRequest] = intake.requests
        Fault(status=len(requests))
        return events[0]
