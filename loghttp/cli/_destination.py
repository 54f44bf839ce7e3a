"""Where `check` and `send` deliver to: the options that both have, and the handler that these make.

Rule: a token is never an argument, for arguments show in `ps`, in the shell's history and in cron's mails. It
comes from the environment, or from a file.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from loghttp import ConfigurationError, HumioHECHandler, SekoiaHandler
from loghttp.cli._spool_drain import KINDS, Kind

Handler = HumioHECHandler | SekoiaHandler
_Command = TypeVar("_Command", bound=Callable[..., Any])

NAMES: Final[dict[str, Kind]] = dict(zip(("humio", "sekoia"), KINDS, strict=True))
TITLES: Final = {"humio": "Humio", "sekoia": "SEKOIA.IO"}
_WRAPPING: Final = re.compile(r"^\w+: (?:HTTPS?Connection(?:Pool)?\([^)]*\): |\[\w+: \w+\] )?| \(_\w+\.c:\d+\)$")
"""What Python puts around a reason: classes, and places in its own source."""
_TOKEN_MOST: Final = 64 * 1024  # bytes; whoever names a log file by mistake need not wait for all of it

_OPTIONS: Final = (
    click.option("--url", metavar="URL", help="Base URL.  [default: HUMIO_URL or SEKOIA_URL, else the vendor's]"),
    click.option(
        "--token-file",
        metavar="FILE",
        help="Read the token or intake key from FILE; - is stdin.  [default: HUMIO_INGEST_TOKEN or SEKOIA_INTAKE_KEY]",
    ),
    click.option("--endpoint", metavar="PATH", help="As the handler's endpoint, for example /services/collector."),
    click.option("--auth-scheme", type=click.Choice(["Bearer", "Splunk"]), help="Humio only.  [default: Bearer]"),
    click.option(
        "--event-format",
        type=click.Choice(["string", "object"]),
        help="Humio only; some Splunk servers need object.  [default: string]",
    ),
    click.option("--ca", metavar="FILE", help="CA bundle to trust, as the handler's verify."),
    click.option("--cert", metavar="FILE", help="Client certificate and its key, in one PEM file."),
)


def options(command: _Command) -> _Command:
    """Give a command the options of a destination; they arrive by the names that `handler` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def handler(
    name: str,
    *,
    url: str | None,
    token_file: str | None,
    endpoint: str | None,
    auth_scheme: str | None,
    event_format: str | None,
    ca: str | None,
    cert: str | None,
    **more: Any,
) -> tuple[Handler, list[str]]:
    """The handler, made as a program makes it, and the warnings that it gave. What is wrong is a usage error."""
    kind = NAMES[name]
    if (auth_scheme or event_format) and kind.handler is not HumioHECHandler:
        raise click.UsageError(f"{'--auth-scheme' if auth_scheme else '--event-format'} goes with humio.")
    token = _read(token_file) if token_file else os.environ.get(kind.token_variable, "").strip()
    if not token:
        missing = f"{token_file} is empty" if token_file else "no token"
        raise click.UsageError(f"{missing}: set {kind.token_variable}, or give --token-file FILE.")
    given = {"endpoint": endpoint, "auth_scheme": auth_scheme, "event_format": event_format, "verify": ca, "cert": cert}
    more |= {name: value for name, value in given.items() if value is not None}
    more["token" if kind.handler is HumioHECHandler else "intake_key"] = token
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            made = kind.handler(url=url, **more)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None
    return made, [str(warning.message) for warning in caught if warning.category is UserWarning]


def plain(error: str) -> str:
    """A handler's `last_error` in the words that say something to a person."""
    return _WRAPPING.sub("", error)


def _read(token_file: str) -> str:
    try:
        if token_file == "-":  # noqa: S105  no password: stdin
            return sys.stdin.buffer.read(_TOKEN_MOST).decode("ascii", "replace").strip()
        with Path(token_file).open("rb") as file:
            return file.read(_TOKEN_MOST).decode("ascii", "replace").strip()
    except OSError as error:
        raise click.UsageError(f"--token-file: {token_file}: {error.strerror}.") from None
