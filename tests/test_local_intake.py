"""`LocalIntake` against real sockets: what it takes, what it refuses and why, how it fails when told to."""

from __future__ import annotations

import contextlib
import gc
import gzip
import http.client
import json
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from cases import each
from servers import has_ipv6

from loghttp.testing import Fault, LocalIntake, ReceivedEvent, ReceivedRequest

HEC = "/api/v1/ingest/hec"
HEC_HEADERS = {"Authorization": "Bearer test-token", "Content-Type": "application/json"}
JSON_HEADERS = {"Content-Type": "application/json"}
ONE = b'{"event": "hello"}'
BATCH = {"intake_key": "test-key", "jsons": ["a", "b", "c"]}


@pytest.fixture
def intake() -> Iterator[LocalIntake]:
    with LocalIntake() as intake:
        yield intake


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def hec(intake: LocalIntake, session: requests.Session) -> Callable[..., requests.Response]:
    """POST a body, or the JSON of an object, to the HEC endpoint."""

    def post(body: Any = ONE, path: str = HEC, **headers: str | None) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.post(intake.url + path, data=data, headers={**HEC_HEADERS, **changed}, timeout=10)

    return post


@pytest.fixture
def sekoia(intake: LocalIntake, session: requests.Session) -> Callable[..., requests.Response]:
    """POST a body, or the JSON of a value, to one of SEKOIA.IO's endpoints."""

    def post(body: Any = BATCH, path: str = "/batch", **headers: str | None) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.post(intake.url + path, data=data, headers={**JSON_HEADERS, **changed}, timeout=10)

    return post


def connect(intake: LocalIntake) -> socket.socket:
    """A raw connection to `intake`."""
    return socket.create_connection(("127.0.0.1", int(intake.url.rpartition(":")[2])), timeout=10)


def raw_request(body: bytes = ONE, path: str = HEC, extra: str = "") -> bytes:
    """A HEC request as it is on the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer test-token\r\n"
        f"Content-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_all(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def messages(intake: LocalIntake) -> list[str]:
    """The text of each event that was taken."""
    return [event.message for event in intake.events]


# The vendors' own examples, byte for byte.

HUMIO_EXAMPLE = b"""\
{
  "time" : 1537537729.0,
  "event" : "Fri, 21 Sep 2018 13:48:49 GMT - system started name=webserver",
  "source" : "/var/log/application.log",
  "sourcetype" : "applog",
  "fields" : {
    "#env" : "prod"
  }
}

