"""`loghttp spool DIR --purge`: removes what dead owners have left, when somebody has agreed.

Rule: a file is removed by its owner only, so it is adopted first; one that somebody alive owns cannot be.
"""

from __future__ import annotations

import sqlite3

import click

from loghttp._spool_file import SpoolFile
from loghttp._spool_paths import NotOurs, remove
from loghttp.cli._output import count
from loghttp.cli._spool_folder import File, Folder


def purge(folder: Folder, yes: bool) -> bool:
    dead = [file for file in folder.readable if file.owner in ("dead", "none")]
    living = [file for file in folder.files if file.owner == "alive"]
    if living:
        click.echo(f"Not touched: {count(len(living), 'file')} of living processes.", err=True)
    if not dead:
        click.echo("No dead process has left a file: nothing to remove.")
        return True
    if not yes:
        what = _what(sum(file.events for file in dead), sum(file.dead_letters for file in dead))
        for url in sorted({file.url for file in dead}):
            click.echo(f"  {count(sum(file.events for file in dead if file.url == url), 'event')} for {url}", err=True)
        question = f"Remove {what} of {count(len(dead), 'file')} for good?"
        try:
            agreed = click.confirm(question, err=True)
        except click.Abort:
            click.echo(err=True)
            agreed = False
        if not agreed:
            click.echo("Nothing was removed.")
            return False
    return _remove(dead)


def _remove(dead: list[File]) -> bool:
    events, refused, files = 0, 0, 0
    kept: list[str] = []
    for file in dead:
        try:
            ours = SpoolFile.adopt(file.path, fsync=False)
        except NotOurs:  # since we looked; its new owner delivers it
            kept.append(f"{file.name}: a living process has taken it over")
            continue
        except (sqlite3.Error, OSError) as error:
            kept.append(f"{file.name}: {error}")
            continue
        try:
            letters = len(ours.dead_letters())
            remove(file.path)
            events, refused, files = events + ours.count, refused + letters, files + 1
        except OSError as error:
            kept.append(f"{file.name}: {error}")
        finally:
            ours.close()
    click.echo(f"Removed {_what(events, refused)} of {count(files, 'file')}.")
    for line in kept:
        click.echo(f"Not removed: {line}", err=True)
    return not kept


def _what(events: int, refused: int) -> str:
    """How much: `12 events`, `12 events and 1 refused event`."""
    return count(events, "event") + (f" and {count(refused, 'refused event')}" if refused else "")
