"""`loghttp serve`: an intake for development, with a live page of what arrives.

A `LocalIntake` takes the place of Humio and of SEKOIA.IO. It has a port of its own, so that it can be really down
while the page stays up.
"""

from __future__ import annotations

import errno
import os
import secrets
import signal
import socket
import sys
import textwrap
import urllib.request
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any, Final

import click

from loghttp import DEFAULT_ATTRIBUTES
from loghttp.cli._output import count
from loghttp.cli._serve_http import PageServer, Site
from loghttp.cli._serve_intake import ServedIntake
from loghttp.cli._serve_store import Store

_TOKEN: Final = "dev-token"  # noqa: S105 - on loopback it keeps nobody out, it stands where yours will
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_SHORTEST_TOKEN: Final = 8  # characters, where others can try


@click.command()
@click.option("--port", default=8088, show_default=True, metavar="PORT", type=click.IntRange(0, 65534))
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is all, and :: with IPv6."
)
@click.option(
    "--token",
    envvar="LOGHTTP_SERVE_TOKEN",
    help="What page and intake demand.  [default: the page none, the intake dev-token]",
)
@click.option("--open/--no-open", "open_browser", default=False, help="Open the page in a browser.  [default: no]")
@click.option(
    "--max-events",
    default=20_000,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 200_000),
    help="Most that are kept; the oldest give way.",
)
def serve(port: int, host: str, token: str | None, open_browser: bool, max_events: int) -> None:
    """Take logs on this machine, and show them on a live page.

    For development: point your program here, and see in the browser what would be in Humio or SEKOIA.IO, event by
    event, as it arrives. The intake is strict: what a real one would refuse it refuses, and the page says why. A switch
    makes it fail (503, 429, slow, down), so you see what your program does then. Nothing is written to disk.

    The page is at PORT, the intake at the next one; with --port 0, both take a free one. Ctrl-C ends it.

    Nothing leaves your machine. Under another --host than loopback, others can reach it: the page then demands the
    token, one is made up unless you give it (--token or LOGHTTP_SERVE_TOKEN), and all of it is plain HTTP.

    \b
    For example:
      $ loghttp serve --open &
      $ export HUMIO_URL=http://127.0.0.1:8089 HUMIO_INGEST_TOKEN=dev-token
      $ python -c 'import logging, loghttp
      > logging.getLogger().addHandler(loghttp.HumioHECHandler())
      > logging.warning("disk %s is almost full", "sda1", extra={"percent": 91})'
    """
    demanded = _demanded(token, host in _LOOPBACK)
    store = Store(max_events)
    with _ended_by_signals(), running(host, (port, port and port + 1), demanded, store) as page:
        name = socket.gethostname() if host in _EVERYWHERE else host
        url = f"http://{_in_url(name)}:{page.server_port}/" + (f"?token={demanded}" if demanded else "")
        _tell(url, page.site.about(name))
        if open_browser and not webbrowser.open(url):
            click.echo("No browser could be opened from here.", err=True)
        Event().wait()  # until a signal
    click.echo(_summary(store.totals))


@contextmanager
def running(host: str, ports: tuple[int, int], token: str | None, store: Store) -> Iterator[PageServer]:
    """The page and its intake on `host` and the two `ports`, 0 being free ones; both demand `token` if there is one."""
    intake = ServedIntake(host, ports[1], token or _TOKEN, store)

    def about(name: str) -> dict[str, Any]:
        intake_port = intake.intake.url.rpartition(":")[2]
        return about_intake(f"http://{_in_url(name)}:{intake_port}", token or _TOKEN, store.most_events)

    with _ports(ports[0]):
        page = PageServer(host, ports[0], Site(store, intake, about, token))
        try:
            intake.start()
        except OSError:
            page.stop()
            raise
    page.start()
    try:
        yield page
    finally:
        page.stop()
        intake.stop()


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name  # an IPv6 address


