"""The peers: other ways to ship logs over HTTP, each with its best reasonable settings and the reason for them.

Rule: `open` is called in a process of the peer's own virtual environment, so it imports inside. What "best" means:
nothing is lost by choice, batches as large as it allows, and everything optional that costs time is off.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from subjects import Subject

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "loghttp-benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer. The first requirement is the package whose version is told."""

    name: str
    requires: tuple[str, ...]
    open: Callable[[str], Subject]
    settings: str
    reason: str
    events: int = 100_000
    """Records of a flood: fewer where it makes a POST of each."""
    events_50ms: int = 100_000
    """The same where each reply takes 50 ms."""
    marks: int = 1
    """How often a record's text stands in what it sends."""

    def environment(self) -> str:
        """The Python of the peer's own virtual environment, which is made if there is none."""
        folder = CACHE / f"{self.name}-{sys.version_info.major}.{sys.version_info.minor}"
        python = folder / "bin" / "python"
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *self.requires], check=True, capture_output=True)
            (folder / "complete").touch()
        return str(python)

    def version(self) -> str:
        code = f"import importlib.metadata as m; print(m.version({self.requires[0]!r}))"
        command = [self.environment(), "-c", code]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _queue_listener(url: str) -> Subject:
    import requests

    session = requests.Session()
    session.trust_env = False
    plain = logging.makeLogRecord({}).__dict__.keys() | {"message"}

    class Post(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            extras = {name: value for name, value in record.__dict__.items() if name not in plain}
            event = {"time": record.created, "message": record.getMessage(), "level": record.levelname, **extras}
            session.post(url, data=json.dumps(event), timeout=10)

    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, Post())
    listener.start()
    handler = logging.handlers.QueueHandler(records)
    return Subject(handler, handler.flush)


def _splunk(url: str) -> Subject:
    from splunk_handler import SplunkHandler

    handler = SplunkHandler(
        "127.0.0.1", "1", "token", "main", url=url, protocol="http", verify=False, queue_size=0, flush_interval=0.1
    )
    return Subject(handler, handler.force_flush)


def _loki(url: str) -> Subject:
    from logging_loki import LokiQueueHandler

    tags = {"application": "benchmark"}
    handler = LokiQueueHandler(queue.Queue(-1), url=f"{url}/loki/api/v1/push", tags=tags, version="1")
    return Subject(handler, handler.flush)


def _loki_batch(url: str) -> Subject:
    os.environ["LOKI_MAX_BATCH_BUFFER_SIZE"] = "5000"
    from logging_loki import LokiQueueHandler

    tags = {"application": "benchmark"}
    handler = LokiQueueHandler(
        queue.Queue(-1), url=f"{url}/loki/api/v1/push", tags=tags, batch_interval=1.0, as_json=True
    )
    return Subject(handler, handler.flush)


def _logtail(url: str) -> Subject:
    from logtail import LogtailHandler

    handler = LogtailHandler("token", host=f"{url}/logtail", buffer_capacity=10_000, drop_extra_events=False)
    return Subject(handler, handler.flush)


def _logzio(url: str) -> Subject:
    from logzio.handler import LogzioHandler

    handler = LogzioHandler("token", url=url, logs_drain_timeout=1, backup_logs=False)
    return Subject(handler, handler.flush)


def _seqlog(url: str) -> Subject:
    from seqlog.structured_logging import SeqLogHandler

    handler = SeqLogHandler(url, batch_size=5_000, auto_flush_timeout=1.0)
    return Subject(handler, lambda: None)  # its own flush races with its thread; the timer sends what is left


def _logstash(url: str) -> Subject:
    from logstash_async.constants import constants
    from logstash_async.handler import AsynchronousLogstashHandler

    constants.QUEUE_CHECK_INTERVAL = 0.1
    constants.QUEUED_EVENTS_FLUSH_INTERVAL = 1.0
    constants.QUEUED_EVENTS_BATCH_SIZE = 100
    address = urlsplit(url)
    transport = "logstash_async.transport.HttpTransport"
    handler = AsynchronousLogstashHandler(address.hostname, address.port, None, transport, ssl_enable=False)
    return Subject(handler, handler.flush)


def _otel(url: str) -> Subject:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    exporter = OTLPLogExporter(f"{url}/v1/logs")
    processor = BatchLogRecordProcessor(exporter, max_queue_size=1_000_000, max_export_batch_size=5_000)
    provider.add_log_record_processor(processor)
    return Subject(LoggingHandler(logger_provider=provider), provider.force_flush)


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="queuelistener",
            requires=("requests",),
            open=_queue_listener,
            settings="QueueHandler on a SimpleQueue, one requests.Session, trust_env=False, json.dumps",
            reason="what the standard library offers; trust_env reads the environment on every POST",
            events=5_000,
            events_50ms=200,
        ),
        Peer(
            name="splunk-handler",
            requires=("splunk-handler",),
            open=_splunk,
            settings="queue_size=0, flush_interval=0.1",
            reason="a queue without bound, or it drops; it sends 512 KiB each half interval. Sends no extras",
        ),
        Peer(
            name="loki",
            requires=("python-logging-loki",),
            open=_loki,
            settings='LokiQueueHandler, version="1"',
            reason="its only way off the calling thread; makes a POST of each record. Sends no extras",
            events=5_000,
            events_50ms=200,
        ),
        Peer(
            name="loki-batch",
            requires=("inuits-python-logging-loki",),
            open=_loki_batch,
            settings="LokiQueueHandler, batch_interval=1, as_json, LOKI_MAX_BATCH_BUFFER_SIZE=5000",
            reason="the maintained fork of python-logging-loki, which can batch; as_json, or it sends no extras",
            marks=2,
        ),
        Peer(
            name="logtail",
            requires=("logtail-python",),
            open=_logtail,
            settings="buffer_capacity=10,000, drop_extra_events=False",
            reason="the capacity is its batch, too; when it is full the call waits instead of dropping",
        ),
        Peer(
            name="logzio",
            requires=("logzio-python-handler",),
            open=_logzio,
            settings="logs_drain_timeout=1, backup_logs=False",
            reason="its batches are 1 MB whatever one sets, its queue has no bound",
        ),
        Peer(
            name="seqlog",
            requires=("seqlog",),
            open=_seqlog,
            settings="batch_size=5,000, auto_flush_timeout=1",
            reason="the default batch is 10. On a standard logger it sends no extras",
        ),
        Peer(
            name="logstash",
            requires=("python-logstash-async", "requests"),
            open=_logstash,
            settings="HTTP transport, memory cache, batches of 100, checks its queue every 0.1 s",
            reason="SQLite is four times dearer; it encodes a batch anew with each event, so larger ones are slower",
            events=30_000,
            events_50ms=10_000,
        ),
        Peer(
            name="opentelemetry",
            requires=(
                "opentelemetry-sdk",
                "opentelemetry-exporter-otlp-proto-http",
                "opentelemetry-instrumentation-logging",
            ),
            open=_otel,
            settings="OTLP/HTTP protobuf, queue 1,000,000, batches of 5,000, no compression",
            reason="the default queue of 2,048 drops; gzip would cost it time on loopback",
        ),
    )
}
