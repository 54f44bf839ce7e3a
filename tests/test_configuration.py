"""Every parameter of the public face: what it takes, and that a bad value is told at once, by name, without secrets."""

from __future__ import annotations

import inspect
import json
import logging
import logging.config
import logging.handlers
import math
import pickle
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cases import each

import loghttp
from loghttp import ConfigurationError, HumioHECHandler, LoghttpError, SekoiaHandler
from loghttp import handlers as handlers_module
from loghttp._capture import Captured, capture
from loghttp._checks import Secret
from loghttp._options import Delivery, DeliveryOptions, Limits

TOKEN = "fS6Kdlb0clqe0UwPcc4slvNFP3Qn1COzG9DEVLw7v0Ii"
HEC, COLLECTOR = "/api/v1/ingest/hec", "/services/collector"
VARIABLES = ("HUMIO_URL", "HUMIO_INGEST_TOKEN", "SEKOIA_URL", "SEKOIA_INTAKE_KEY")
LIMITS = Limits(batch_events=5_000, batch_bytes=5_000_000, event_bytes=1_000_000)

Handler = HumioHECHandler | SekoiaHandler

# ---- helpers


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the developer's, and no host that was warned of before."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(handlers_module, "_warned_hosts", set())


def humio(**options: Any) -> HumioHECHandler:
    return HumioHECHandler(**{"token": TOKEN, **options})


def sekoia(**options: Any) -> SekoiaHandler:
    return SekoiaHandler(**{"intake_key": TOKEN, **options})


def address(handler: Handler) -> str:
    """Where a handler sends to."""
    return handler._intake.url


def a_record() -> Captured:
    """A record that says hello, with an extra, as the buffer hands it out."""
    record = logging.Logger("shop").makeRecord("shop", logging.INFO, "p", 1, "hello", (), None, extra={"user": "ada"})
    captured = capture(record)
    captured.sequence = 1
    return captured


def body_of(handler: Handler) -> dict[str, Any]:
    """What a handler would send of a record."""
    parsed = json.loads(handler._intake.shape(handler._reader.read(a_record())))
    parsed = json.loads(parsed) if isinstance(parsed, str) else parsed
    assert isinstance(parsed, dict)
    return parsed


@contextmanager
def refused(*parts: str) -> Iterator[None]:
    """What is tried inside raises a ConfigurationError that has all of `parts`, and not the token."""
    with pytest.raises(ConfigurationError) as caught:
        yield
    assert [] == [part for part in parts if part not in str(caught.value)]
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None, "the token may stand in the error below"


BOTH = pytest.mark.parametrize("make", [humio, sekoia])

# ---- the face


def test_a_configuration_error_is_a_value_error() -> None:
    """Programs that guard a constructor with ValueError are right."""
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(ConfigurationError, LoghttpError)


def test_the_handlers_are_handlers_of_logging() -> None:
    """`logging.Handler`, and not `QueueHandler`, which dictConfig treats specially since 3.12."""
    for kind in (HumioHECHandler, SekoiaHandler):
        assert issubclass(kind, logging.Handler)
        assert not issubclass(kind, logging.handlers.QueueHandler)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            HumioHECHandler,
            [
                *["url", "token", "endpoint", "auth_scheme", "host", "source", "sourcetype", "index", "timezone"],
                *["tags", "tag_attributes", "fields", "attributes", "event_format", "redact", "level", "delivery"],
            ],
        ),
        (SekoiaHandler, ["intake_key", "url", "endpoint", "attributes", "fields", "redact", "level", "delivery"]),
    ],
)
def test_the_parameters_are_the_documented_ones(kind: type, names: list[str]) -> None:
    """The names are fixed, two of them positional; all others go by keyword."""
    parameters = inspect.signature(kind).parameters
    assert set(names) == set(parameters)
    assert names[:2] == list(parameters)[:2]
    assert {"POSITIONAL_OR_KEYWORD"} == {parameters[name].kind.name for name in names[:2]}
    assert {"KEYWORD_ONLY"} == {parameters[name].kind.name for name in names[2:-1]}


