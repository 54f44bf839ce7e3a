"""What a real nginx in front of the intake answers in its place.

Every test ends with the same question: is each record at the intake exactly once, or still held?
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise

import pytest
from servers import (
    DEADLINE,
    QUICK,
    Nginx,
    is_held,
    log_orders,
    messages,
    wait_until,
)

from loghttp.testing import LocalIntake, ReceivedEvent


def test_batch_too_large_for_nginx_is_halved(nginx, intake, humio, logger, voice) -> None:
    """413 (`client_max_body_size`) halves the batch until the parts pass; nothing is sent twice, nothing is told."""
    nginx.serve(Nginx.PLAIN, Nginx.to(intake, "client_max_body_size 4k;"))
    handler = humio(url=nginx.url, compression=None, batch_events=64, **{**QUICK, "flush_interval": 30})
    expected = log_orders(logger, 64)
    assert expected == [event.message for event in intake.wait_for(64)]
    assert handler.flush(DEADLINE)
    stats = handler.stats()
    assert stats.splits > 0
    assert len(intake.requests) + stats.splits == stats.requests
    assert "" == voice.text


def test_nginx_with_its_default_limit(nginx, intake, humio, logger, voice) -> None:
    """Out of the box nginx takes 1 MB and answers 413 before it has read the rest; the answer is understood."""
    nginx.serve(Nginx.PLAIN, Nginx.to(intake, "client_max_body_size 1m;"))
    handler = humio(url=nginx.url, compression=None, batch_events=12, **{**QUICK, "flush_interval": 30})
    expected = [f"{order:02d}" * 150_000 for order in range(12)]
    for message in expected:
        logger.info(message)
    assert expected == [event.message for event in intake.wait_for(12, DEADLINE)]
    assert handler.flush(DEADLINE)
    assert {} == handler.stats().dropped
    assert "" == voice.text


def is_cut(event: ReceivedEvent) -> bool:
    """Does the event say that loghttp has cut it?"""
    own = event.fields if event.dialect == "hec" else event.event
    return isinstance(own, dict) and own.get("loghttp_cut") in (True, "true")


@pytest.mark.parametrize("kind", ["humio", "sekoia"])
def test_one_event_too_large_for_nginx_is_cut(request, kind, nginx, intake, logger, voice) -> None:
    """A single event that nginx does not take is cut, and says so; its neighbours arrive whole."""
    nginx.serve(Nginx.PLAIN, Nginx.to(intake, "client_max_body_size 4k;"))
    handler = request.getfixturevalue(kind)(
        url=nginx.url, compression=None, batch_events=9, **{**QUICK, "flush_interval": 30}
    )
    for order in range(9):
        logger.info("order %d %s", order, "x" * 20_000 if order == 4 else "")
    events = intake.wait_for(9, DEADLINE)
    assert handler.flush(DEADLINE)
    assert [f"order {order} " for order in range(9)] == [event.message[:8] for event in events]
    assert [4] == [order for order, event in enumerate(events) if is_cut(event)]
    assert 500 < len(events[4].message) < 4_096
    assert (9, {}) == (handler.stats().delivered, dict(handler.stats().dropped))


def test_rate_limit_is_obeyed(nginx, intake, humio, logger, voice) -> None:
    """429 with Retry-After (`limit_req`): each batch waits as long as it is told, and is sent again just once."""
    limited = "limit_req zone=all; limit_req_status 429; error_page 429 = @busy;"
    busy = "location @busy { add_header Retry-After 1 always; return 429; }"
    nginx.serve(Nginx.PLAIN, Nginx.to(intake, limited), busy, http="limit_req_zone $host zone=all:64k rate=1r/s;")
    handler = humio(url=nginx.url, **{**QUICK, "batch_events": 1})
    expected = log_orders(logger, 3)
    events = intake.wait_for(3, DEADLINE)
    assert expected == [event.message for event in events]
    times = [request.received_at for request in intake.requests]
    assert [] == [later - earlier for earlier, later in pairwise(times) if later - earlier < 1.0]
    assert handler.flush(DEADLINE)
    assert (5, 2) == (handler.stats().requests, handler.stats().retries)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int, nginx, intake, humio, logger, voice) -> None:
    """The token would travel along to another server: that one sees no request, and the records wait."""
    with LocalIntake() as other:
        nginx.serve(Nginx.PLAIN, f"return {status} {other.url.replace('127.0.0.1', 'localhost')}$request_uri;")
        handler = humio(url=nginx.url, **QUICK)
        expected = log_orders(logger)
        told = voice.wait_for("WARNING")
        assert "redirect" in told
        assert f"{other.url.rpartition(':')[2]}" in told  # to where, so that one sees what is wrong with the URL
        wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
        assert is_held(handler, len(expected)), handler.stats()
        nginx.serve(Nginx.PLAIN, Nginx.to(intake))
        assert handler.flush(DEADLINE), handler.stats()
        assert [] == other.requests
    assert expected == messages(intake)


def test_dead_backend_loses_nothing(nginx, intake, humio, logger, voice) -> None:
    """502 while the intake behind nginx is down; when it is back, every record arrives exactly once."""
    nginx.serve(Nginx.PLAIN, Nginx.to(intake))
    intake.stop()
    handler = humio(url=nginx.url, **QUICK)
    expected = log_orders(logger)
    assert "502" in voice.wait_for("WARNING")
    assert is_held(handler, len(expected)), handler.stats()
    intake.start()
    expected += log_orders(logger)
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)
    voice.wait_for("INFO")


@pytest.mark.parametrize(("status", "advice"), [(401, "token"), (403, "token"), (404, "url"), (405, "url")])
def test_misconfiguration_heals(status: int, advice: str, nginx, intake, humio, logger, voice) -> None:
    """A revoked token or a wrong path keeps the records, and says what to check, until somebody has put it right."""
    nginx.serve(Nginx.PLAIN, f"return {status};")
    handler = humio(url=nginx.url, **QUICK)
    expected = log_orders(logger)
    told = voice.wait_for("WARNING")
    assert str(status) in told
    assert f"check {advice}" in told or f"check the {advice}" in told
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, len(expected)), handler.stats()
    nginx.serve(Nginx.PLAIN, Nginx.to(intake))
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)
    voice.wait_for("INFO")


def connections(nginx: Nginx) -> int:
    """How many connections nginx has, without the one that asks."""
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=DEADLINE)
    with closing(connection):
        connection.request("GET", "/status")
        found = re.search(rb"Active connections: (\d+)", connection.getresponse().read())
    assert found is not None
    return int(found[1]) - 1


def test_idle_connection_closed_by_nginx_costs_nothing(nginx, intake, humio, logger, voice) -> None:
    """nginx closes what is idle (`keepalive_timeout`): the next record takes a new connection, unseen by anyone."""
    nginx.serve(Nginx.PLAIN, "keepalive_timeout 1s; location = /status { stub_status; }", Nginx.to(intake))
    handler = humio(url=nginx.url, **QUICK)
    logger.info("before")
    assert handler.flush(DEADLINE)
    assert 1 == connections(nginx)
    wait_until(lambda: connections(nginx) == 0, "nginx has closed it")
    logger.info("after")
    assert handler.flush(DEADLINE)
    assert (2, 0) == (handler.stats().requests, handler.stats().retries)
    assert ["before", "after"] == messages(intake)
    assert "" == voice.text


def test_idle_connection_closed_by_the_intake_costs_nothing(intake, humio, logger, voice) -> None:
    """The same without nginx: however often the intake closes, no retry, no duplicate and no warning."""
    handler = humio(**QUICK)
    for order in range(5):
        logger.info("order %d", order)
        assert handler.flush(DEADLINE)
        wait_until(intake.close_idle, "the connection is idle")
    assert [f"order {order}" for order in range(5)] == messages(intake)
    assert (5, 0) == (handler.stats().requests, handler.stats().retries)
    assert "" == voice.text


@contextmanager
def answering(answer: bytes, *, after: float = 0.0) -> Iterator[tuple[str, list[int]]]:
    """An intake that reads nothing for `after` seconds, then a request at a time, and answers each the same."""
    bodies: list[int] = []  # bytes
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, connection.makefile("rb") as stream:
                        time.sleep(after)
                        while stream.readline():
                            lines = iter(stream.readline, b"\r\n")
                            fields = dict(line.lower().split(b": ", 1) for line in lines)
                            bodies.append(len(stream.read(int(fields[b"content-length"]))))
                            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", bodies
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE)


def test_a_large_batch_over_a_slow_link_has_the_read_time_out(humio, logger, voice) -> None:
    """A batch that takes longer to send than a connection takes to make gets through, and at the first attempt."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", after=1.0) as (url, bodies):
        handler = humio(url=url, timeout=(0.3, DEADLINE), compression=None, close_timeout=DEADLINE)
        for _ in range(45):
            logger.info("x" * 100_000)
        assert handler.flush(DEADLINE), handler.stats()
        assert 4_500_000 < sum(bodies)
        assert (45, 0) == (handler.stats().delivered, handler.stats().retries)
        handler.close()
    assert "" == voice.text


def test_a_success_that_cannot_be_decoded_is_one(humio, logger, voice) -> None:
    """A proxy says that the reply is gzip, and it is not: sent again, the events would come twice, and for ever."""
    mislabelled = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    with answering(mislabelled) as (url, bodies):
        handler = humio(url=url, **QUICK)
        for _ in range(2):
            logger.info("hello")
            assert handler.flush(DEADLINE), handler.stats()
        assert 2 == len(bodies)
        assert (2, 0) == (handler.stats().delivered, handler.stats().retries)
        handler.close()
    assert "" == voice.text


def url_of(nginx: Nginx) -> str:
    return f"http://127.0.0.1:{nginx.port}"


def ask(nginx: Nginx, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read_all = response.read()
        return response
    finally:
        connection.close()


def answer_of(nginx: Nginx) -> int:
    return ask(nginx, "/").status


def body_of(nginx: Nginx, path: str) -> str:
    return ask(nginx, path).read_all.decode()