{
  "time" : 1537535729.0,
  "event" : {
    "message" : "System shutdown",
    "host" : {
      "ip" : "127.0.0.1",
      "port" : 2222
    }
  },
  "fields" : { "#datacenter" : "amazon-east1" }
}
"""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(HUMIO_EXAMPLE, id="the file"),
        pytest.param(HUMIO_EXAMPLE.replace(b"\n", b""), id="as curl --data sends it, without line breaks"),
    ],
)
@pytest.mark.parametrize("path", [HEC, "/services/collector"])
def test_the_example_of_humios_page_is_taken(
    intake: LocalIntake, hec: Callable[..., requests.Response], body: bytes, path: str
) -> None:
    """The two events of the curl example arrive with time, source, type, text or object, and tag."""
    response = hec(body, path, Content_Type="text/plain; charset=utf-8")

    assert (200, {}) == (response.status_code, response.json())
    first, second = intake.events
    assert "Fri, 21 Sep 2018 13:48:49 GMT - system started name=webserver" == first.event == first.message
    assert ("hec", 1537537729.0, "/var/log/application.log", "applog") == (
        first.dialect,
        first.time,
        first.source,
        first.sourcetype,
    )
    assert {"#env": "prod"} == first.fields
    assert {"env": "prod"} == first.tags
    assert (None, None, None) == (first.host, first.index, first.timezone)
    assert {"message": "System shutdown", "host": {"ip": "127.0.0.1", "port": 2222}} == second.event
    assert ("System shutdown", 1537535729.0) == (second.message, second.time)
    assert {"datacenter": "amazon-east1"} == second.tags


@pytest.mark.parametrize(
    ("path", "content", "events"),
    [
        (
            "",
            {"intake_key": "YOUR_INTAKE_KEY", "json": "[764008:0] info: 198.51.100.10 example.org. A IN"},
            ["[764008:0] info: 198.51.100.10 example.org. A IN"],
        ),
        ("", {"intake_key": "YOUR_INTAKE_KEY", "json": json.dumps({"key": "value"})}, [{"key": "value"}]),
        (
            "/batch",
            {
                "intake_key": "YOUR_INTAKE_KEY",
                "jsons": [
                    "[764008:0] info: 198.51.100.10 example.org. A IN",
                    "[764023:0] info: 2.34.100.56 text.org. A IN",
                ],
            },
            [
                "[764008:0] info: 198.51.100.10 example.org. A IN",
                "[764023:0] info: 2.34.100.56 text.org. A IN",
            ],
        ),
    ],
)
def test_the_examples_of_sekoias_page_are_taken(
    session: requests.Session, path: str, content: dict[str, Any], events: list[Any]
) -> None:
    """Each snippet of the page works as it stands, `requests.post(url, json=content)`."""
    with LocalIntake(intake_key="YOUR_INTAKE_KEY") as intake:
        response = session.post(intake.url + path, json=content, timeout=10)

    assert 200 == response.status_code
    assert events == [event.event for event in intake.events]
    assert {"sekoia"} == {event.dialect for event in intake.events}


# HEC


def test_every_member_of_a_hec_event_is_kept(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """What was sent is there twice: as it came, and member by member."""
    body: dict[str, Any] = {
        "time": "1537537729.250",
        "timezone": "Europe/Paris",
        "index": "shop",
        "sourcetype": "applog",
        "source": "/var/log/x",
        "host": "web-1",
        "event": "é \U0001f600",
        "fields": {"#env": "prod", "n": 1, "f": 0.5, "ok": True, "empty": ""},
    }

    assert 200 == hec(body).status_code
    expected = ReceivedEvent(
        dialect="hec",
        body=body,
        event="é \U0001f600",
        time=1537537729.25,
        fields=body["fields"],
        host="web-1",
        source="/var/log/x",
        sourcetype="applog",
        index="shop",
        timezone="Europe/Paris",
    )
    assert [expected] == intake.events


@pytest.mark.parametrize(
    ("offer", "encoding"),
    [
        ("gzip, deflate", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip; q=0.0", None),
        (None, None),
    ],
)
def test_hec_success_is_an_empty_object_gzipped_on_offer(
    intake: LocalIntake, offer: str | None, encoding: str | None
) -> None:
    """The answer is `{}`, compressed for a client that says it can read that."""
    with connect(intake) as connection:
        accept = f"Accept-Encoding: {offer}\r\n" if offer else ""
        connection.sendall(raw_request(extra=accept + "Connection: close\r\n"))
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert (encoding == "gzip") == (b"Content-Encoding: gzip" in head)
    assert b"{}" == (gzip.decompress(body) if encoding else body)


@pytest.mark.parametrize(
    ("authorization", "status", "answer"),
    [
        ("Bearer test-token", 200, {}),
        ("Splunk test-token", 200, {}),
        (None, 401, {"text": "Token is required", "code": 2}),
        ("test-token", 401, {"text": "Invalid authorization", "code": 3}),
        ("Basic dGVzdA==", 401, {"text": "Invalid authorization", "code": 3}),
        ("Bearer test-token x", 401, {"text": "Invalid authorization", "code": 3}),
        ("Bearer wrong", 403, {"text": "Invalid token", "code": 4}),
    ],
)
def test_hec_wants_its_token(
    intake: LocalIntake, authorization: str | None, status: int, answer: dict[str, Any]
) -> None:
    """A token that is absent, malformed or wrong is answered in HEC's own words."""
    connection = http.client.HTTPConnection(intake.url.removeprefix("http://"), timeout=10)
    headers = {"Authorization": authorization} if authorization else {}
    with contextlib.closing(connection):
        connection.request("POST", HEC, ONE, {**JSON_HEADERS, **headers})
        response = connection.getresponse()
        assert (status, answer) == (response.status, json.loads(response.read()))


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"Content_Type": "text/plain; charset=utf-8"}, 200),
        ({"Content_Type": "text/plain;charset=UTF-8"}, 200),
        ({"Content_Type": "application/json; charset=utf-8"}, 200),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "text/plain; charset=latin-1"}, 415),
        ({"Content_Type": "application/x-ndjson"}, 415),
        ({"Content_Type": None}, 415),
        ({"Content_Encoding": "identity"}, 200),
        ({"Content_Encoding": "deflate"}, 415),
        ({"Content_Encoding": "gzip"}, 400),
    ],
)
def test_hec_wants_known_content(
    intake: LocalIntake, hec: Callable[..., requests.Response], header: dict[str, str | None], status: int
) -> None:
    """Only the documented content types and encodings will do, and a body that is what they say."""
    response = hec(**header)

    assert status == response.status_code
    assert (status == 200) == (intake.requests[0].refusal == "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", HEC, 405),
        ("PUT", "/batch", 405),
        ("DELETE", "/services/collector", 405),
        ("HEAD", "/", 405),
        ("POST", "/services/collector/event", 404),
        ("POST", "/services/collector/", 404),
        ("POST", "/services/collector/batch", 404),
        ("POST", "/api/v1/ingest/hec?token=test-token", 404),
        ("POST", "/nowhere", 404),
        ("GET", "/nowhere", 404),
    ],
)
def test_only_post_at_a_known_path(
    intake: LocalIntake, session: requests.Session, method: str, path: str, status: int
) -> None:
    """Other methods are answered 405 with what is allowed, other paths 404, and the connection is kept."""
    response = session.request(method, intake.url + path, headers=HEC_HEADERS, timeout=10)
    assert status == response.status_code
    assert ("POST" if status == 405 else None) == response.headers.get("Allow")

    assert 200 == session.post(intake.url + HEC, data=ONE, headers=HEC_HEADERS, timeout=10).status_code
    assert [status, 200] == [request.status for request in intake.requests]


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n12\r\n" + ONE + b"\r\n0\r\n\r\n", 411),
        (b"\r\n", 411),
        (b"Content-Length: many\r\n\r\n", 400),
        (b"Content-Length: 18\r\nContent-Length: 18\r\n\r\n" + ONE, 400),
        (b"Content-Length: 99999999999999\r\n\r\n" + ONE, 413),
    ],
)
def test_a_length_must_be_known_and_in_reason(intake: LocalIntake, framing: bytes, status: int) -> None:
    """A request without a usable Content-Length is answered at once, whatever it goes on to send."""
    head, _, _ = raw_request().partition(b"Content-Length")
    with connect(intake) as connection:
        connection.sendall(head + framing)
        # Still sending: the server reads on for long enough for its answer to get through.
        connection.settimeout(10)
        answer = connection.recv(65_536)
    assert f"HTTP/1.1 {status} ".encode() == answer[:13]


def test_a_gzipped_body_is_kept_unpacked(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """The request keeps both: the body to look at, and how many bytes it was on the wire."""
    body = b'{"event": "%s"}' % (b"x" * 10_000)
    packed = gzip.compress(body[:100]) + gzip.compress(body[100:])

    assert 200 == hec(packed, Content_Encoding="gzip").status_code
    assert [(body, len(packed))] == [(request.body, request.wire_bytes) for request in intake.requests]


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(gzip.compress(ONE)[:-4], id="cut short"),
        pytest.param(gzip.compress(ONE) + b"x", id="going on"),
        pytest.param(b"x", id="none"),
    ],
)
def test_broken_gzip_is_refused(intake: LocalIntake, hec: Callable[..., requests.Response], packed: bytes) -> None:
    """Gzip that is cut short, goes on as something else, or is none is a 400, and is kept as it came."""
    assert 400 == hec(packed, Content_Encoding="gzip").status_code
    assert [(packed, ())] == [(request.body, request.events) for request in intake.requests]


