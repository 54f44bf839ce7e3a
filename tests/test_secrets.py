"""Promise 7: the token, the intake key and a proxy's password are shown nowhere, whatever goes wrong.

The needles are looked for as they are and as they may be written: quoted for a URL, escaped for JSON.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import traceback
import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from pprint import pformat, pprint
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import trustme
from cases import each
from interpreters import Interpreter
from servers import DEADLINE, QUICK, Nginx, Squid, Voice, listening, wait_until

import loghttp
from loghttp import ConfigurationError, HumioHECHandler, SekoiaHandler
from loghttp.testing import LocalIntake
from loghttp.testing._server import ReservedPort

# Characters that JSON and URLs write in another way: such as tokens in base64 have.
TOKEN = 'h3c-t0k3n/+"=='
KEY = 's3koia-k3y/+"=='
PASSWORD = "pr0xy-p4ss/+w0rd"  # in a URL: quoted
HEADER = "g4teway-k3y/+=="  # the value of a header of the user's, which is a secret as well, for all we know

PACKAGE = str(Path(loghttp.__file__).parent)


def spellings(secret: str) -> set[str]:
    """The ways in which a program that repeats what it was sent may write it."""
    in_json = json.dumps(secret)[1:-1]
    return {
        *(secret, repr(secret)[1:-1], in_json, in_json.replace("/", "\\/")),
        *(quote(secret), quote(secret, safe=""), quote_plus(secret)),
    }


def shown(text: str, *secrets: str) -> list[str]:
    """Which secrets are in `text`."""
    return [
        secret for secret in secrets or (TOKEN, KEY, PASSWORD) for spelling in spellings(secret) if spelling in text
    ]


@pytest.fixture
def intake() -> Iterator[LocalIntake]:
    """An intake that knows our token and key, in the place of the one that everybody knows."""
    with LocalIntake(TOKEN, KEY) as intake:
        yield intake


@pytest.fixture
def voice() -> Iterator[Voice]:
    with listening() as voice:
        yield voice


PROXIES = {"https": f"http://somebody:{quote(PASSWORD, safe='')}@127.0.0.1:9", "http": "http://127.0.0.1:9"}
KINDS = [(HumioHECHandler, {"token": TOKEN}), (SekoiaHandler, {"intake_key": KEY})]
both_handlers = pytest.mark.parametrize(("kind", "secret"), KINDS, ids=["humio", "sekoia"])


@both_handlers
def test_what_a_handler_shows_of_itself(kind: Any, secret: dict[str, str], intake) -> None:
    """`repr`, `str`, its attributes in a debugger, and its figures are safe to paste into a bug report."""
    handler = kind(url=intake.url, proxies=PROXIES, headers={"X-Key": HEADER}, **secret)
    attributes = StringIO()
    pprint(vars(handler), stream=attributes)
    texts = [repr(handler), str(handler), f"{handler}", attributes.getvalue(), repr(vars(handler))]
    texts += [repr(handler.stats()), pformat(handler.stats())]
    assert [] == shown("\n".join(texts), TOKEN, KEY, PASSWORD, HEADER)


# ---- errors at construction

BAD_OPTIONS: dict[str, dict[str, Any]] = {
    "unknown option": {"no_such_option": 1},
    "url of another kind": {"url": 7},
    "url without a scheme": {"url": "intake.example"},
    "url of another scheme": {"url": "ftp://intake.example"},
    "url with a bad port": {"url": "https://intake.example:port"},
    "url with a query": {"url": "https://intake.example/?a=b"},
    "url that is none": {"url": "https://[intake.example"},
    "endpoint": {"endpoint": "/elsewhere"},
    "level": {"level": "LOUD"},
    "attributes": {"attributes": "level"},
    "fields": {"fields": {"a": object()}},
    "redact": {"redact": [1]},
    "batch_events": {"batch_events": 0},
    "batch_bytes": {"batch_bytes": "many"},
    "flush_interval": {"flush_interval": -1},
    "flush_level": {"flush_level": "LOUD"},
    "buffer_events": {"buffer_events": 0},
    "buffer_bytes": {"buffer_bytes": 0},
    "overflow": {"overflow": "panic"},
    "block_timeout": {"block_timeout": 1.0},
    "compression": {"compression": "zip"},
    "timeout": {"timeout": 0},
    "retry_for": {"retry_for": "long"},
    "retry_wait_max": {"retry_wait_max": 0},
    "close_timeout": {"close_timeout": -1},
    "verify": {"verify": "no-such-file.pem"},
    "cert": {"cert": "no-such-file.pem"},
    "proxies of another kind": {"proxies": f"http://somebody:{PASSWORD}@proxy"},
    "proxy without a scheme": {"proxies": {"https": f"somebody:{PASSWORD}@proxy"}},
    "proxy that is no URL": {"proxies": {"https": f"http://somebody:{quote(PASSWORD, safe='')}@[proxy"}},
    "proxy with a bad port": {"proxies": {"https": f"http://somebody:{quote(PASSWORD, safe='')}@proxy:port"}},
    "proxy with an unquoted password": {"proxies": {"https": f"http://somebody:{PASSWORD}@proxy:3128"}},
    "header's name": {"headers": {"X Key": HEADER}},
    "header's value": {"headers": {"X-Key": f"{HEADER}\n"}},
    "header of our own": {"headers": {"Authorization": HEADER}},
}
ONLY_HUMIO: dict[str, dict[str, Any]] = {
    "auth_scheme": {"auth_scheme": "Basic"},
    "event_format": {"event_format": "xml"},
    "host": {"host": ""},
    "tags": {"tags": ["prod"]},
    "tag_attributes": {"tag_attributes": "level"},
}


def with_locals(error: BaseException) -> str:
    """The traceback as cgitb, Sentry and rich show it: with the local variables of each of our frames.

    Those of the program's own frames are the program's affair: it wrote the token there.
    """
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack if frame.filename.startswith(PACKAGE)]
    assert frames
    cause = [] if error.__context__ is None or error.__suppress_context__ else [with_locals(error.__context__)]
    return "\n".join([*traceback.StackSummary.from_list(frames).format(), *told.format_exception_only(), *cause])


def configured_badly(kind: Any, secret: dict[str, str], options: dict[str, Any]) -> ConfigurationError:
    given = {"url": "https://intake.example", "proxies": PROXIES, "headers": {"X-Key": HEADER}, **secret, **options}
    with pytest.raises(ConfigurationError) as caught:
        kind(**given)
    return caught.value


@each("locals_too", [False, True], ids=["message", "locals"])
@each(
    ("kind", "secret", "options"),
    [
        *(
            pytest.param(*one, BAD_OPTIONS[name], id=f"{one[0].__name__} {name}")
            for one in KINDS
            for name in BAD_OPTIONS
        ),
        *(pytest.param(*KINDS[0], options, id=f"HumioHECHandler {name}") for name, options in ONLY_HUMIO.items()),
    ],
)
def test_configuration_error_shows_no_secret(kind: Any, secret, options, locals_too: bool) -> None:
    """An error that stops a program at its start is printed, mailed and filed; by some tools with local variables."""
    error = configured_badly(kind, secret, options)
    text = with_locals(error) if locals_too else "".join(traceback.format_exception_only(error))
    assert [] == shown(text, TOKEN, KEY, PASSWORD, HEADER)


@pytest.mark.parametrize("variable", ["url", "environment"])
@pytest.mark.parametrize(
    "url",
    [
        "https://somebody:hunter2@intake.example",
        "https://hunter2@intake.example",
        "somebody:hunter2@intake.example",
        "https://somebody:hunter2/x@intake.example",
        "https://somebody:hunter2#x@intake.example",
        "https://somebody:hunter2@[intake.example",
        "https://intake.example/?token=hunter2",
        "ftp://somebody:hunter2@intake.example",
    ],
)
@both_handlers
def test_url_with_credentials_is_refused_unseen(kind: Any, secret, url: str, variable: str, monkeypatch) -> None:
    """Credentials in a URL would be shown with it for ever: it is refused, and not even the refusal shows them."""
    if variable == "environment":
        monkeypatch.setenv("HUMIO_URL" if kind is HumioHECHandler else "SEKOIA_URL", url)
    error = configured_badly(kind, secret, {"url": url if variable == "url" else None})
    assert "url" in str(error)
    assert [] == shown(with_locals(error), "hunter2", TOKEN, KEY)


# ---- the token itself


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\n {}\t\n"])
@both_handlers
def test_white_space_around_a_secret_goes(
    kind: Any, secret, around: str, how: str, intake, monkeypatch, logger
) -> None:
    """A mounted Kubernetes secret ends with a newline: six libraries print such a token in clear; here it works."""
    [(parameter, value)] = secret.items()
    if how == "environment":
        monkeypatch.setenv("HUMIO_INGEST_TOKEN" if parameter == "token" else "SEKOIA_INTAKE_KEY", around.format(value))
    given = around.format(value) if how == "argument" else None
    handler = kind(url=intake.url, **{parameter: given}, **QUICK)
    logger.addHandler(handler)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    handler.close()
    assert ["hello"] == [event.message for event in intake.events]


MIDDLES = ["\n", "\r\nX-Evil: 1", " ", "é", "\x00", "\ud800"]  # no environment variable holds the last two


@pytest.mark.parametrize(
    ("middle", "how"),
    [*((middle, "argument") for middle in MIDDLES), *((middle, "environment") for middle in MIDDLES[:-2])],
    ids=ascii,
)
@both_handlers
def test_illegal_secret_is_refused_unseen(kind: Any, secret, middle: str, how: str, monkeypatch) -> None:
    """What no header can carry is refused at construction, with the parameter's name and without the value."""
    [(parameter, value)] = secret.items()
    illegal = f"{value}{middle}s3cond-h4lf"
    if how == "environment":
        monkeypatch.setenv("HUMIO_INGEST_TOKEN" if parameter == "token" else "SEKOIA_INTAKE_KEY", illegal)
    error = configured_badly(kind, {parameter: illegal if how == "argument" else None}, {})
    assert parameter in str(error)
    assert [] == shown(with_locals(error), TOKEN, KEY, "s3cond-h4lf")


