"""Lets every example run before you have an account: ``import try_it`` starts a local intake on this machine.

When none of the variables below is set, a ``LocalIntake`` (a real HTTP server on 127.0.0.1 that speaks both
dialects) takes the place of Humio and of SEKOIA.IO, and what it received is printed when the program ends.
When one is set, nothing happens here, and the example sends to your own intake.

    HUMIO_INGEST_TOKEN=... SEKOIA_INTAKE_KEY=... python examples/dict_config.py
"""

from __future__ import annotations

import atexit
import logging
import os
import textwrap
from typing import Any

from loghttp.testing import LocalIntake, ReceivedEvent

VARIABLES = ("HUMIO_URL", "HUMIO_INGEST_TOKEN", "SEKOIA_URL", "SEKOIA_INTAKE_KEY")
INTAKES = {"hec": "Humio", "sekoia": "SEKOIA.IO"}
INDENT = " " * 11  # where the message begins
DEEPER = " " * 19


def start() -> None:
    """Start the intake and point the variables, which the handlers read by themselves, to it."""
    intake = LocalIntake(token="local-token", intake_key="local-key")
    intake.start()
    # Child processes (Django's reloader, workers) inherit these and so send to the same intake.
    os.environ.update(zip(VARIABLES, (intake.url, intake.token, intake.url, intake.intake_key), strict=True))
    atexit.register(tell, intake)


def tell(intake: LocalIntake) -> None:
    """Print what each intake received."""
    # Closes the handlers, so that all has arrived; Python itself might do so only after this function.
    logging.shutdown()
    for dialect, name in INTAKES.items():
        events = [event for event in intake.events if event.dialect == dialect]
        print(f"\n{name} (the local one) received {len(events)} event{'s' * (len(events) != 1)}.")
        for event in events:
            tell_event(event)
    intake.stop()


def tell_event(event: ReceivedEvent) -> None:
    """Print one event: level and message, then its tags and its other fields."""
    fields = {name: value for name, value in event.fields.items() if not name.startswith("#")}
    if isinstance(event.event, dict):
        fields |= {name: value for name, value in event.event.items() if name != "message"}
    level = fields.pop("level", event.tags.get("level", ""))
    print(f"\n  {level:<8} {textwrap.indent(event.message, INDENT).strip()}")
    tell_pairs("tags  ", event.tags)
    tell_pairs("fields", fields)


def tell_pairs(title: str, pairs: dict[str, Any]) -> None:
    """Print names and values on as few lines as are still readable; a traceback keeps its lines."""
    long = {name: value for name, value in pairs.items() if "\n" in str(value)}
    short = "  ".join(f"{name}={value!r}" for name, value in pairs.items() if name not in long)
    if short:
        print(textwrap.fill(f"{title}  {short}", 110, initial_indent=INDENT, subsequent_indent=DEEPER))
    for name, value in long.items():
        print(textwrap.indent(f"{name}:\n{value}", DEEPER))


if not any(os.environ.get(variable) for variable in VARIABLES):
    start()