@pytest.mark.parametrize(("path", "headers"), [(HEC, HEC_HEADERS), ("/batch", JSON_HEADERS)], ids=["hec", "sekoia"])
@pytest.mark.parametrize(
    ("size", "packed", "status"),
    [
        (1_000, False, 200),
        (1_001, False, 413),
        (8_000_000, False, 413),
        (1_001, True, 413),
        (8_000_000, True, 413),
    ],
)
def test_a_request_has_a_limit_after_decompression(
    session: requests.Session, path: str, headers: dict[str, str], size: int, packed: bool, status: int
) -> None:
    """A body of the limit is taken, one byte more is a 413: plain or gzip, a bit too much or a bomb."""
    hull = ONE if path == HEC else json.dumps(BATCH).encode()
    body = hull.ljust(size)
    if packed:
        body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
    with LocalIntake(max_body_bytes=1_000, max_sekoia_body_bytes=1_000) as intake:
        response = session.post(intake.url + path, data=body, headers=headers, timeout=10)
        assert status == response.status_code
        assert (status == 200) == bool(intake.events)


BAD_HEC_BODIES = {
    # The body
    b"": "no event in the body",
    b" \n ": "no event in the body",
    b"[%s]" % ONE: "an array",
    b'"hello"': "not a JSON object",
    ONE + b"," + ONE: "Expecting value",
    b'{"event": "x"': "Expecting ',' delimiter",
    b'{"event": "a\nb"}': "Invalid control character",
    b'{"event": "\xff"}': "not UTF-8 at byte 11",
    b"\xef\xbb\xbf" + ONE: "byte order mark",
    # Numbers and characters that some server stumbles over
    b'{"event": "x", "time": NaN}': "NaN is not JSON",
    b'{"event": "x", "time": -Infinity}': "-Infinity is not JSON",
    b'{"event": "x", "fields": {"n": 1e999}}': "a number too large",
    b'{"event": "x", "fields": {"n": 18446744073709551616}}': "an integer of more than 64 bits",
    b'{"event": "x", "fields": {"n": -9223372036854775809}}': "an integer of more than 64 bits",
    b'{"event": "x", "fields": {"n": %s}}' % (b"9" * 5_000): "an integer of more than 64 bits",
    b'{"event": "\\ud83d"}': "a lone surrogate",
    b'{"event": {"\\uDE00\\uD83D": 1}}': "a lone surrogate",
    b'{"event": "x", "event": "y"}': "the name 'event' is there twice",
    b'{"event": {"a": 1, "a": 1}}': "the name 'a' is there twice",
    b'{"event": %s1%s}' % (b'{"a":' * 64, b"}" * 64): "nested deeper than 64",
    b'{"event": {"a": %s}}' % (b"[" * 100_000): "nested deeper than 64",
    # Members
    b'{"event": "x", "evnet": 1}': "unknown member 'evnet'",
    b"{}": "event must be there",
    b'{"event": null}': "event must be there",
    b'{"event": ""}': "event must be there",
    b'{"event": {}}': "event must be there",
    b'{"event": 1}': "event must be there",
    b'{"event": ["x"]}': "event must be there",
    b'{"event": "x", "host": ""}': "host must be a non-empty string",
    b'{"event": "x", "source": null}': "source must be a non-empty string",
    b'{"event": "x", "timezone": 1}': "timezone must be a non-empty string",
    b'{"event": "x", "time": 1537537729000}': "time looks like milliseconds",
    b'{"event": "x", "time": "1537537729000"}': "time looks like milliseconds",
    b'{"event": "x", "time": "today"}': "time must be a number of seconds",
    b'{"event": "x", "time": true}': "time must be a number of seconds",
    b'{"event": "x", "time": null}': "time must be a number of seconds",
    b'{"event": "x", "fields": null}': "fields must be an object",
    b'{"event": "x", "fields": {"a": null}}': "field 'a' must be a string, a number or a bool",
    b'{"event": "x", "fields": {"a": {"b": 1}}}': "field 'a' must be a string, a number or a bool",
    b'{"event": "x", "fields": {"a": [1]}}': "field 'a' must be a string, a number or a bool",
    b'{"event": "x", "fields": {"": 1}}': "a field without a name",
    b'{"event": "x", "fields": {"#": "a"}}': "a field without a name",
    b'{"event": "x", "fields": {"#a": 1}}': "tag '#a' must be a string",
    json.dumps({"event": "x", "fields": dict.fromkeys(map(str, range(8_001)), 1)}).encode(): "8,000 fields",
}


@each("bad", BAD_HEC_BODIES, ids=lambda body: body[:40].decode("ascii", "replace"))
def test_a_bad_hec_event_refuses_the_whole_request(
    intake: LocalIntake, hec: Callable[..., requests.Response], bad: bytes
) -> None:
    """The answer says why, in HEC's form, and the same reason is kept with the request."""
    response = hec(bad)

    answer = response.json()
    assert (400, 6) == (response.status_code, answer["code"])
    assert answer["text"].startswith("Invalid data format: ")
    assert BAD_HEC_BODIES[bad] in answer["text"]
    assert BAD_HEC_BODIES[bad] in intake.requests[-1].refusal
    assert [] == intake.events


@pytest.mark.parametrize("bad", [b'{"event": ""}', b"nonsense"])
def test_a_bad_hec_event_is_named_by_its_number(
    intake: LocalIntake, hec: Callable[..., requests.Response], bad: bytes
) -> None:
    """The number counts from 0, and the good events before the bad one are not taken."""
    assert 2 == hec(ONE + b"\n" + ONE + b"\n" + bad + ONE).json()["invalid-event-number"]
    assert ([], ()) == (intake.events, intake.requests[0].events)