@both_handlers
def test_neither_url_nor_user_agent_bears_the_secret(kind: Any, secret, intake, logger) -> None:
    """URLs and User-Agents end in the access logs of every proxy on the way."""
    handler = kind(url=intake.url, **secret, **QUICK)
    logger.addHandler(handler)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    handler.close()
    [request] = intake.requests
    others = [f"{name}: {value}" for name, value in request.headers.items() if name != "Authorization"]
    assert [] == shown("\n".join([request.path, *others]))
    assert request.headers["User-Agent"].startswith("loghttp/")


def test_warning_of_a_token_in_clear_does_not_show_it() -> None:
    """`http://` to another machine is warned of, at the caller's line, without the token that it is about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        HumioHECHandler("http://in-clear.example", TOKEN, proxies=PROXIES)
    [warning] = caught
    assert __file__ == warning.filename
    assert [] == shown(f"{warning.message!r} {warning.line}")


@both_handlers
def test_that_warning_as_an_error_shows_nothing_either(kind: Any, secret) -> None:
    """Under `-W error` that warning is an exception out of the constructor, with its frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning) as caught:
            kind(url=f"http://{kind.__name__.lower()}.example", proxies=PROXIES, **secret)
    assert [] == shown(with_locals(caught.value))


# ---- replies that repeat what they were sent