def test_the_defaults_are_the_documented_ones() -> None:
    """The table of the design, number by number."""
    delivery = Delivery.checked({}, LIMITS)
    assert {
        "batch_events": 5_000,
        "batch_bytes": 5_000_000,
        "flush_interval": 1.0,
        "flush_level": logging.ERROR,
        "buffer_events": 100_000,
        "buffer_bytes": 64 * 1024 * 1024,
        "overflow": "drop_oldest",
        "block_timeout": None,
        "compression": "gzip",
        "timeout": (5.0, 30.0),
        "retry_for": None,
        "retry_wait_max": 30.0,
        "close_timeout": 5.0,
        "verify": True,
        "cert": None,
        "proxies": None,
        "headers": {},
    }.items() <= {name: getattr(delivery, name) for name in Delivery.__dataclass_fields__}.items()


def test_type_checkers_and_the_program_know_the_same_options() -> None:
    """The TypedDict for type checkers and the dataclass that checks have the same names."""
    assert set(DeliveryOptions.__annotations__) == set(Delivery.__dataclass_fields__)


@pytest.mark.parametrize(("make", "events", "size"), [(humio, 5_000, 5_000_000), (sekoia, 5_000, 9_437_184)])
def test_a_batch_follows_the_intake_s_advice(make: Callable[..., Handler], events: int, size: int) -> None:
    """By default a batch is as large as the intake advises, and never larger than it takes."""
    options = make()._options
    assert events == options.batch_events
    assert 0 < options.batch_bytes <= size


# ---- good values


@BOTH
@each(
    ("option", "value", "kept"),
    [
        ("batch_events", 1, 1),
        ("batch_bytes", 1, 1),
        ("flush_interval", 0, 0.0),
        ("flush_interval", 0.05, 0.05),
        ("flush_level", "CRITICAL", logging.CRITICAL),
        ("flush_level", 30, 30),
        ("flush_level", "30", 30),
        ("buffer_events", 1, 1),
        ("buffer_bytes", 1, 1),
        ("overflow", "drop_newest", "drop_newest"),
        ("overflow", "block", "block"),
        ("compression", None, None),
        ("timeout", 3, (3.0, 3.0)),
        ("timeout", [1, 2.5], (1.0, 2.5)),
        ("retry_for", 3_600, 3_600.0),
        ("retry_wait_max", 0.1, 0.1),
        ("close_timeout", 0, 0.0),
        ("verify", False, False),
        ("verify", Path(__file__), __file__),
        ("cert", __file__, __file__),
        ("cert", [__file__, __file__], (__file__, __file__)),
        ("proxies", {"https": "http://user:pw@proxy:3128"}, {"https": "http://user:pw@proxy:3128"}),
        ("headers", {"X-Team": "shop"}, {"X-Team": "shop"}),
    ],
    ids=lambda value: "file" if __file__ in str(value) else None,
)
def test_options_of_delivery(make: Callable[..., Handler], option: str, value: Any, kept: Any) -> None:
    """Each option is taken in the forms that Python, YAML, JSON and INI give it."""
    assert kept == getattr(make(**{option: value})._options, option)


def test_block_timeout_goes_with_block() -> None:
    """How long to wait is asked only where there is waiting."""
    assert 2.0 == humio(overflow="block", block_timeout=2)._options.block_timeout
    with refused("block_timeout", "block"):
        humio(block_timeout=2)


def test_humio_members() -> None:
    """Each member of the event is sent as it was given."""
    given = {"host": "web-1", "source": "/srv/shop", "sourcetype": "applog", "index": "shop", "timezone": "Z"}
    body = body_of(humio(**given))
    assert given == {name: body[name] for name in given}


def test_humio_sends_this_machine_s_name() -> None:
    """Where no host is given, `@host` is this machine's name; the other members are absent."""
    body = body_of(humio())
    assert socket.gethostname() == body["host"]
    assert set() == {"source", "sourcetype", "index", "timezone"} & body.keys()


def test_humio_tags_fields_and_attributes() -> None:
    """Tags with or without their hash, tags from extras, static fields, chosen attributes."""
    handler = humio(
        tags={"env": "prod", "#zone": "a"},
        tag_attributes=["user"],
        fields={"n": 1, "ok": True},
        attributes=["levelname"],
    )
    assert {"#env": "prod", "#zone": "a", "#user": "ada", "n": 1, "ok": True, "levelname": "INFO"} == body_of(handler)[
        "fields"
    ]


def test_no_attributes_at_all() -> None:
    """`attributes=()` sends the message and the extras alone."""
    assert {"user": "ada"} == body_of(humio(attributes=()))["fields"]
    assert {"@timestamp", "message", "user"} == body_of(sekoia(attributes=())).keys()


def test_event_format_object() -> None:
    """`event_format="object"` makes the event an object."""
    assert {"message": "hello", "user": "ada"} == body_of(humio(event_format="object", attributes=()))["event"]


