"""`loghttp demo`: what each intake receives, seen without an account.

A `LocalIntake` takes the place of Humio and of SEKOIA.IO; handlers, settings and requests are the real ones.
"""

from __future__ import annotations

import dataclasses
import json
import logging.config
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

from loghttp import HumioHECHandler, SekoiaHandler
from loghttp.cli import _shop
from loghttp.cli._demo_received import Received, as_text, read_humio, read_sekoia
from loghttp.testing import LocalIntake

NEXT_STEPS: Final = """\
import logging, loghttp
humio = loghttp.HumioHECHandler(tags={"env": "prod"}, redact=["password"])
sekoia = loghttp.SekoiaHandler(redact=["password"])
logging.basicConfig(level=logging.INFO, handlers=[humio, sekoia])
"""
YOUR_TURN: Final = "Your turn, with HUMIO_INGEST_TOKEN and SEKOIA_INTAKE_KEY set"

_FLUSH_SECONDS = 10.0  # loopback takes milliseconds; this is for a machine that is very busy


@click.command(short_help="See what each intake receives, without an account.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
def demo(as_json: bool) -> None:
    """Show what each intake receives, without an account.

    A little shop logs eight records: requests, sign-ins with a password, warnings, an exception. The real handlers send
    them over real HTTP to an intake on this machine that is as strict as Humio and SEKOIA.IO. You see every event as it
    arrived, and each handler's books.

    Nothing leaves your machine and nothing is written to disk.

    \b
    In a terminal   a page to read; NO_COLOR=1 takes the colours away
    In a pipe       plain text, one event a line: loghttp demo | grep WARNING
    With --json     {"humio": {"events": [...], "stats": {...}}, "sekoia": {...}}

    \b
    For example:
      $ loghttp demo
    """
    in_terminal = sys.stdout.isatty() and not as_json
    if in_terminal:  # before anything is sent: rich may be missing
        from loghttp.cli import _demo_page  # noqa: PLC0415 - it imports rich, which a pipe needs not wait for
    everything, arrived = _run()
    if as_json:
        click.echo(json.dumps({received.key: _as_json(received) for received in everything}, indent=2))
    elif in_terminal:
        _demo_page.show(everything, YOUR_TURN, NEXT_STEPS)
    else:
        click.echo(_as_lines(everything))
    if not arrived:
        raise click.ClickException("not every event arrived; the numbers above say which handler is at fault")


def settings(intake: LocalIntake) -> dict[str, Any]:
    """For `dictConfig`, as in a user's program; there, the credentials come from the environment."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "humio": {
                "class": "loghttp.HumioHECHandler",
                "url": intake.url,
                "token": intake.token,
                "sourcetype": "shop",
                "tags": {"env": "prod"},
                "tag_attributes": ["level"],
                "redact": ["password"],
                "proxies": {},  # this machine's proxy, if it has one, cannot reach its 127.0.0.1
            },
            "sekoia": {
                "class": "loghttp.SekoiaHandler",
                "url": intake.url,
                "intake_key": intake.intake_key,
                "redact": ["password"],
                "proxies": {},
            },
        },
        "root": {"level": "INFO", "handlers": ["humio", "sekoia"]},
    }


@contextmanager
def _configured(settings: dict[str, Any]) -> Iterator[None]:
    """Logging as `settings` say; afterwards the handlers are closed, and logging is as Python starts with it."""
    logging.config.dictConfig(settings)
    try:
        yield
    finally:
        bare = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING", "handlers": []}}
        logging.config.dictConfig(bare)


def _run() -> tuple[list[Received], bool]:
    """Play the scene; what each intake received, and whether that is everything."""
    everything, arrived = [], True
    with LocalIntake() as intake, _configured(settings(intake)):
        _shop.open_for_a_moment()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, (HumioHECHandler, SekoiaHandler)):
                arrived &= handler.flush(_FLUSH_SECONDS)
                read = read_humio if isinstance(handler, HumioHECHandler) else read_sekoia
                everything.append(read(intake, handler.stats()))
    return everything, arrived and all(len(received.events) == received.stats.accepted for received in everything)


def _as_json(received: Received) -> dict[str, Any]:
    stats = {field.name: getattr(received.stats, field.name) for field in dataclasses.fields(received.stats)}
    stats["dropped"] = dict(received.stats.dropped)
    stats["last_success"] = received.stats.last_success and received.stats.last_success.isoformat()
    return {"events": [event.document for event in received.events], "stats": stats}


def _as_lines(everything: list[Received]) -> str:
    lines = []
    for received in everything:
        lines += [f"{received.key} {_pairs(event.flat())}" for event in received.events]
    for received in everything:
        stats = received.stats
        numbers = {
            "accepted": stats.accepted,
            "delivered": stats.delivered,
            "pending": stats.pending,
            "dropped": sum(stats.dropped.values()),
            "requests": stats.requests,
            "bytes_sent": stats.bytes_sent,
            "bytes_uncompressed": received.raw_bytes,
        }
        lines.append(f"{received.key} stats {_pairs(numbers)}")
    return "\n".join([*lines, "", f"{YOUR_TURN}:", "", NEXT_STEPS.rstrip()])


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={as_text(value)}" for name, value in values.items())