def echoing(echo: str, status: int) -> dict[str, Any]:
    """A fault of `LocalIntake` that repeats `echo` wherever a reply can."""
    return {
        "status": status,
        "headers": {
            "Location": f"https://elsewhere.example/login?token={echo}",
            "Retry-After": echo,
            "Set-Cookie": f"token={echo}",
            "WWW-Authenticate": f"Bearer {echo}",
            "Proxy-Authenticate": f"Basic {echo}",
            "X-Token": echo,
        },
        "body": f'{{"text": "not with {echo}", "received": {{"authorization": "Bearer {echo}"}}}}',
    }


def what_is_told(handler: Any, logger: logging.Logger, voice: Voice) -> str:
    """All that a handler says and shows of a record that is not delivered."""
    logger.addHandler(handler)
    logger.info("hello")
    wait_until(lambda: handler.stats().last_error, "the attempt fails")
    if not handler.stats().dropped:
        voice.wait_for()
    handler.close()
    return "\n".join([voice.text, repr(handler.stats()), str(handler.stats().last_error)])


@pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 404, 407, 413, 429, 500])
@both_handlers
def test_echo_of_the_secret_is_not_repeated(kind: Any, secret, status: int, intake, voice, logger) -> None:
    """Gateways repeat what they were sent, in bodies and headers; none of it comes out in a log line or the figures."""
    intake.fail_when(**echoing(*secret.values(), status))
    handler = kind(url=intake.url, **{**QUICK, "close_timeout": 0.1}, **secret)
    assert [] == shown(what_is_told(handler, logger, voice))


