"""Real servers that speak HEC store what was logged, field by field and in order: Tenzir's own, and Fluent Bit.

Both run as they are in a collector tier, direct (`Splunk` and `/services/collector`) and behind nginx, which makes
one of Humio's own address and `Bearer` of them. They are judges that know nothing of loghttp: Tenzir refuses
what is not strict, and what it stores is read back from its file; what Fluent Bit took, from its own store on disk.
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgpack
import pytest
from servers import DEADLINE, Nginx, Server, wait_until

import loghttp

TOKEN = "c0llect0r-t0ken"

# As in the README's "Scaling out".
NGINX_HTTP = """
    upstream collectors {{ {servers} }}
    map $http_authorization $splunk {{ "~^Bearer (?<token>.+)$" "Splunk $token"; }}
"""
NGINX_LOCATION = """
    location = /api/v1/ingest/hec {
        proxy_set_header Authorization $splunk;
        proxy_pass http://collectors/services/collector;
    }
"""


class Collector(Server):
    """A pipeline of the `tenzir` program's, which has both servers in it."""

    name = "tenzir"
    source: str

    def program(self) -> str:
        found = importlib.util.find_spec("tenzir")
        if found is None or found.origin is None:
            pytest.skip("tenzir is not installed")
        return str(Path(found.origin).parent / "bundled" / "bin" / "tenzir")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stored(self, count: int) -> Iterator[dict[str, Any]]:
        """What it has stored, once that is so many events."""
        raise NotImplementedError

    def seconds(self, time: Any) -> float:
        """An event's time as it is stored."""
        raise NotImplementedError


class Tenzir(Collector):
    """Writes what it takes to a file, an event a line."""

    source = 'accept_splunk "127.0.0.1:{port}", hec_token="{token}"'

    def command(self) -> list[str]:
        source = self.source.format(port=self.port, token=TOKEN)
        return [f'{source}\nto_file "{self.directory / "out"}" {{ write_ndjson }}']

    def lines(self) -> list[dict[str, Any]]:
        """What it has stored, after its end."""
        return [json.loads(line) for line in self.read("out").split("\n") if line]

    def stored(self, count: int) -> Iterator[dict[str, Any]]:
        path = self.directory / "out"
        wait_until(path.exists, "the first event is stored")
        with path.open("rb") as lines:
            for _ in range(count):
                line = b""
                while not line.endswith(b"\n"):  # it is being written while it is read
                    wait_until(lambda: lines.peek(1), "the next event is stored")
                    line += lines.readline()
                event = json.loads(line)
                del event["receiver"]  # of Tenzir's own
                yield event
            self.stop()
            assert b"" == lines.read()

    def seconds(self, time: str) -> float:
        return datetime.fromisoformat(f"{time[:26]}+00:00").timestamp()


class FluentBit(Collector):
    """Keeps what it takes in its own store on disk, and never hands it on: the bridge to Tenzir passes 70 a second."""

    source = 'from_fluent_bit "splunk", options={{listen: "127.0.0.1", port: "{port}", splunk_token: "{token}"{more}}}'
    stop_signal = signal.SIGKILL  # else it would try to hand it on

    def command(self) -> list[str]:
        source = self.source.format(port=self.port, token=TOKEN, more=', "storage.type": "filesystem"')
        service = f'{{flush: "3600", "storage.path": "{self.directory / "store"}"}}'
        return [f"{source}, fluent_bit_options={service}\ndiscard"]

    def stored(self, count: int) -> Iterator[dict[str, Any]]:
        for chunk in sorted((self.directory / "store" / "splunk.0").iterdir(), key=_age):
            for (_time, _metadata), body in msgpack.Unpacker(_content(chunk.read_bytes())):
                count -= 1
                yield body
        assert 0 == count

    def seconds(self, time: float) -> float:
        return time


def _age(chunk: Path) -> tuple[int, int]:
    """When Fluent Bit began a chunk, from its name: `PID-SECONDS.NANOSECONDS.flb`, without leading zeros."""
    seconds, nanoseconds = chunk.stem.split("-")[1].split(".")
    return int(seconds), int(nanoseconds)


def _content(chunk: bytes) -> io.BytesIO:
    """The events of a chunk: a head of 24 bytes, with the sizes of the metadata and of the events after it; padding."""
    assert chunk.startswith(b"\xc1\x00")
    content, metadata = int.from_bytes(chunk[10:14], "big"), int.from_bytes(chunk[22:24], "big")
    return io.BytesIO(chunk[24 + metadata : 24 + metadata + content])