def about_intake(url: str, token: str, max_events: int) -> dict[str, Any]:
    """What the page and the terminal say of the intake: where it is, and what to copy into a program."""
    # This machine's proxy, if it has one, cannot reach the machine's own addresses.
    proxies = f'\n{" " * 20}"proxies": {{}},' if urllib.request.getproxies().keys() & {"http", "all"} else ""
    environment = f"""\
        export HUMIO_URL={url} HUMIO_INGEST_TOKEN={token}
        export SEKOIA_URL={url} SEKOIA_INTAKE_KEY={token}
        """
    settings = f"""\
        LOGGING = {{
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {{
                "humio": {{
                    "class": "loghttp.HumioHECHandler",
                    "url": "{url}",
                    "token": "{token}",{proxies}
                }},
            }},
            "root": {{"level": "INFO", "handlers": ["humio"]}},
        }}
        """
    curl = f"""\
        curl {url}/api/v1/ingest/hec -H 'Authorization: Bearer {token}' \\
          -H 'Content-Type: application/json' -d '{{"event": "hello", "fields": {{"#env": "dev"}}}}'
        """
    snippets = {"LOGGING": settings, "Environment": environment, "curl": curl}
    return {
        "intake": url,
        "token": token,
        "max_events": max_events,
        "attributes": DEFAULT_ATTRIBUTES,  # what each record has; the rest is what somebody wrote into it
        "snippets": {title: textwrap.dedent(text).rstrip() for title, text in snippets.items()},
    }


def _demanded(token: str | None, on_loopback: bool) -> str | None:
    """The token that the page demands; None: it demands none."""
    if token is None:
        return None if on_loopback else secrets.token_urlsafe(16)
    if not (token.isascii() and token.isprintable()) or set(token) & set(" \"'\\;&#%+") or not token:
        raise click.UsageError("--token must be of letters, digits and signs that need no quotes in a URL or a shell.")
    if not on_loopback and len(token) < _SHORTEST_TOKEN:
        raise click.UsageError(f"--token must have at least {_SHORTEST_TOKEN} characters where others can try it.")
    return token


@contextmanager
def _ports(port: int) -> Iterator[None]:
    """Say what is wrong with an address that cannot be listened on, and what to do."""
    try:
        yield
    except OSError as error:
        cure = ""
        if error.errno == errno.EADDRINUSE:
            cure = f" It needs {port} and {port + 1}: try --port {port + 10 if port < 65_000 else 8088}, or --port 0."
        raise click.ClickException(f"cannot listen there: {error.strerror or error}.{cure}") from None


class _Ended(BaseException):
    """A signal asks to end. Not an Exception, so that nothing takes it for an error on its way."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End what is within at Ctrl-C and SIGTERM, in good order; another signal on the way out changes nothing."""
    wanted = (signal.SIGINT, signal.SIGTERM)

    def end(*_: object) -> None:
        for number in wanted:
            signal.signal(number, signal.SIG_IGN)
        raise _Ended

    before = {number: signal.signal(number, end) for number in wanted}
    try:
        yield
    except _Ended:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(url: str, about: Mapping[str, Any]) -> None:
    """The address of the page, and what to copy; colours only where a person reads."""
    style = click.style if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else _plain
    where = f"The intake is at {about['intake']}; its token, and its intake key, is {about['token']}"
    click.echo(f"{style('loghttp serve', bold=True)}: open {style(url, fg='cyan', bold=True)}   (Ctrl-C ends it)\n")
    click.echo(f"{where}\n")
    for title, text in about["snippets"].items():
        click.echo(f"{style(title, bold=True)}\n\n{textwrap.indent(text, '    ')}\n")


def _plain(text: str, **_: Any) -> str:
    return text


def _summary(totals: dict[str, int]) -> str:
    came = f"{count(totals['events'], 'event')} came in {count(totals['requests'], 'request')}"
    return f"{came}; {totals['refused']:,} refused."