@pytest.mark.parametrize("status", [302, 400])
@pytest.mark.parametrize(
    "spell",
    [lambda text: json.dumps(text)[1:-1], lambda text: json.dumps(text)[1:-1].replace("/", "\\/"), quote, quote_plus],
    ids=["json", "json of php", "quote", "quote_plus"],
)
@both_handlers
def test_echo_in_another_spelling_is_not_repeated(kind: Any, secret, spell, status, intake, voice, logger) -> None:
    """What repeats a token in JSON or in a URL may have to escape it: it is the same secret still."""
    intake.fail_when(**echoing(spell(*secret.values()), status))
    handler = kind(url=intake.url, **{**QUICK, "close_timeout": 0.1}, **secret)
    assert [] == shown(what_is_told(handler, logger, voice))


@pytest.mark.parametrize("how", ["environment", "option"])
@pytest.mark.parametrize(
    "echo",
    [PASSWORD, quote(PASSWORD, safe=""), base64.b64encode(f"somebody:{PASSWORD}".encode()).decode()],
    ids=["plain", "quoted", "base64"],
)
def test_echo_of_the_proxy_password_is_not_repeated(echo, how, intake, voice, logger, monkeypatch) -> None:
    """A proxy that repeats its own credentials: as in the URL, as they are meant, or as they were in the header."""
    proxy = intake.url.replace("//", f"//somebody:{quote(PASSWORD, safe='')}@")
    if how == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy)
    intake.fail_when(**echoing(echo, 407))
    proxies = {"http": proxy} if how == "option" else None
    handler = HumioHECHandler("http://localhost:9", TOKEN, proxies=proxies, **{**QUICK, "close_timeout": 0.1})
    told = what_is_told(handler, logger, voice)
    assert "proxy" in told
    assert echo not in told
    assert [] == shown(told)


@pytest.mark.parametrize("end", ["/", "#", "?"])
def test_unquoted_proxy_password_is_not_shown(end: str, voice, logger, monkeypatch) -> None:
    """A password with a "/" that nobody has quoted makes the URL unreadable, and part of it look like a host's name."""
    monkeypatch.setenv("HTTP_PROXY", f"http://somebody:unqu0ted{end}p4ssword@localhost:9")
    handler = HumioHECHandler("http://localhost:9", TOKEN, **{**QUICK, "close_timeout": 0.1})
    told = what_is_told(handler, logger, voice)
    assert [] == shown(told, "unqu0ted", "p4ssword", TOKEN)


# ---- whole processes, in every kind of trouble

PROGRAM = """
import json, logging, pprint, sys
logging.basicConfig(level=logging.DEBUG)  # the root logger, on stderr: loghttp's own lines, urllib3's and all others
import loghttp
handler = getattr(loghttp, sys.argv[1])(**json.loads(sys.argv[2]))
logging.getLogger().addHandler(handler)
logging.info("hello")
while not handler.stats().last_error and not handler.flush(0.05):
    pass
print(repr(handler), handler.stats(), repr(handler.stats()))
pprint.pprint(vars(handler))
"""