@BOTH
def test_redact(make: Callable[..., Handler]) -> None:
    """A name in `redact`, in any case, hides its value."""
    assert "ada" not in json.dumps(body_of(make(redact=["USER"])))


@BOTH
@each(("level", "number"), [("ERROR", 40), (30, 30), ("30", 30), (logging.NOTSET, 0)])
def test_level(make: Callable[..., Handler], level: Any, number: int) -> None:
    """A level by its name or number, as everywhere in logging."""
    assert number == make(level=level).level


def test_auth_scheme() -> None:
    """`Bearer` is Humio's; `Splunk` is what other HEC servers want."""
    for options, scheme in (({}, "Bearer"), ({"auth_scheme": "Splunk"}, "Splunk")):
        assert f"{scheme} {TOKEN}" == humio(**options)._intake.request([b"{}"]).headers["Authorization"]


# ---- bad values


@BOTH
@each("option", ["batch_events", "batch_bytes", "buffer_events", "buffer_bytes"])
@each("value", [0, -1, 1.5, "many", True, None, math.nan], ids=repr)
def test_sizes_are_whole_numbers_of_at_least_one(make: Callable[..., Handler], option: str, value: Any) -> None:
    """Nothing, less than nothing, and what is no whole number is refused by name."""
    with refused(option):
        make(**{option: value})


@BOTH
@each("option", ["flush_interval", "close_timeout", "retry_wait_max", "timeout", "retry_for"])
@each("value", [-1, -0.1, math.nan, math.inf, -math.inf, "soon", True, [], 10**400], ids=lambda value: repr(value)[:9])
def test_seconds_are_finite_and_not_negative(make: Callable[..., Handler], option: str, value: Any) -> None:
    """NaN seconds, eternity, the past and what is no number is refused by name."""
    with refused(option):
        make(**{option: value})


@each("option", ["flush_interval", "close_timeout", "retry_wait_max", "timeout"])
def test_no_longer_than_a_thread_can_wait(option: str) -> None:
    """A wait longer than the operating system can do would raise in our threads, later."""
    with refused(option):
        humio(**{option: 1e300})


@pytest.mark.parametrize("option", ["timeout", "retry_wait_max"])
def test_waits_that_must_not_be_nothing(option: str) -> None:
    """No time for a request, or none between attempts, would be a mistake and a nuisance to the intake."""
    with refused(option):
        humio(**{option: 0})


@BOTH
@each(
    ("option", "value"),
    [
        ("flush_level", "LOUD"),
        ("flush_level", None),
        ("flush_level", 1.5),
        ("level", "LOUD"),
        ("level", None),
        ("level", True),
        ("overflow", "drop"),
        ("overflow", None),
        ("compression", "zstd"),
        ("compression", True),
        ("timeout", None),
        ("timeout", (1, 2, 3)),
        ("timeout", (1, "2")),
        ("timeout", (1, 0)),
        ("verify", "/no/such/bundle.pem"),
        ("verify", None),
        ("verify", 1),
        ("cert", "/no/such/cert.pem"),
        ("cert", (__file__, "/no/such/key.pem")),
        ("cert", 7),
        ("proxies", "http://proxy:3128"),
        ("proxies", {"https": "proxy:3128"}),
        ("proxies", {"https": 3128}),
        ("headers", "X-Team: shop"),
        ("headers", {"X Team": "shop"}),
        ("headers", {"X-Team": "shop\r\nX-Evil: 1"}),
        ("headers", {"X-Team": 7}),
        ("headers", {"authorization": "Basic eA=="}),
        ("headers", {"Content-Type": "text/plain"}),
        ("headers", {7: "x"}),
        ("endpoint", "/elsewhere"),
        ("endpoint", None),
        ("attributes", "levelname"),
        ("attributes", None),
        ("attributes", [7]),
        ("attributes", [""]),
        ("redact", "password"),
        ("redact", [None]),
        ("fields", ["team"]),
        ("fields", {"team": ["a"]}),
        ("fields", {"team": None}),
        ("fields", {"team": math.nan}),
        ("fields", {"team": 2**64}),
        ("fields", {"team": 10**400}),
        ("fields", {"team": "x\udcff"}),
        ("fields", {"": "x"}),
        ("fields", {7: "x"}),
    ],
    ids=lambda value: "10**400" if value == {"team": 10**400} else "file" if __file__ in str(value) else None,
)
def test_a_bad_value_is_told_by_name(make: Callable[..., Handler], option: str, value: Any) -> None:
    """What could not work is refused when the handler is made, and the message names the parameter."""
    with refused(option):
        make(**{option: value})