@pytest.mark.parametrize(
    "good",
    [
        b'{"event": "x", "time": 0}',
        b'{"event": "x", "time": 100000000000}',
        b'{"event": "x", "fields": {"n": 18446744073709551615, "m": -9223372036854775808, "f": 1e308}}',
        b'{"event": "\\ud83d\\ude00 \\\\ud83d"}',
        b'{"event": {"a": %s1%s}}' % (b"[" * 62, b"]" * 62),
        b'{"event": "%s"}' % (b"[" * 100),
        b'{"event": {"nested": null}, "fields": {}}',
        json.dumps({"event": "x", "fields": dict.fromkeys(map(str, range(8_000)), 1)}).encode(),
    ],
    ids=lambda body: body[:60].decode("ascii"),
)
def test_what_is_just_within_the_rules_is_taken(
    intake: LocalIntake, hec: Callable[..., requests.Response], good: bytes
) -> None:
    """Every limit is taken up to its last number."""
    assert (200, {}) == ((response := hec(good)).status_code, response.json())
    assert 1 == len(intake.events)


@pytest.mark.parametrize(("size", "status"), [(1_000_000, 200), (1_000_001, 413)])
def test_a_hec_event_has_a_limit_in_bytes(
    intake: LocalIntake, hec: Callable[..., requests.Response], size: int, status: int
) -> None:
    """The JSON text of one event is counted in bytes of UTF-8, and one byte too much is a 413 for all."""
    hull = len('{"event": ""}')
    text = "é" * ((size - hull) // 2) + "x" * ((size - hull) % 2)
    body = b'{"event": "%s"}' % text.encode()

    assert size == len(body)
    assert status == hec(ONE + body).status_code
    assert (2 if status == 200 else 0) == len(intake.events)


@pytest.mark.parametrize(("index", "status"), [("shop", 200), ("other", 400), (None, 200)])
def test_index_must_be_the_tokens_repository(session: requests.Session, index: str | None, status: int) -> None:
    """With `repository=`, an event that names another one is refused, as the public server does."""
    event = {"event": "x"} if index is None else {"event": "x", "index": index}
    with LocalIntake(repository="shop") as intake:
        response = session.post(intake.url + HEC, json=event, headers=HEC_HEADERS, timeout=10)
    assert status == response.status_code


# SEKOIA.IO


@pytest.mark.parametrize("prefix", ["", "/api/v1/intake-http"])
@pytest.mark.parametrize(
    ("endpoint", "body", "ids"),
    [
        ("/", {"intake_key": "test-key", "json": "a"}, 0),
        ("/batch", {"intake_key": "test-key", "jsons": ["a", "b"]}, 2),
        ("/array", [{"intake_key": "test-key", "json": "a"}], 1),
    ],
)
def test_sekoia_answers_ids_at_any_prefix(
    sekoia: Callable[..., requests.Response], prefix: str, endpoint: str, body: Any, ids: int
) -> None:
    """One id for one event, or a list of as many different ids as events."""
    answer = sekoia(body, prefix + endpoint).json()

    assert ["event_ids" if ids else "event_id"] == list(answer)
    assert (ids or 36) == len(set(answer["event_ids"]) if ids else answer["event_id"])


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2021-04-05T21:33:31+02:00", 1617651211.0),
        ("2021-04-05T19:33:31Z", 1617651211.0),
        ("2021-04-05T19:33:31.5Z", 1617651211.5),
        ("2021-04-05T19:33:31.123456789-00:00", 1617651211.123456),
    ],
)
@pytest.mark.parametrize(("endpoint", "name"), [("/", "@timestamp"), ("/array", "timestamp")])
def test_a_sekoia_timestamp_is_the_events_time(
    intake: LocalIntake,
    sekoia: Callable[..., requests.Response],
    stamp: str,
    seconds: float,
    endpoint: str,
    name: str,
) -> None:
    """RFC 3339 with an offset becomes unix seconds, and the body keeps it, without the key."""
    body = {"intake_key": "test-key", "json": '{"message": "m", "n": 1}', name: stamp}
    sekoia([body] if endpoint == "/array" else body, endpoint)

    expected = ReceivedEvent(
        dialect="sekoia",
        body={"json": '{"message": "m", "n": 1}', name: stamp},
        event={"message": "m", "n": 1},
        time=seconds,
    )
    assert [expected] == intake.events
    assert ("m", {}) == (intake.events[0].message, intake.events[0].tags)


