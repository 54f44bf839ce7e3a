"""What `loghttp spool` says, as plain text and as JSON: words that the page for the terminal uses, too. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from loghttp._stats import iso
from loghttp._verdict import visible
from loghttp.cli._output import age, count, size
from loghttp.cli._spool_folder import File, Folder, Row

_COLUMNS: Final = ("FILE", "PID", "OWNER", "EVENTS", "BYTES", "OLDEST", "REFUSED", "DESTINATION")
_TO_THE_LEFT: Final = {"FILE", "OWNER", "DESTINATION"}


def total(folder: Folder, now: float) -> str:
    """All of it in one sentence."""
    oldest = min((file.oldest for file in folder.files if file.oldest is not None), default=None)
    bytes_ = sum(file.bytes for file in folder.files)
    parts = [count(len(folder.files), "file"), f"{count(folder.events, 'event')} of {size(bytes_)}"]
    if oldest is not None:
        parts.append(f"the oldest from {age(oldest, now)} ago")
    parts.append(count(folder.dead_letters, "refused event"))
    if folder.damaged:
        parts.append(f"{count(len(folder.damaged), 'damaged file')} set aside")
    if newer := folder.of_state("newer"):
        parts.append(f"{count(len(newer), 'file')} of a later loghttp")
    if unreadable := folder.of_state("unreadable"):
        parts.append(f"{count(len(unreadable), 'file')} that cannot be read")
    return f"Total: {', '.join(parts)}."


def notes(folder: Folder) -> list[str]:
    """What the numbers do not say: files that are not read, and those that were set aside."""
    lines = [f"{file.name}: {file.trouble}; it is left alone" for file in folder.of_state("newer")]
    lines += [f"{file.name}: cannot be read: {file.trouble}" for file in folder.of_state("unreadable")]
    lines += [
        f"{name}: damaged, {size(bytes_)}; loghttp could not read it and set it aside"
        for name, bytes_ in folder.damaged
    ]
    return lines


def table(folder: Folder, now: float) -> str:
    """One line a file, its columns aligned; a cell never holds a blank, so `awk` can tell them apart."""
    lines = [_COLUMNS, *(_cells(file, now) for file in folder.files)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    aligned = [
        "  ".join(
            cell.ljust(width) if name in _TO_THE_LEFT else cell.rjust(width)
            for cell, width, name in zip(line, widths, _COLUMNS, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join(aligned if folder.files else [])


def _cells(file: File, now: float) -> tuple[str, ...]:
    numbers = (str(file.events), str(file.bytes), age(file.oldest, now), str(file.dead_letters))
    if file.state != "readable":
        numbers = ("?", str(file.disk_bytes), "?", "?")
    return (file.name, pid(file), file.owner, *numbers, file.url or "?")


def pid(file: File) -> str:
    return "-" if file.owner == "none" else str(file.pid or "?")


def as_json(folder: Folder) -> str:
    files = [
        {
            "file": file.name,
            "destination": file.url,
            "pid": file.pid,
            "owner": file.owner,
            "state": file.state,
            "trouble": file.trouble,
            "events": file.events,
            "bytes": file.bytes,
            "disk_bytes": file.disk_bytes,
            "oldest": file.oldest,
            "dead_letters": file.dead_letters,
        }
        for file in folder.files
    ]
    return dumps(
        {
            "dir": str(folder.path),
            "files": files,
            "damaged": [{"file": name, "disk_bytes": bytes_} for name, bytes_ in folder.damaged],
            "total": {
                "files": len(folder.files),
                "events": folder.events,
                "bytes": sum(file.bytes for file in folder.files),
                "oldest": min((file.oldest for file in folder.files if file.oldest is not None), default=None),
                "dead_letters": folder.dead_letters,
                "damaged": len(folder.damaged),
                "newer": len(folder.of_state("newer")),
                "unreadable": len(folder.of_state("unreadable")),
            },
        }
    )


def dumps(document: Any) -> str:
    return json.dumps(document, indent=2)


def event_text(row: Row) -> str:
    """What a reader knows an event by: its message, if it has one."""
    try:
        event = json.loads(row.body)
        for name in ("event", "json"):  # HEC's envelope, SEKOIA.IO's
            event = event.get(name, event) if isinstance(event, dict) else event
        if isinstance(event, str) and event.startswith("{"):  # SEKOIA.IO's quoted JSON
            event = json.loads(event)
    except ValueError:
        event = row.body.decode("utf-8", "replace")
    if isinstance(event, dict):
        event = event.get("message", event)
    return visible(" ".join((event if isinstance(event, str) else json.dumps(event)).split()))


def refusal(row: Row) -> str:
    """A refused event in three lines: which and when, the intake's words, the event."""
    return (
        f"{row.file} #{row.id}  created {when(row.created)}  refused {when(row.refused)}\n"
        f"  intake: {' '.join(row.words.split())}\n"
        f"  event:  {event_text(row)}\n"
    )


def when(seconds: float | None) -> str:
    """A time in UTC, to the second: `2026-01-31T12:00:00Z`."""
    return iso(seconds or 0.0)[:19] + "Z"