def run(kind: Any, options: dict[str, Any], environment: dict[str, str]) -> str:
    """What a process prints that has the secrets in its environment, from its first word to its last."""
    process = Interpreter(
        ["-W", "always", "-c", PROGRAM, kind.__name__, json.dumps({**QUICK, **options})],
        {**os.environ, "HUMIO_INGEST_TOKEN": TOKEN, "SEKOIA_INTAKE_KEY": KEY, **environment},
    )
    try:
        return "".join(process.communicate(timeout=DEADLINE))
    finally:
        process.kill()


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "401": ({"status": 401}, "HTTP 401"),
    "403": ({"status": 403}, "HTTP 403"),
    "redirect": ({"status": 307, "headers": {"Location": "https://elsewhere.example/"}}, "HTTP 307"),
    "400": ({"status": 400, "body": "{not JSON"}, "HTTP 400"),
    "bad JSON": ({"status": 200, "body": "{not JSON"}, "delivered 1"),
    "503 and half a body": ({"status": 503, "body": "{}" * 99, "connection": "half"}, "HTTP 503"),
    "reset": ({"connection": "reset"}, "not delivered yet"),
    "no answer": ({"delay": DEADLINE}, "timed out"),
    "echo": ({}, "HTTP 401"),
}


@pytest.mark.parametrize("fault", FAULTS)
@both_handlers
def test_process_in_trouble_with_its_intake(kind: Any, secret, fault: str, intake) -> None:
    """Neither stdout nor stderr of a program shows a secret, even with every logger at DEBUG on the console."""
    how, evidence = FAULTS[fault]
    intake.fail_when(**(how or echoing(*secret.values(), 401)))
    output = run(kind, {"url": intake.url, "timeout": 0.5}, {})
    assert evidence in output
    assert [] == shown(output)


@both_handlers
def test_process_without_an_intake(kind: Any, secret) -> None:
    """Connection refused, and the record lost at exit: told on stderr with its number, without the token."""
    port = ReservedPort()
    output = run(kind, {"url": f"http://127.0.0.1:{port.number}"}, {})
    port.release()
    assert "1 record was lost at shutdown" in output
    assert [] == shown(output)


def test_process_in_trouble_with_tls() -> None:
    """A certificate that is refused is told with OpenSSL's words, and nothing of ours."""
    with Nginx() as nginx:
        nginx.write("server.pem", trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes())
        nginx.serve(Nginx.TLS, "return 200;")
        output = run(HumioHECHandler, {"url": nginx.https_url}, {})
    assert "certificate verify failed" in output
    assert [] == shown(output)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_process_in_trouble_with_its_proxy(scheme: str) -> None:
    """A real proxy that refuses a password: neither this nor the token is on the console."""
    with Squid() as squid:
        squid.start()
        proxy = squid.url_with(PASSWORD)
        output = run(HumioHECHandler, {"url": f"{scheme}://localhost:9"}, {f"{scheme}_proxy": proxy})
    assert "407" in output
    assert [] == shown(output)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_process_with_a_dead_proxy(scheme: str) -> None:
    """The same with a proxy that nobody answers at."""
    port = ReservedPort()
    proxy = f"http://somebody:{quote(PASSWORD, safe='')}@127.0.0.1:{port.number}"
    output = run(HumioHECHandler, {"url": f"{scheme}://localhost:9"}, {f"{scheme}_proxy": proxy})
    port.release()
    assert "not delivered yet" in output
    assert [] == shown(output)


@both_handlers
def test_process_that_is_configured_badly(kind: Any, secret) -> None:
    """A program that ends with our ConfigurationError prints a traceback, and no secret in it."""
    output = run(kind, {"level": "LOUD", "proxies": PROXIES}, {})
    assert "ConfigurationError: level must be" in output
    assert [] == shown(output)