BAD_SEKOIA_BODIES = [
    ("/batch", [], 400, "not a JSON object"),
    ("/batch", b"", 400, "Expecting value"),
    ("/batch", b'{"intake_key": "test-key", "jsons": ["a"]} {}', 400, "something follows"),
    ("/batch", b'{"intake_key": "test-key", "jsons": ["\\ud800"]}', 400, "a lone surrogate"),
    ("/batch", {"intakey_key": "test-key", "jsons": ["a"]}, 400, "unknown member 'intakey_key'"),
    ("/batch", {"intake_key": "test-key", "json": "a"}, 400, "unknown member 'json'"),
    ("/batch", {"jsons": ["a"]}, 401, "intake_key is missing"),
    ("/batch", {"intake_key": "other", "jsons": ["a"]}, 401, "intake_key is not known"),
    ("/batch", {"intake_key": 1, "jsons": ["a"]}, 401, "intake_key is not known"),
    ("/batch", {"intake_key": "test-key"}, 400, "jsons must be a non-empty list"),
    ("/batch", {"intake_key": "test-key", "jsons": []}, 400, "jsons must be a non-empty list"),
    ("/batch", {"intake_key": "test-key", "jsons": "a"}, 400, "jsons must be a non-empty list"),
    (
        "/batch",
        {"intake_key": "test-key", "jsons": ["a", ""]},
        400,
        "event 1: an event must be a non-empty string",
    ),
    (
        "/batch",
        {"intake_key": "test-key", "jsons": [{"a": 1}]},
        400,
        "event 0: an event must be a non-empty string",
    ),
    (
        "/batch",
        {"intake_key": "test-key", "jsons": ['{"a": NaN}']},
        400,
        "event 0: structured logs are quoted JSON, this one is not: NaN",
    ),
    ("/batch", {"intake_key": "test-key", "jsons": ['{"a": "\\ud800"}']}, 400, "a lone surrogate"),
    ("/", {"intake_key": "test-key"}, 400, "an event must be a non-empty string"),
    ("/", {"intake_key": "test-key", "jsons": ["a"]}, 400, "unknown member 'jsons'"),
    (
        "/",
        {"intake_key": "test-key", "json": "a", "timestamp": "2021-04-05T21:33:31Z"},
        400,
        "unknown member",
    ),
    ("/", {"intake_key": "test-key", "json": "a", "@timestamp": "2021-04-05T21:33:31"}, 400, "RFC 3339"),
    ("/", {"intake_key": "test-key", "json": "a", "@timestamp": "2021-04-05 21:33:31Z"}, 400, "RFC 3339"),
    ("/", {"intake_key": "test-key", "json": "a", "@timestamp": 1617651211}, 400, "RFC 3339"),
    (
        "/",
        {"intake_key": "test-key", "json": "a", "@timestamp": "2021-02-30T21:33:31Z"},
        400,
        "does not exist",
    ),
    ("/array", {"intake_key": "test-key", "json": "a"}, 400, "must be a non-empty array"),
    ("/array", [], 400, "must be a non-empty array"),
    ("/array", ["a"], 400, "event 0: not a JSON object"),
    (
        "/array",
        [{"intake_key": "test-key", "json": "a"}, {"json": "a"}],
        401,
        "event 1: intake_key is missing",
    ),
    (
        "/array",
        [{"intake_key": "test-key", "json": "a", "@timestamp": "x"}],
        400,
        "unknown member '@timestamp'",
    ),
]


@each(("endpoint", "body", "status", "reason"), BAD_SEKOIA_BODIES)
def test_a_bad_sekoia_event_refuses_the_whole_request(
    intake: LocalIntake,
    sekoia: Callable[..., requests.Response],
    endpoint: str,
    body: Any,
    status: int,
    reason: str,
) -> None:
    """The answer's message says why, and so does the request that is kept; no event is."""
    response = sekoia(body, endpoint)

    assert status == response.status_code
    assert reason in response.json()["message"]
    assert reason in intake.requests[-1].refusal
    assert [] == intake.events


@pytest.mark.parametrize("text", ["{'a': 1}", '{"a": 1} x', "{oops", "{}:", "{" * 2000])
def test_text_that_only_begins_like_json_is_plain_text(
    intake: LocalIntake, sekoia: Callable[..., requests.Response], text: str
) -> None:
    """A user's plain text may begin with a brace; only what parses as JSON must be strict JSON."""
    assert 200 == sekoia({"intake_key": "test-key", "jsons": [text]}, "/batch").status_code
    assert [text] == [event.event for event in intake.events]


@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "application/x-www-form-urlencoded", None])
def test_sekoia_wants_json_content(sekoia: Callable[..., requests.Response], content_type: str | None) -> None:
    """The vendor's page asks for application/json, so anything else is a 415."""
    assert 415 == sekoia(Content_Type=content_type).status_code


@pytest.mark.parametrize(("size", "status"), [(256_000, 200), (256_001, 413)])
def test_a_sekoia_event_has_a_limit_in_bytes(
    intake: LocalIntake, sekoia: Callable[..., requests.Response], size: int, status: int
) -> None:
    """250 KiB of UTF-8 are taken; a byte more is a 413 for the whole request."""
    text = "é" * (size // 2) + "x" * (size % 2)

    assert status == sekoia({"intake_key": "test-key", "jsons": ["a", text]}).status_code
    assert (2 if status == 200 else 0) == len(intake.events)


# What is kept, and waiting for it


def test_requests_are_kept_with_headers_in_any_case(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """A request tells all that a test may ask about it."""
    hec(X_Trace="7")

    [request] = intake.requests
    assert ("POST", HEC, ONE, len(ONE), 200, "") == (
        request.method,
        request.path,
        request.body,
        request.wire_bytes,
        request.status,
        request.refusal,
    )
    assert "7" == request.headers["x-trace"] == request.headers["X-TRACE"]
    assert ("X-Trace" in request.headers, "X-Other" in request.headers) == (True, False)
    assert len(list(request.headers)) == len(request.headers)
    assert tuple(intake.events) == request.events


def test_it_listens_on_the_host_that_is_asked_for_and_on_no_other(session: requests.Session) -> None:
    """`host` says where others can reach the intake; what is not named is not listened on."""
    with LocalIntake(host="127.0.0.2") as intake:
        port = intake.url.rpartition(":")[2]
        assert f"http://127.0.0.2:{port}" == intake.url
        assert 200 == session.post(intake.url + HEC, data=ONE, headers=HEC_HEADERS, timeout=10).status_code
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(port)), timeout=10).close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_it_listens_on_ipv6(session: requests.Session) -> None:
    """An IPv6 address stands in brackets in the URL, and its port, too, is kept in an outage."""
    with LocalIntake(host="::1") as intake:
        port = intake.url.removeprefix("http://[::1]:")
        assert 200 == session.post(intake.url + HEC, data=ONE, headers=HEC_HEADERS, timeout=10).status_code
        intake.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", int(port)), timeout=10).close()
        intake.start()
        assert 200 == session.post(intake.url + HEC, data=ONE, headers=HEC_HEADERS, timeout=10).status_code


def test_repr_shows_neither_token_nor_key(
    intake: LocalIntake,
    hec: Callable[..., requests.Response],
    sekoia: Callable[..., requests.Response],
) -> None:
    """What a failing test prints is safe to publish, and short."""
    hec(path=HEC + "?token=test-token")
    hec()
    sekoia()

    shown = repr([intake, intake.requests, intake.events, [request.headers for request in intake.requests]])
    assert "test-token" not in shown
    assert "test-key" not in shown
    assert f"<ReceivedRequest POST {HEC}, {len(ONE)} bytes: 200, 1 events taken>" in shown
    assert "4 events in 3 requests" in shown