@each(
    ("option", "value"),
    [
        *[
            (name, value)
            for name in ("host", "source", "sourcetype", "index", "timezone")
            for value in ("", " ", 7, "\udcff")
        ],
        ("auth_scheme", "Basic"),
        ("auth_scheme", None),
        ("event_format", "json"),
        ("event_format", None),
        ("tags", "env"),
        ("tags", {"env": None}),
        ("tags", {"env": {"a": 1}}),
        ("tags", {"#": "x"}),
        ("tags", {"n": 2**64}),
        ("tag_attributes", "level"),
        ("tag_attributes", [7]),
    ],
)
def test_a_bad_value_of_humio_s_is_told_by_name(option: str, value: Any) -> None:
    """The parameters that Humio has alone are checked as strictly."""
    with refused(option):
        humio(**{option: value})


@BOTH
def test_an_unknown_option_is_refused_with_the_known_ones(make: Callable[..., Handler]) -> None:
    """A misspelt option must not be ignored in silence."""
    with refused("batch_size", "batch_events"):
        make(batch_size=10)


def test_the_single_endpoint_takes_no_batches() -> None:
    """SEKOIA.IO's `/` takes one event a request; asking it for more is a mistake."""
    assert 1 == sekoia(endpoint="/")._options.batch_events
    with refused("batch_events"):
        sekoia(endpoint="/", batch_events=2)


def test_it_is_told_at_the_caller_s_line() -> None:
    """A wrong keyword is not a TypeError from the depths but a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        HumioHECHandler(token=TOKEN, nonsense=1)  # type: ignore[call-arg]


# ---- tokens

SECRETS = pytest.mark.parametrize(
    ("kind", "parameter", "variable"),
    [(HumioHECHandler, "token", "HUMIO_INGEST_TOKEN"), (SekoiaHandler, "intake_key", "SEKOIA_INTAKE_KEY")],
)


@SECRETS
@each("value", [None, "", "  \n"], ids=repr)
def test_no_token_names_parameter_and_variable(kind: Any, parameter: str, variable: str, value: Any) -> None:
    """The message says both ways to give the token."""
    with refused(parameter, variable):
        kind(**{parameter: value})


@SECRETS
def test_the_token_may_come_from_the_environment(
    kind: Any, parameter: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is used where no argument is given, and white space around it goes."""
    monkeypatch.setenv(variable, f"  {TOKEN}\n")
    assert [TOKEN] == list(kind()._intake.secrets)
    assert ["other"] == list(kind(**{parameter: "other"})._intake.secrets)


@SECRETS
@each("value", [f"{TOKEN}\n", f"\t{TOKEN}\r\n", f" {TOKEN} "], ids=repr)
def test_white_space_around_a_token_is_stripped(kind: Any, parameter: str, variable: str, value: str) -> None:
    """A mounted Kubernetes secret ends with a newline; it is no part of the token."""
    assert [TOKEN] == list(kind(**{parameter: value})._intake.secrets)


@SECRETS
@each(
    "value",
    [f"{TOKEN}\n{TOKEN}", f"{TOKEN} {TOKEN}", f"{TOKEN}\0", f"é{TOKEN}", f"{TOKEN}\u200b", f"{TOKEN}\udcff"],
    ids=ascii,
)
def test_a_token_that_no_header_can_hold_is_refused_unseen(
    kind: Any, parameter: str, variable: str, value: str
) -> None:
    """An inner newline or a letter that is not ASCII: refused, and not shown (six peers printed it)."""
    with refused(parameter):
        kind(**{parameter: value})


@SECRETS
@each("value", [7, TOKEN.encode(), [TOKEN]], ids=["int", "bytes", "list"])
def test_a_token_is_text(kind: Any, parameter: str, variable: str, value: Any) -> None:
    """A token of another type is refused, and not shown either."""
    with refused(parameter):
        kind(**{parameter: value})


def test_swapped_arguments_do_not_show_the_token() -> None:
    """The two handlers take URL and token in opposite order; whoever mixes them up sees no token in the error."""
    with refused("url"):
        HumioHECHandler(TOKEN, "https://cloud.humio.com")
    with refused("url"):
        SekoiaHandler("https://intake.sekoia.io", TOKEN)


# ---- URLs