# ---- what is logged: for each shape its call, and what must be stored of it


Extras = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """One way to log the `n`-th record: its message, with args; its extras; and what must arrive of them."""

    message: Any
    args: tuple[Any, ...] = ()
    extras: Callable[[int], Extras] = lambda n: {}
    #: Of the stored event, what is other than the message as it reads and the extras as they are.
    stored: Callable[[int], Extras] = lambda n: {}
    changed: str = ""
    level: int = logging.INFO
    failure: Callable[[int], BaseException] | None = None

    def event(self, n: int) -> Extras:
        stored = self.stored(n)
        if "message" not in stored:
            stored["message"] = self.message % self.args
        return self.extras(n) | stored


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("not me")


def a_cycle() -> Extras:
    cycle: Extras = {"name": "loop"}
    cycle["again"] = cycle
    return cycle


SHAPES = [
    Shape("order %d placed for %s", (1042, "amelie")),
    Shape("scalars", extras=lambda n: {"n": n, "share": n / 7, "paid": True, "text": "caf\u00e9 \u2615", "none": None}),
    Shape("nested", extras=lambda n: {"user": {"id": n, "groups": ["staff"], "address": {"city": "Lyon"}}}),
    Shape("basket", extras=lambda n: {"items": [{"id": n, "price": 2.5}, {"id": n + 1, "price": 3.5}]}),
    Shape(
        "payment failed",
        level=logging.ERROR,
        failure=lambda n: LookupError(f"order {n}"),
        stored=lambda n: {
            "exc_type": "LookupError",
            "exc_message": f"order {n}",
            "exc_info": f"LookupError: order {n}",
        },
    ),
    Shape({"order": 7}, stored=lambda n: {"message": '{"order":7}', "order": 7}),
    # Numbers that JSON has not, and texts that UTF-8 has not.
    Shape(
        "numbers",
        extras=lambda n: {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 2**63, "e": -(2**63), "f": 10**30},
        stored=lambda n: {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": str(2**63), "f": str(10**30)},
        changed="a, b, c, d, f",
    ),
    Shape(
        "half \ud83d",
        extras=lambda n: {"key": "a\udc80b"},
        stored=lambda n: {"message": "half \\ud83d", "key": "a\\udc80b"},
        changed="message, key",
    ),
    # What must be quoted; and an event that would be two, were it not.
    Shape("tab\tnul\0del\x7fline\u2028\r\nnext", extras=lambda n: {"quote": '"\\'}),
    Shape(
        'x"}\n{"event": "forged"}',
        extras=lambda n: {"time": 0, "host": "other", "event": "y", "fields": {"#env": "z"}},
    ),
    Shape(
        "objects",
        extras=lambda n: {"raw": b"\xff\x00n", "odd": Unprintable(), "loop": a_cycle(), "id": UUID(int=n)},
        stored=lambda n: {
            "raw": "\\xff\0n",
            "odd": "<unprintable Unprintable: ValueError>",
            "loop": {"name": "loop", "again": "<cycle>"},
            "id": str(UUID(int=n)),
        },
        changed="odd, loop.again",
    ),
    Shape(
        "no number: %d",
        ("x",),
        stored=lambda n: {
            "message": "no number: %d <args ('x',) do not fit: %d format: a real number is required, not str>"
        },
        changed="message",
    ),
    Shape(
        "names",
        extras=lambda n: {"map": {1: "a", "1": "b", "": "c", "d.e": "f", "#g": n, 'h"i': "j", "\u00e9 \n": "k"}},
        stored=lambda n: {"map": {"1": "a", "1_": "b", "": "c", "d.e": "f", "#g": n, 'h"i': "j", "\u00e9 \n": "k"}},
    ),
    Shape("long %s", ("y" * 2_000,)),
    # Texts that a server may take for something else.
    Shape(
        "2026-11-22T10:00:00Z",
        extras=lambda n: {"a": "12", "b": "1.2.3.4", "c": "null", "d": "true", "e": "{}", "f": "", "g": " "},
    ),
]


ATTRIBUTES = ("level", "logger", "function", "process", "thread", "sequence")


def log_round(logger: logging.Logger, n: int) -> None:
    """Log the `n`-th record, by one shape after the other."""
    shape = SHAPES[n % len(SHAPES)]
    failure = shape.failure(n) if shape.failure else None
    logger.log(shape.level, shape.message, *shape.args, extra=shape.extras(n), exc_info=failure)


def expected(n: int) -> dict[str, Any]:
    """What must be stored of the `n`-th record, its time apart."""
    shape = SHAPES[n % len(SHAPES)]
    attributes = {
        "level": logging.getLevelName(shape.level),
        "logger": "shop.orders",
        "function": "log_round",
        "process": os.getpid(),
        "thread": threading.current_thread().name,
        "sequence": n + 1,
    }
    fields = {"#env": "prod"}
    if shape.changed:
        fields["loghttp_changed"] = shape.changed
    return {"host": "web-1", "source": "/srv/shop", "event": attributes | shape.event(n), "fields": fields}


def handler_for(url: str, **options: Any) -> loghttp.HumioHECHandler:
    """What the README's "Scaling out" says for a collector."""
    return loghttp.HumioHECHandler(
        url,
        TOKEN,
        host="web-1",
        source="/srv/shop",
        tags={"env": "prod"},
        attributes=ATTRIBUTES,
        overflow="block",
        **({"event_format": "object"} | options),
    )


@contextmanager
def behind_nginx(*collectors: Collector) -> Iterator[str]:
    """The URL of an nginx that makes Humio's own address and scheme of the collectors', and shares the load."""
    servers = " ".join(f"server 127.0.0.1:{collector.port};" for collector in collectors)
    with Nginx() as nginx:
        nginx.serve(Nginx.PLAIN, NGINX_LOCATION, http=NGINX_HTTP.format(servers=servers))
        yield nginx.url


def split(logger: logging.Logger, handlers: Sequence[loghttp.HumioHECHandler], count: int) -> list[float]:
    """Log so many records to all of the handlers; returns when each was logged."""
    times: list[float] = []

    def note(record: logging.LogRecord) -> bool:
        times.append(record.created)
        return True

    logger.addFilter(note)
    for handler in handlers:
        logger.addHandler(handler)
    for n in range(count):
        log_round(logger, n)
    for handler in handlers:
        assert handler.flush(timeout=90)
        handler.close()
        assert (count, {}) == (handler.stats().delivered, dict(handler.stats().dropped))
    return times


DIRECT: dict[str, Any] = {"auth_scheme": "Splunk", "endpoint": "/services/collector", "sourcetype": "direct"}
AS_HUMIO: dict[str, Any] = {"sourcetype": "as-humio"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", [Tenzir, FluentBit])
def test_every_field_of_100_000_records_is_stored(server: type[Collector]) -> None:
    """Half direct, half through nginx at Humio's own address: all are stored, equal in every field, in order."""
    each = 50_000
    with server() as collector:
        collector.start()
        with behind_nginx(collector) as nginx_url:
            handlers = [handler_for(collector.url, **DIRECT), handler_for(nginx_url, **AS_HUMIO)]
            times = split(logging.Logger("shop.orders"), handlers, each)

        next_number = {"direct": 0, "as-humio": 0}
        for stored in collector.stored(2 * each):
            route = stored.pop("sourcetype")
            n = next_number[route]
            if n % 500 == 0:
                assert abs(collector.seconds(stored["time"]) - times[n]) < 2e-6
            del stored["time"]
            assert expected(n) == stored
            next_number[route] += 1

    assert {"direct": each, "as-humio": each} == next_number


def test_a_tier_behind_a_load_balancer() -> None:
    """Of two collectors behind nginx one goes away: each record is stored once, by one of the two."""
    with Tenzir() as first, Tenzir() as second:
        first.start()
        second.start()
        with behind_nginx(first, second) as nginx_url:
            handler = handler_for(nginx_url, **AS_HUMIO, batch_events=10, retry_wait_max=0.1)
            logger = logging.Logger("shop.orders")
            logger.addHandler(handler)
            for n in range(200):
                log_round(logger, n)
            assert handler.flush(timeout=DEADLINE)
            first.stop()
            for n in range(200, 400):
                log_round(logger, n)
            assert handler.flush(timeout=DEADLINE)
            handler.close()
        second.stop()

        shares = [[stored["event"]["sequence"] for stored in collector.lines()] for collector in (first, second)]

    assert list(range(1, 401)) == sorted(shares[0] + shares[1])
    assert min(len(share) for share in shares) > 0
