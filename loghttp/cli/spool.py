"""`loghttp spool DIR`: what waits in a spool folder, and what can be done with it.

Rule: looking leaves no trace (`_spool_folder`); what delivers is a real handler (`_spool_drain`). Results go to
stdout, all else to stderr. Unlike the other commands, this one knows the spool from within: its files are no
part of the public face.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from loghttp import ConfigurationError
from loghttp.cli import _spool_drain as draining
from loghttp.cli import _spool_text as text
from loghttp.cli._output import count, heard, say, tell
from loghttp.cli._spool_folder import Folder, Row, look, rows
from loghttp.cli._spool_purge import purge as remove_dead
from loghttp.cli._spool_report import Report

_BETWEEN_UPDATES = 200  # events


@click.command(short_help="Show, deliver or take out what waits in a spool folder.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
@click.option("--export", metavar="FILE", help="Write every event to FILE as JSON lines; - is stdout.")
@click.option(
    "--dead-letters", is_flag=True, help="Show the events that the intake refused, and why; or --export them."
)
@click.option("--drain", is_flag=True, help="Deliver now what dead processes have left.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Give up draining after so long.")
@click.option(
    "--auth-scheme",
    type=click.Choice(["Bearer", "Splunk"]),
    help="As in HumioHECHandler, for --drain.  [default: Bearer]",
)
@click.option("--purge", is_flag=True, help="Remove what dead processes have left, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def spool(
    directory: Path,
    as_json: bool,
    export: str | None,
    dead_letters: bool,
    drain: bool,
    timeout: float | None,
    auth_scheme: str | None,
    purge: bool,
    yes: bool,
) -> None:
    """Show what waits in the spool folder DIR, deliver it, or take it out.

    A handler with spool_dir=DIR keeps its events there until the intake has them: one file for each process, which the
    process owns as long as it lives. What a dead process has left is delivered by the next handler that uses the folder
    for the same destination, or by --drain, here and now.

    Looking changes nothing: files of living processes are read, and never touched.

    --drain takes the token from HUMIO_INGEST_TOKEN or SEKOIA_INTAKE_KEY and the destination from the files. It must be
    the token that the events were spooled for. With HUMIO_URL or SEKOIA_URL, it keeps to that destination. Ctrl-C stops
    it and loses nothing.

    \b
    For example, after an outage, when the programs are gone:
      $ export HUMIO_INGEST_TOKEN=...
      $ loghttp spool /var/spool/shop --drain
      1,204 of 1,204 events delivered to https://cloud.humio.com/... (1 request).

    \b
    Exit status:
      0    fine; with --drain: every event for the destination is delivered
      1    something could not be read, delivered or removed, or DIR is not there
      2    the command was not understood, or a token is missing
      130  stopped by Ctrl-C; with --drain: 1, as not all is delivered
    """
    _check_usage(locals())
    try:
        folder = look(directory)
    except OSError as error:
        raise click.ClickException(_sorry(directory, error)) from None
    if export is not None:
        fine = _export(folder, export, dead_letters)
    elif dead_letters:
        fine = _dead_letters(folder, as_json)
    elif drain:
        fine = _drain(folder, timeout, auth_scheme or "Bearer", as_json)
    elif purge:
        fine = remove_dead(folder, yes)
    else:
        fine = _show(folder, as_json)
    if not fine:
        click.get_current_context().exit(1)


def _check_usage(given: dict[str, Any]) -> None:
    def name(option: str) -> str:
        return "--json" if option == "as_json" else "--" + option.replace("_", "-")

    def refuse_both(one: str, others: tuple[str, ...]) -> None:
        for other in others:
            if given[one] not in (None, False) and given[other] not in (None, False):
                raise click.UsageError(f"{name(one)} and {name(other)} exclude each other: give one of them.")

    refuse_both("drain", ("purge", "export", "dead_letters"))
    refuse_both("purge", ("export", "dead_letters", "as_json"))
    refuse_both("export", ("as_json",))
    for option, needed in (("timeout", "drain"), ("auth_scheme", "drain"), ("yes", "purge")):
        if given[option] not in (None, False) and not given[needed]:
            raise click.UsageError(f"{name(option)} goes with {name(needed)}.")
    export, directory = given["export"], given["directory"]
    if export not in (None, "-") and Path(export).resolve().parent == directory.resolve():
        raise click.UsageError("--export: FILE must lie outside of the spool folder.")


def _sorry(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"{path} does not exist."
    if error.errno == errno.ENOTDIR:
        return f"{path} is not a folder."
    return f"{path}: {error.strerror}"


# ---- looking


def _show(folder: Folder, as_json: bool) -> bool:
    now = time.time()
    if as_json:
        click.echo(text.as_json(folder))
    elif not folder.files and not folder.damaged:
        click.echo(f"{folder.path} is empty: nothing waits there.")
    elif sys.stdout.isatty():
        from loghttp.cli import _spool_page  # noqa: PLC0415 - it imports rich, which a pipe needs not wait for

        _spool_page.show(folder, now, _hint(folder))
    else:
        parts = [text.table(folder, now), "\n".join(text.notes(folder)), text.total(folder, now)]
        click.echo("\n\n".join(part for part in parts if part))
    return not folder.of_state("unreadable")


def _hint(folder: Folder) -> str:
    left = sum(file.events for file in folder.files if file.owner == "dead")
    if not left:
        return ""
    return (
        f"What dead owners have left, the next program with this spool_dir delivers."
        f"\nOr, to deliver it now: loghttp spool {folder.path} --drain"
    )


def _dead_letters(folder: Folder, as_json: bool) -> bool:
    found = _Rows(folder, dead_letters=True)
    if as_json:
        click.echo(text.dumps([json.loads(row.as_json()) for row in found]))
    elif not folder.dead_letters:
        click.echo("No refused events.")
    elif sys.stdout.isatty():
        from loghttp.cli import _spool_page  # noqa: PLC0415 - see above

        _spool_page.show_refused(found)
    else:
        for row in found:
            click.echo(text.refusal(row))
    found.tell()
    return found.complete


class _Rows:
    """What waits in all files of a folder, and whether that was everything."""

    def __init__(self, folder: Folder, *, dead_letters: bool) -> None:
        self._folder = folder
        self._dead_letters = dead_letters
        self._unread = [f"{file.name}: {file.trouble}" for file in folder.files if file.state != "readable"]
        self.files = 0

    @property
    def complete(self) -> bool:
        return not self._unread

    def __iter__(self) -> Iterator[Row]:
        for file in self._folder.readable:
            number = 0
            try:
                for row in rows(file, dead_letters=self._dead_letters):
                    number += 1
                    yield row
            except (sqlite3.Error, OSError) as error:
                self._unread.append(f"{file.name}: {error}")
            self.files += number > 0

    def tell(self) -> None:
        for line in self._unread:
            click.echo(f"Not read: {line}", err=True)


def _export(folder: Folder, target: str, dead_letters: bool) -> bool:
    total = folder.dead_letters if dead_letters else folder.events
    found, number = _Rows(folder, dead_letters=dead_letters), 0
    try:
        with _output(target) as output, _bar("exporting", total) as (update, _):
            for number, row in enumerate(found, start=1):
                output.write(row.as_json() + b"\n")
                if number % _BETWEEN_UPDATES == 0:
                    update(number, max(total, number))
            output.flush()
    except BrokenPipeError:
        raise  # `| head`: click ends in silence
    except OSError as error:
        raise click.ClickException(f"{target}: {error.strerror}") from None
    noun = "refused event" if dead_letters else "event"
    where = "" if target == "-" else f" to {target}"
    click.echo(f"{count(number, noun)} of {count(found.files, 'file')} written{where}.", err=target == "-")
    found.tell()
    return found.complete


@contextmanager
def _output(target: str) -> Iterator[IO[bytes]]:
    if target == "-":
        yield sys.stdout.buffer
        return
    # For the owner's eyes only, as the spool is.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        yield output


@contextmanager
def _bar(what: str, total: int) -> Iterator[tuple[draining.Tell, Callable[[str], None]]]:
    """A bar where somebody watches; elsewhere, only what is said is shown."""
    if sys.stderr.isatty():
        from loghttp.cli import _spool_page  # noqa: PLC0415 - see above

        with _spool_page.bar(what, total) as both:
            yield both
    else:
        yield _no_bar, say


def _no_bar(done: int, of: int) -> None:
    """Nobody watches."""


# ---- delivering


def _drain(folder: Folder, timeout: float | None, auth_scheme: str, as_json: bool) -> bool:
    try:
        targets, elsewhere = draining.plan(folder)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    if not targets and elsewhere and all(other.token_missing for other in elsewhere):
        reasons = sorted({other.reason for other in elsewhere})
        raise click.UsageError(f"--drain needs the token that the events were spooled for: {', '.join(reasons)}.")
    to_adopt = sum(target.to_adopt for target in targets)
    outcomes: list[draining.Outcome] = []
    why = ""
    if to_adopt:
        with _bar("delivering", to_adopt) as (update, say_above), heard(say_above):
            outcomes, why = draining.deliver(
                folder.path, targets, auth_scheme=auth_scheme, timeout=timeout, tell=update
            )
    report = Report(targets, outcomes, elsewhere, look(folder.path))
    if as_json:
        click.echo(text.dumps(report.as_json()))
    else:
        tell([why, *report.lines()] if why else list(report.lines()))
    return report.fine