@each(
    ("url", "endpoint", "expected"),
    [
        (None, HEC, "https://cloud.humio.com/api/v1/ingest/hec"),
        ("https://logs.example.com", HEC, "https://logs.example.com/api/v1/ingest/hec"),
        ("https://logs.example.com/", HEC, "https://logs.example.com/api/v1/ingest/hec"),
        ("https://logs.example.com//", HEC, "https://logs.example.com/api/v1/ingest/hec"),
        (" https://logs.example.com\n", HEC, "https://logs.example.com/api/v1/ingest/hec"),
        ("https://logs.example.com:8088", COLLECTOR, "https://logs.example.com:8088/services/collector"),
        ("https://logs.example.com/humio", HEC, "https://logs.example.com/humio/api/v1/ingest/hec"),
        ("https://logs.example.com/humio/", HEC, "https://logs.example.com/humio/api/v1/ingest/hec"),
        ("https://logs.example.com/api/v1/ingest/hec", HEC, "https://logs.example.com/api/v1/ingest/hec"),
        ("https://logs.example.com/api/v1/ingest/hec/", HEC, "https://logs.example.com/api/v1/ingest/hec"),
        ("https://logs.example.com/x/services/collector", COLLECTOR, "https://logs.example.com/x/services/collector"),
        ("https://[::1]:8088/", HEC, "https://[::1]:8088/api/v1/ingest/hec"),
        ("HTTPS://logs.example.com", HEC, "https://logs.example.com/api/v1/ingest/hec"),
    ],
)
def test_humio_addresses(url: str | None, endpoint: str, expected: str) -> None:
    """A prefix is kept, a trailing slash does not matter, and the endpoint is not given twice."""
    assert expected == address(humio(url=url, endpoint=endpoint))


@each(
    ("url", "endpoint", "expected"),
    [
        (None, "/batch", "https://intake.sekoia.io/batch"),
        (None, "/array", "https://intake.sekoia.io/array"),
        (None, "/", "https://intake.sekoia.io/"),
        ("https://intake.sekoia.io/batch", "/batch", "https://intake.sekoia.io/batch"),
        (
            "https://intake.fra2.sekoia.io/api/v1/intake-http",
            "/batch",
            "https://intake.fra2.sekoia.io/api/v1/intake-http/batch",
        ),
        (
            "https://intake.fra2.sekoia.io/api/v1/intake-http/",
            "/array",
            "https://intake.fra2.sekoia.io/api/v1/intake-http/array",
        ),
    ],
)
def test_sekoia_addresses(url: str | None, endpoint: str, expected: str) -> None:
    """The region's prefix is kept."""
    assert expected == address(sekoia(url=url, endpoint=endpoint))


@pytest.mark.parametrize(("make", "variable"), [(humio, "HUMIO_URL"), (sekoia, "SEKOIA_URL")])
def test_the_url_may_come_from_the_environment(
    make: Callable[..., Handler], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is used where no argument is given."""
    monkeypatch.setenv(variable, "https://env.example.com/x/ ")
    assert address(make()).startswith("https://env.example.com/x/")
    assert address(make(url="https://arg.example.com")).startswith("https://arg.example.com/")


@BOTH
@each(
    "url",
    [
        "ftp://logs.example.com",
        "logs.example.com",
        "//logs.example.com",
        "https://",
        "https:///path",
        "https://:443",
        "https://logs.example.com:port",
        "https://logs.example.com:99999",
        "https://[::1",
        "https://logs example.com",
        "https://logs.example.com/?x=1",
        "https://logs.example.com/#x",
        7,
        b"https://logs.example.com",
    ],
)
def test_what_is_no_address_is_refused(make: Callable[..., Handler], url: Any) -> None:
    """Only http and https, with a host, and nothing behind the path."""
    with refused("url"):
        make(url=url)


@BOTH
@each("url", ["https://user:pass-word@logs.example.com", "http://user@logs.example.com", "user:pass-word@logs"])
def test_credentials_in_a_url_are_refused_unseen(make: Callable[..., Handler], url: str) -> None:
    """A URL is shown in logs: it is no place for a password, nor is the error."""
    with pytest.raises(ConfigurationError, match="url") as caught:
        make(url=url)
    assert "pass-word" not in str(caught.value)


# ---- in clear


@BOTH
def test_http_to_another_host_warns_once_at_the_caller_s_line(make: Callable[..., Handler]) -> None:
    """A token in clear over a network is worth one warning: it names the host, and never the token."""
    kind, secret = (HumioHECHandler, "token") if make is humio else (SekoiaHandler, "intake_key")
    options: Any = {"url": "http://logs.example.com:8080", secret: TOKEN}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        kind(**options)
        kind(**options)
    [warning] = caught
    assert (UserWarning, __file__, line) == (warning.category, warning.filename, warning.lineno)
    assert "logs.example.com" in str(warning.message)
    assert TOKEN not in str(warning.message)


@BOTH
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.8.8",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://[::1]:8080",
        "http://logs.localhost",
        "https://logs.example.com",
    ],
)
def test_loopback_and_https_do_not_warn(make: Callable[..., Handler], url: str) -> None:
    """Nothing travels in clear over any network there."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(url=url)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7", "http://localhost.example.com", "http://[2001:db8::1]", "http://127.0.0.1.nip.io"]
)
def test_what_only_looks_like_loopback_warns(url: str) -> None:
    """A private network is a network."""
    with pytest.warns(UserWarning, match="clear"):
        humio(url=url)