def test_snapshots_are_copies_and_clear_forgets(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """What a test does with the lists changes nothing, and `clear` empties both."""
    hec()
    intake.events.clear()
    intake.requests.clear()
    assert (1, 1) == (len(intake.events), len(intake.requests))

    intake.clear()
    assert ([], []) == (intake.events, intake.requests)


def test_wait_for_returns_all_events_that_are_there(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """Events of several requests come in order; more than were asked for are not hidden."""
    client = threading.Thread(target=lambda: [hec(ONE), hec(b'{"event": "two"} {"event": "three"}')])
    client.start()
    received = intake.wait_for(2)
    client.join()

    assert ["hello", "two", "three"] == [event.message for event in received]


def test_wait_for_tells_what_came_instead(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """The error counts what is there and ends with the last requests that had no success."""
    hec()
    hec(b"{}")
    intake.fail_next(status=503)
    hec()
    with pytest.raises(TimeoutError) as caught:
        intake.wait_for(2, timeout=0.01)
    assert (
        "2 events did not come within 0.01 s: 1 events came in 3 requests, the last without success: "
        "400 (event 0: event must be there, a non-empty string or a non-empty object); 503 (a fault)"
    ) == str(caught.value)


def test_wait_until_asks_after_every_change(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """Any condition on the intake can be waited for, and a time-out says how things stand."""
    client = threading.Thread(target=lambda: [hec(), hec(b"{}"), hec()])
    client.start()
    intake.wait_until(lambda intake: [request.status for request in intake.requests] == [200, 400, 200])
    client.join()

    with pytest.raises(TimeoutError, match=r"within 0 s: 2 events came in 3 requests, .* 400 \(event 0"):
        intake.wait_until(lambda intake: False, timeout=0)


# Faults


def test_faults_queue_up_and_then_all_is_well(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """`fail_next` is first in, first out, and takes no event."""
    intake.fail_next(2, status=503, headers={"Retry-After": "7"}, body="busy")
    intake.fail_next(status=429)
    responses = [hec() for _ in range(4)]

    assert [503, 503, 429, 200] == [response.status_code for response in responses]
    assert ("7", "busy") == (responses[0].headers["Retry-After"], responses[0].text)
    assert [503, 503, 429, 200] == [request.status for request in intake.requests]
    assert [0, 0, 0, 1] == [len(request.events) for request in intake.requests]
    assert ["hello"] == messages(intake)


def test_fail_when_chooses_by_what_a_request_brings(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """A rule sees a request's events; `fail_next` goes first, then the latest rule, and `heal` ends all."""
    intake.fail_when(status=500)
    intake.fail_when(lambda request: any(event.message == "poison" for event in request.events), status=400)
    intake.fail_next(status=429)
    poison = {"event": "poison"}
    assert [429, 400, 400, 500] == [hec(body).status_code for body in (poison, poison, poison, ONE)]

    intake.heal()
    assert 200 == hec(poison).status_code


def test_a_rule_that_raises_is_told(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """A mistake in the test's own rule is answered 500 and named where the test will look."""
    intake.fail_when(lambda request: request.headers["X-Missing"] == "1", status=503)

    assert 500 == hec().status_code
    assert "the rule given to fail_when raised KeyError('x-missing')" == intake.requests[0].refusal


def test_a_fault_hides_a_refusal_from_the_client_only(
    intake: LocalIntake, hec: Callable[..., requests.Response]
) -> None:
    """The request still tells that a strict server would not have taken it."""
    intake.fail_next(status=502, take=True)

    assert 502 == hec(b"{}").status_code
    assert (502, ()) == (intake.requests[0].status, intake.requests[0].events)
    assert "event must be there" in intake.requests[0].refusal


def test_headers_alone_are_added_to_the_normal_answer(
    intake: LocalIntake, hec: Callable[..., requests.Response]
) -> None:
    """So `Connection: close` ends a connection politely after a success."""
    intake.fail_next(headers={"Connection": "close", "X-Extra": "1"})
    response = hec()

    assert (200, "close", "1") == (
        response.status_code,
        response.headers["Connection"],
        response.headers["X-Extra"],
    )
    assert ["hello"] == messages(intake)


@pytest.mark.parametrize("take", [False, True])
@pytest.mark.parametrize(
    ("connection", "error"), [("close", http.client.RemoteDisconnected), ("reset", ConnectionResetError)]
)
def test_a_connection_can_be_cut_without_an_answer(
    intake: LocalIntake, connection: Any, error: type[Exception], take: bool
) -> None:
    """The client sees the end or the reset of the connection; with `take` the events are there anyway."""
    intake.fail_next(connection=connection, take=take)
    client = http.client.HTTPConnection(intake.url.removeprefix("http://"), timeout=10)
    with contextlib.closing(client):
        client.request("POST", HEC, ONE, HEC_HEADERS)
        with pytest.raises(error) as caught:
            client.getresponse()

    assert error is caught.type  # RemoteDisconnected is a ConnectionResetError too
    assert (["hello"] if take else []) == messages(intake)
    assert [None] == [request.status for request in intake.requests]


@pytest.mark.parametrize(
    ("fault", "whole", "taken"),
    [
        ({"status": 500, "body": b"broken!!"}, b"broken!!", []),
        ({"body": "12345678"}, b"12345678", []),
        ({"take": True}, b"{}", ["hello"]),
    ],
)
def test_an_answer_can_break_off_in_the_middle(
    intake: LocalIntake, fault: dict[str, Any], whole: bytes, taken: list[str]
) -> None:
    """The headers promise the whole body, half of it comes."""
    intake.fail_next(connection="half", **fault)
    with connect(intake) as connection:
        connection.sendall(raw_request())
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(whole)}".encode() in head
    assert whole[: len(whole) // 2] == body
    assert taken == messages(intake)


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        ({}, 200, ["hello"]),
        ({"status": 503}, 503, []),
        ({"status": 503, "take": True}, 503, ["hello"]),
    ],
)
def test_an_answer_can_be_late(
    intake: LocalIntake,
    hec: Callable[..., requests.Response],
    fault: dict[str, Any],
    status: int,
    taken: list[str],
) -> None:
    """After its delay, a fault does what it would have done at once."""
    intake.fail_next(delay=0.02, **fault)
    response = hec()

    assert status == response.status_code
    assert 0.02 <= response.elapsed.total_seconds()
    assert taken == messages(intake)
    assert [status] == [request.status for request in intake.requests]


@pytest.mark.parametrize(("take", "early"), [(False, []), (True, ["hello"])])
def test_heal_releases_a_request_that_is_held_back(
    intake: LocalIntake, hec: Callable[..., requests.Response], take: bool, early: list[str]
) -> None:
    """A held request can be seen, its events with `take` only, and ends as at a healthy intake."""
    intake.fail_next(status=503, delay=3600, take=take)
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(hec().status_code))
    client.start()
    intake.wait_until(lambda intake: len(intake.requests) == 1)
    assert (None, early) == (intake.requests[0].status, messages(intake))

    intake.heal()
    client.join()
    assert [200] == statuses == [request.status for request in intake.requests]
    assert ["hello"] == messages(intake)


def test_a_held_request_survives_clear(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """What is answered after `clear` is kept as new."""
    intake.fail_next(delay=3600)
    client = threading.Thread(target=hec)
    client.start()
    intake.wait_until(lambda intake: len(intake.requests) == 1)
    intake.clear()
    intake.heal()
    client.join()

    assert (["hello"], [200]) == (messages(intake), [request.status for request in intake.requests])


@pytest.mark.parametrize(
    ("path", "body", "n", "names", "taken"),
    [
        ("/batch", BATCH, 2, ["event_ids"], ["a", "b"]),
        ("/batch", BATCH, 0, ["event_ids"], []),
        ("/batch", BATCH, 9, ["event_ids"], ["a", "b", "c"]),
        ("/", {"intake_key": "test-key", "json": "a"}, 1, ["event_id"], ["a"]),
        ("/", {"intake_key": "test-key", "json": "a"}, 0, ["event_ids"], []),
    ],
)
def test_some_events_can_be_rejected_behind_a_success(
    intake: LocalIntake,
    sekoia: Callable[..., requests.Response],
    path: str,
    body: Any,
    n: int,
    names: list[str],
    taken: list[str],
) -> None:
    """With `event_ids=n` the first n events are taken, and only their ids answered."""
    intake.fail_next(event_ids=n, status=202)
    response = sekoia(body, path)

    assert (202, names) == (response.status_code, list(response.json()))
    assert len(taken) == len(response.json().get("event_ids", taken))
    assert taken == messages(intake) == [event.message for event in intake.requests[0].events]


def test_hec_can_lose_events_in_silence(intake: LocalIntake, hec: Callable[..., requests.Response]) -> None:
    """With `event_ids` a HEC client is told of full success, as lenient servers do."""
    intake.fail_next(event_ids=1)

    assert {} == hec(b'{"event": "a"} {"event": "b"}').json()
    assert ["a"] == messages(intake)


@each(
    ("fault", "reason"),
    [
        ({}, "needs something to do"),
        ({"take": True}, "needs something to do"),
        ({"connection": "cut"}, "connection must be one of keep, close, reset, half"),
        ({"status": 100}, "status must be from 200 to 599"),
        ({"status": 600}, "status must be from 200 to 599"),
        ({"delay": -1}, "delay must be a number of seconds"),
        ({"delay": float("inf")}, "delay must be a number of seconds"),
        ({"event_ids": -1}, "event_ids must be 0 or more"),
        ({"connection": "close", "status": 500}, "answers nothing"),
        ({"connection": "reset", "headers": {"A": "b"}}, "answers nothing"),
        ({"connection": "reset", "body": "x"}, "answers nothing"),
        ({"body": "x"}, "a body needs a status"),
        ({"status": 204, "body": "x"}, "status 204 has no body"),
        ({"connection": "half", "status": 500}, "needs a body to send half of"),
        ({"connection": "half", "event_ids": 1}, "event_ids says itself"),
        ({"event_ids": 1, "take": True}, "event_ids says itself"),
        ({"event_ids": 1, "status": 500}, "answered by a 2xx"),
        ({"headers": {"content-length": "1"}}, "the server's own"),
        ({"headers": {"A": "b\r\nC: d"}}, "printable ASCII"),
        ({"headers": {"A:": "b"}}, "a name that is a token"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(intake: LocalIntake, fault: dict[str, Any], reason: str) -> None:
    """Alone or by either method, it is a ValueError with the reason, and nothing will fail."""
    for make in (Fault, intake.fail_next, intake.fail_when):
        with pytest.raises(ValueError, match=reason):
            make(**fault)


def test_fail_next_wants_at_least_one_time(intake: LocalIntake) -> None:
    """Zero times is a mistake, not a way to say nothing."""
    with pytest.raises(ValueError, match="times must be 1 or more"):
        intake.fail_next(0, status=500)


def test_a_status_without_a_body_ends_with_its_headers(
    intake: LocalIntake, hec: Callable[..., requests.Response]
) -> None:
    """After a 204 the connection is ready for the next request, as RFC 9112 has it."""
    intake.fail_next(status=204)
    assert [204, 200] == [hec().status_code, hec().status_code]


# Connections


def test_connections_are_kept_alive_until_closed_from_here(intake: LocalIntake) -> None:
    """`close_idle` ends and counts the connections that wait for a request; one that is served goes on."""
    intake.fail_when(lambda request: request.path == "/batch", status=503, delay=3600)
    with connect(intake) as idle, connect(intake) as busy:
        busy.sendall(raw_request(path="/batch"))
        for _ in range(2):
            idle.sendall(raw_request())
            assert idle.recv(65_536).startswith(b"HTTP/1.1 200 ")
        intake.wait_until(lambda intake: len(intake.requests) == 3)

        assert 1 == intake.close_idle()
        assert b"" == idle.recv(65_536)
        assert 0 == intake.close_idle()
        intake.heal()
        assert busy.recv(65_536).startswith(b"HTTP/1.1 ")


def test_a_connection_is_idle_as_soon_as_the_client_has_its_answer(intake: LocalIntake) -> None:
    """`close_idle` right after an answer never misses the connection that it came on."""
    for _ in range(200):
        with connect(intake) as connection:
            connection.sendall(raw_request())
            assert connection.recv(65_536)
            assert 1 == intake.close_idle()
            assert b"" == connection.recv(65_536)


def test_keep_alive_can_be_off() -> None:
    """Each answer then says that it closes, and does."""
    with LocalIntake(keep_alive=False) as intake, connect(intake) as connection:
        connection.sendall(raw_request())
        assert b"Connection: close" in read_all(connection)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST ",
        raw_request()[:-5],
        raw_request(),
        b"nonsense\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_clients_that_vanish_or_babble_leave_no_trace(
    capfd: pytest.CaptureFixture[str], hec: Callable[..., requests.Response], intake: LocalIntake, sent: bytes
) -> None:
    """Nothing is printed, no thread fails, and the next client is served."""
    with connect(intake) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes by RST
        connection.sendall(sent)
    assert 200 == hec().status_code
    intake.stop()
    assert ("", "") == capfd.readouterr()


def test_stop_leaves_no_thread_no_socket_and_no_client_waiting() -> None:
    """Idle, half-sent and held-back requests are all cut, and everything is given back."""
    before = threading.active_count()
    with warnings.catch_warnings(), LocalIntake() as intake, contextlib.ExitStack() as stack:
        warnings.simplefilter("error")
        intake.fail_next(delay=3600)
        clients = [stack.enter_context(connect(intake)) for _ in range(4)]
        for client, sent in zip(clients, [b"", b"POST", raw_request()[:-1], raw_request()], strict=True):
            client.sendall(sent)
        intake.wait_until(lambda intake: len(intake.requests) == 1)
        intake.stop()

        assert [b""] * 4 == [client.recv(1) for client in clients]
        assert before == threading.active_count()
        with pytest.raises(ConnectionRefusedError):
            connect(intake)
    assert ([], [None]) == (intake.events, [request.status for request in intake.requests])


def test_an_outage_is_stop_and_start_on_the_same_port(session: requests.Session) -> None:
    """The URL stays, what came stays, and both calls may be repeated."""
    intake = LocalIntake()
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = intake.url
    intake.stop()
    urls = []
    for _ in range(3):
        intake.start()
        intake.start()
        urls.append(intake.url)
        session.post(intake.url + HEC, data=ONE, headers=HEC_HEADERS, timeout=10)
        intake.stop()
        intake.stop()

    assert 1 == len(set(urls))
    assert ["hello"] * 3 == messages(intake)
    assert 0 == intake.close_idle()
    assert "<LocalIntake stopped, 3 events in 3 requests>" == repr(intake)


def test_a_port_can_be_chosen_but_not_shared(intake: LocalIntake) -> None:
    """A second server on the same port is an error, not a lottery."""
    port = int(intake.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        LocalIntake(port=port).start()
    intake.stop()
    with LocalIntake(port=port) as other:
        assert intake.url == other.url


def test_nobody_is_given_the_port_of_a_stopped_intake() -> None:
    """In an outage the port stays the intake's own, or a stranger gets what was meant for it; then it is free again.

    Tests that ran side by side found each other's events in their intakes.
    """
    with LocalIntake() as intake:
        port = int(intake.url.rpartition(":")[2])
        intake.stop()
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            connect(intake)
        intake.start()
        connect(intake).close()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        assert port == stranger.getsockname()[1]


def test_an_intake_without_with_gives_its_port_back_when_it_is_forgotten() -> None:
    """Between `stop` and `start` the port is kept; an intake that nobody can start any more keeps none, in silence."""
    intake = LocalIntake()
    intake.start()
    port = int(intake.url.rpartition(":")[2])
    intake.stop()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del intake
        gc.collect()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        assert port == stranger.getsockname()[1]


def test_many_clients_at_once_lose_nothing(intake: LocalIntake) -> None:
    """Eight connections, 400 requests: every event is there, those of one client in its order."""

    def send(client: int) -> None:
        with connect(intake) as connection:
            for number in range(50):
                connection.sendall(raw_request(b'{"event": "%d %d"}' % (client, number)))
                assert connection.recv(65_536)

    clients = [threading.Thread(target=send, args=(client,)) for client in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    received = [tuple(map(int, message.split())) for message in messages(intake)]
    assert [(client, number) for client in range(8) for number in range(50)] == sorted(received)
    for client in range(8):
        assert list(range(50)) == [number for sender, number in received if sender == client]


# The package


def test_the_plugin_gives_a_started_intake_and_imports_nothing_before() -> None:
    """Loading the plugin loads no server; the fixture's value answers and is stopped after the test."""
    program = (
        "import sys, requests\n"
        "import loghttp.testing.pytest_plugin as plugin\n"
        "assert 'loghttp.testing._server' not in sys.modules\n"
        "fixture = plugin.local_intake.__wrapped__()\n"
        "intake = next(fixture)\n"
        "assert requests.get(intake.url, timeout=10).status_code == 405\n"
        "assert next(fixture, None) is None\n"
        "try:\n"
        "    requests.get(intake.url, timeout=10)\n"
        "except requests.ConnectionError:\n"
        "    print('stopped')\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ("stopped\n", "") == (result.stdout, result.stderr)


def test_unknown_names_are_unknown() -> None:
    """The lazy package still says what it does not have."""
    import loghttp.testing

    with pytest.raises(AttributeError, match="has no attribute 'LocalOutlet'"):
        _ = loghttp.testing.LocalOutlet  # type: ignore[attr-defined]
    assert ReceivedRequest is loghttp.testing.ReceivedRequest
