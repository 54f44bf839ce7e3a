"""A dialect that a user writes gets all that Humio and SEKOIA.IO have: `examples/own_intake.py` against a small Loki.

The server judges as Loki's documentation says: streams of string labels, times as texts in nanoseconds, lines of at
most 256,000 bytes; a request with one bad line is a 400, and none of it is kept.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import logging
import logging.config
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import make_record, wait_until
from test_examples import run

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_intake.py"
_spec = importlib.util.spec_from_file_location("own_intake", EXAMPLE)
assert _spec is not None
assert _spec.loader is not None
own_intake = importlib.util.module_from_spec(_spec)
sys.modules["own_intake"] = own_intake  # dictConfig finds the class by its module's name
_spec.loader.exec_module(own_intake)

LINE_BYTES = 256_000


class Loki:
    """What came, and the statuses that the next requests get whatever they bring."""

    def __init__(self) -> None:
        self.entries: list[tuple[dict[str, str], int, dict[str, Any]]] = []
        self.next: list[int] = []
        self.requests = 0
        self.most_bytes = 10_000_000

    def take(self, path: str, headers: Any, body: bytes) -> int:
        self.requests += 1
        if self.next:
            return self.next.pop(0)
        if path != "/loki/api/v1/push":
            return 404
        if headers["Authorization"] != "Bearer l0ki-t0ken":
            return 401
        body = gzip.decompress(body) if headers["Content-Encoding"] == "gzip" else body
        if len(body) > self.most_bytes:
            return 413
        try:
            entries = [entry for stream in json.loads(body)["streams"] for entry in self.read(stream)]
        except (ValueError, KeyError, TypeError, AssertionError):
            return 400
        self.entries += entries
        return 204

    def read(self, stream: dict[str, Any]) -> Iterator[tuple[dict[str, str], int, dict[str, Any]]]:
        labels = stream["stream"]
        assert labels
        assert all(type(value) is str for value in labels.values())
        for time, line in stream["values"]:
            assert type(time) is str
            assert len(line.encode()) <= LINE_BYTES
            assert "poison" not in line
            yield labels, int(time), json.loads(line)

    @property
    def messages(self) -> list[str]:
        return [line["message"] for _, _, line in self.entries]


@pytest.fixture
def loki() -> Iterator[Any]:
    """A Loki on loopback, with its `url`."""
    state = Loki()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status = state.take(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0") if status != 204 else None
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    vars(state)["url"] = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def handler(loki: Any, logger: logging.Logger) -> Iterator[Any]:
    """The example's handler, quick; its books must balance."""
    made = own_intake.LokiHandler(
        loki.url, "l0ki-t0ken", labels={"app": "shop"}, redact=["card"], flush_interval=0.02, retry_wait_max=0.05
    )
    logger.addHandler(made)
    yield made
    made.close()
    stats = made.stats()
    assert (stats.pending, stats.accepted) == (0, stats.delivered + sum(stats.dropped.values())), stats


def test_a_record_arrives_with_its_fields(loki: Any, handler: Any, logger: logging.Logger) -> None:
    """Labels, time in nanoseconds, message, attributes, extras and traceback; what is redacted stays home."""
    logger.handle(make_record(created=1617643991.25, order={"id": 7}, card="4970", levelname="WARNING"))
    try:
        raise ConnectionError("no answer")
    except ConnectionError:
        logger.exception("payment %s", "failed", extra={"odd": float("nan")})
    assert handler.flush(30)
    (labels, time, first), (_, _, second) = loki.entries
    assert ({"app": "shop", "level": "warning"}, 1617643991250000000) == (labels, time)
    assert ("order placed", {"id": 7}, "[redacted]", 1) == tuple(
        first[name] for name in ("message", "order", "card", "sequence")
    )
    assert ("payment failed", "ConnectionError") == (second["message"], second["exc_type"])
    assert second["exc_info"].startswith("Traceback (most recent call last):")


def test_formatters_work(loki: Any, handler: Any, logger: logging.Logger) -> None:
    """A text formatter's result is the message."""
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.warning("late")
    assert handler.flush(30)
    assert ["WARNING late"] == loki.messages


def test_trouble_is_the_line_s_affair(loki: Any, handler: Any, logger: logging.Logger) -> None:
    """Throttled, down, a wrong token, one bad event among 50: the other 49 arrive once and in order."""
    loki.next = [429, 503, 401, 404]
    for number in range(50):
        logger.info("poison" if number == 30 else f"order {number}")
    assert handler.flush(30)
    assert [f"order {number}" for number in range(50) if number != 30] == loki.messages[:49]
    assert {"refused": 1} == dict(handler.stats().dropped)


def test_what_is_too_long_is_cut(loki: Any, handler: Any, logger: logging.Logger) -> None:
    """A line over Loki's limit is cut before it is sent, and further when the server says 413."""
    logger.info('"' * 600_000)
    assert handler.flush(30)
    loki.most_bytes = 20_000
    logger.info("\u00e9" * 100_000, extra={"user": 7})
    assert handler.flush(30)
    (_, _, long), (_, _, cut) = loki.entries
    assert 100_000 < len(long["message"]) < LINE_BYTES
    assert (True, 7) == (cut["loghttp_cut"], cut["user"])
    assert {} == dict(handler.stats().dropped)


def test_durable_mode_comes_with_it(loki: Any, logger: logging.Logger, tmp_path: Path) -> None:
    """What one handler could not deliver waits on disk, without the token, for the next of the same address."""
    options = {"spool_dir": str(tmp_path), "close_timeout": 0.2, "labels": {"app": "shop"}, "retry_wait_max": 0.05}
    loki.next = [503] * 1_000
    first = own_intake.LokiHandler(loki.url, "l0ki-t0ken", **options)
    logger.addHandler(first)
    logger.warning("kept")
    wait_until(lambda: first.stats().spooled == 1)
    first.close()
    logger.removeHandler(first)
    assert not [file for file in tmp_path.iterdir() if b"l0ki-t0ken" in file.read_bytes()]
    loki.next = []
    second = own_intake.LokiHandler(loki.url, "l0ki-t0ken", **options)
    wait_until(lambda: loki.messages == ["kept"])
    second.close()


def test_dict_config_makes_it(loki: Any) -> None:
    """Its arguments are flat, so a configuration can name it."""
    handlers = {"loki": {"class": "own_intake.LokiHandler", "url": loki.url, "token": "l0ki-t0ken", "level": "ERROR"}}
    loggers = {"shop.own": {"handlers": ["loki"], "propagate": False}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "handlers": handlers, "loggers": loggers}
    )
    logger = logging.getLogger("shop.own")
    [handler] = logger.handlers
    logger.warning("not asked for")
    logger.error("asked for")
    handler.close()
    logger.removeHandler(handler)
    assert ["asked for"] == loki.messages


def test_the_example_runs(loki: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process of its own, it delivers both of its records and prints the books."""
    monkeypatch.setenv("LOKI_URL", loki.url)
    monkeypatch.setenv("LOKI_TOKEN", "l0ki-t0ken")
    result = run(EXAMPLE.name, tmp_path)
    assert (0, "") == (result.code, result.err)
    assert ["order 1042 placed", "payment failed"] == loki.messages
    assert result.out.startswith("<Stats accepted 2 | delivered 2 | pending 0 | dropped 0 |")