# ---- dictConfig


def test_dict_config_takes_plain_values() -> None:
    """Everything can be said in JSON: dictConfig passes it on as keyword arguments."""
    said = json.loads(
        """{"class": "loghttp.HumioHECHandler", "token": "made-up", "url": "https://logs.example.com",
            "level": "WARNING", "tags": {"env": "prod"}, "tag_attributes": ["levelname"], "fields": {"team": "a"},
            "attributes": ["logger"],
            "redact": ["password"], "event_format": "string", "batch_events": 10, "flush_interval": 0.5,
            "flush_level": "ERROR", "timeout": [5, 30], "compression": null, "overflow": "drop_newest", "verify": true,
            "headers": {"X-Team": "a"}, "proxies": null, "cert": null, "retry_for": null, "close_timeout": 1}"""
    )
    configuration: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"intake": said},
        "loggers": {"tests.configuration": {"handlers": ["intake"]}},
    }
    logging.config.dictConfig(configuration)
    logger = logging.getLogger("tests.configuration")
    [handler] = logger.handlers
    logger.removeHandler(handler)
    assert isinstance(handler, HumioHECHandler)
    assert (logging.WARNING, 10, (5.0, 30.0)) == (
        handler.level,
        handler._options.batch_events,
        handler._options.timeout,
    )


# ---- secrets


@BOTH
def test_no_repr_shows_a_secret(make: Callable[..., Handler]) -> None:
    """Handler, options, intake, request and reader: whatever a log line or a traceback shows of them."""
    handler = make(
        proxies={"https": "http://user:pass-word@proxy:3128"}, headers={"X-Api-Key": "pass-word"}, cert=__file__
    )
    request = handler._intake.request([handler._intake.shape(handler._reader.read(a_record()))])
    shown = "".join(
        map(repr, (handler, handler._options, handler._intake, request, handler._reader, handler._line, Secret(TOKEN)))
    )
    assert TOKEN not in shown
    assert "pass-word" not in shown
    assert str(Secret(TOKEN)) == repr(Secret(TOKEN))


@BOTH
def test_the_repr_says_what_and_where(make: Callable[..., Handler]) -> None:
    """The repr of a handler names its class, its address and its level."""
    handler = make(level="WARNING")
    assert f"<{type(handler).__name__} {address(handler)} (WARNING)>" == repr(handler)


def test_a_secret_is_not_pickled() -> None:
    """A pickled handler configuration must not carry the token to a file."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TOKEN))


def test_a_traceback_that_shows_local_variables_shows_no_token() -> None:
    """Sentry, rich and pytest show the local variables of each frame: the constructor's hold no token by then."""
    with pytest.raises(ConfigurationError) as caught:
        HumioHECHandler(token=TOKEN, batch_events=0)
    frame, inside = caught.tb, []
    while frame is not None:
        if str(frame.tb_frame.f_globals["__name__"]).startswith("loghttp"):
            inside += [repr(value) for name, value in frame.tb_frame.f_locals.items() if name != "self"]
        frame = frame.tb_next
    assert inside
    assert [] == [value for value in inside if TOKEN in value]


def test_the_public_names_are_at_the_top() -> None:
    """`from loghttp import ConfigurationError, HumioHECHandler, SekoiaHandler, Stats`."""
    assert (ConfigurationError, HumioHECHandler, SekoiaHandler) == (
        loghttp.ConfigurationError,
        loghttp.HumioHECHandler,
        loghttp.SekoiaHandler,
    )
