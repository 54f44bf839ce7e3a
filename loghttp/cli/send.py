"""`loghttp send`: ships the lines of files, or of stdin, through the real handlers.

Rule: status 0 says that everything is delivered, and nothing else does. The books that are printed are the handler's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import click

from loghttp._spool import fingerprint
from loghttp.cli import _destination
from loghttp.cli._output import heard, say, tell
from loghttp.cli._send_parse import ATTRIBUTES
from loghttp.cli._send_position import Busy, Positions
from loghttp.cli._send_report import Report
from loghttp.cli._send_run import Progress, Shipment, Stop, tell_of_keyboard
from loghttp.cli._spool_folder import File, look

_GIVE_UP: Final = 300.0
_CLOSE_SECONDS: Final = 5.0  # for the reply to the request in hand; without it, its events could go twice


@click.command(short_help="Ship the lines of files, or of stdin.")
@click.argument("intake", type=click.Choice(list(_destination.NAMES)), metavar="humio|sekoia")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(allow_dash=True))
@_destination.options
@click.option("--source", metavar="TEXT", help="Humio: @source of the events.")
@click.option("--sourcetype", metavar="TEXT", help="Humio: #type, the parser.")
@click.option("--host", metavar="TEXT", help="Humio: @host.  [default: this machine's name]")
@click.option("--index", metavar="TEXT", help="Humio: the repository.")
@click.option("--tag", metavar="NAME=VALUE", multiple=True, help="Humio: a tag on all events; may be repeated.")
@click.option("--field", metavar="NAME=VALUE", multiple=True, help="A field on all events; may be repeated.")
@click.option("--text", "text_only", is_flag=True, help="Take lines of JSON as text, too.")
@click.option(
    "--spool", metavar="DIR", type=click.Path(path_type=Path), help="Keep events and positions in DIR until delivered."
)
@click.option(
    "--give-up",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=_GIVE_UP,
    help="End when the intake has taken nothing for so long.  [default: 300]",
)
@click.option("--quiet", is_flag=True, help="Say nothing when everything was delivered; for cron.")
@click.option("--json", "as_json", is_flag=True, help="Print the books as one JSON document, for programs.")
def send(
    intake: str,
    files: tuple[str, ...],
    spool: Path | None,
    text_only: bool,
    give_up: float,
    quiet: bool,
    as_json: bool,
    tag: tuple[str, ...],
    field: tuple[str, ...],
    **given: Any,
) -> None:
    """Ship the lines of each FILE, or of stdin, as events.

    A line of text is sent as it is; a time (2026-01-31T12:00:00Z) at its start, and a level (ERROR) there or soon after
    the time, are recognised. A line that is a JSON object becomes a message with fields. Taken from the first that is
    there are its

    \b
      time     @timestamp, timestamp, time, ts, datetime, asctime, created
      level    level, severity, levelname, log.level, loglevel, lvl
      message  message, msg, event, short_message, log

    A time without a zone is this machine's. The fields `file` and `offset` say where the line stands: they keep the
    order of lines of one time, and tell an event that came twice.

    Blank lines are left out, and NUL bytes at both ends of a line. Bytes that are no UTF-8 stay readable (\\xff). A
    line of more than 1 MiB is cut and marked with loghttp_cut. A last line without a newline is sent as it is.

    With --spool, the same command goes on where it was stopped, by Ctrl-C, a crash or an outage, and sends only what is
    new in a FILE that grows or is rotated. Ctrl-C sends nothing twice, unless a reply takes more than five seconds. A
    crash (kill -9) loses nothing of a FILE; it can repeat the last 1,000 lines, and a batch whose reply was not yet
    there. Of stdin, what was read and is not yet on disk is lost in a crash: at most 1,000 lines.

    \b
    For example:
      $ app 2>&1 | loghttp send humio --source app
      $ loghttp send sekoia --spool /var/spool/send --quiet /var/log/app.log

    \b
    Exit status:
      0    everything was read and delivered
      1    something was not; the last lines say what
      2    the command was not understood, or a token is missing
      130  stopped by Ctrl-C; 143 by SIGTERM
    """
    names = files or ("-",)
    if names.count("-") > 1 or ("-" in names and given["token_file"] == "-"):  # noqa: S105  stdin
        raise click.UsageError("stdin can be read only once.")
    own = {name: given.pop(name) for name in ("source", "sourcetype", "host", "index")}
    before = _look(spool)
    handler, warned = _destination.handler(
        intake,
        **given,
        **_own_options(intake, {**own, "tags": _pairs("--tag", tag)}),
        fields=_pairs("--field", field),
        attributes=ATTRIBUTES,
        overflow="block",
        close_timeout=_CLOSE_SECONDS,
        spool_dir=spool,
    )
    for warning in warned:
        say(f"Note: {warning}")
    url, digest = handler._intake.url, fingerprint(handler._intake.url, handler._intake.secrets)
    began, stop = time.monotonic(), Stop(give_up)
    try:
        with _positions(spool, url) as positions, _bar(quiet) as (show, say_above), heard(say_above):
            backlog = sum(file.events for file in before if file.digest == digest and file.owner == "dead")
            tell_of_keyboard(names)
            shipment = Shipment(handler, stop, show, positions=positions, text_only=text_only, backlog=backlog)
            shipment.run(names)
    finally:
        handler.close()
    report = Report(
        url=url,
        sources=shipment.sources,
        stats=handler.stats(),
        seconds=time.monotonic() - began,
        signal=stop.signal,
        gave_up=stop.gave_up,
        spool=str(spool or ""),
        left=sum(file.events for file in _look(spool) if file.digest == digest and _is_ours(file)),
    )
    _tell(report, quiet, as_json)
    click.get_current_context().exit(report.status)


def _own_options(intake: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options that only Humio has."""
    options = {name: value for name, value in given.items() if value}
    if options and intake != "humio":
        name = next(iter(options)).replace("tags", "tag")
        raise click.UsageError(f"--{name} goes with humio.")
    return options


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for given in texts:
        name, equals, value = given.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{option} {given}: give a name and a value, as in {option} env=prod.")
        pairs[name] = value
    return pairs


def _look(spool: Path | None) -> tuple[File, ...]:
    """The spool files that are there; none where there is no folder yet."""
    with suppress(OSError):
        return look(spool).files if spool else ()
    return ()


def _is_ours(file: File) -> bool:
    """Whether nobody else, who lives, will deliver it."""
    return file.owner != "alive" or file.pid == os.getpid()


@contextmanager
def _positions(spool: Path | None, url: str) -> Iterator[Positions | None]:
    if spool is None:
        yield None
        return
    try:
        positions = Positions(spool, url)
    except Busy:
        raise click.ClickException(f"another `loghttp send` is at work with {spool}; one at a time.") from None
    except OSError as error:
        raise click.ClickException(f"--spool: {spool}: {error.strerror}.") from None
    try:
        yield positions
    finally:
        positions.close()


@contextmanager
def _bar(quiet: bool) -> Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    """A bar where somebody watches; elsewhere only what is said is shown."""
    if sys.stderr.isatty() and not quiet:
        from loghttp.cli import _send_page  # noqa: PLC0415 - it imports rich, which a pipe needs not wait for

        with _send_page.bar() as both:
            yield both
    else:
        yield _no_bar, say


def _no_bar(_: Progress) -> None:
    """Nobody watches."""


def _tell(report: Report, quiet: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    elif not (quiet and report.fine):
        tell(report.lines())
