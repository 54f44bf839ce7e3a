"""Lets every example run before you have an account: ``import try_it`` starts a local intake on this machine.

When none of the variables below is set, a ``LocalIntake`` (a real HTTP server on 127.0.0.1 that speaks both
dialects) takes the place of Humio and of SEKOIA.IO, and what it received is printed when the program ends.
When one is set, nothing happens here, and the example sends to your own intake.

    HUMIO_INGEST_TOKEN=... SEKOIA_INTAKE_KEY=... python examples/dict_config.py
"""

import atexit
import logging
import os
import subprocess
import sys
import textwrap

from loghttp.testing import LocalIntake

TOKEN, INTAKE_KEY = "local-token", "local-key"
VARIABLES = ("HUMIO_URL", "HUMIO_INGEST_TOKEN", "SEKOIA_URL", "SEKOIA_INTAKE_KEY")
INTAKES = {"hec": "Humio", "sekoia": "SEKOIA.IO"}
INDENT = " " * 11  # where the message begins
DEEPER = " " * 19


def start():
    """Start the intake and point the variables, which the handlers read by themselves, to it."""
    # In a process of its own: while this one ends, Python 3.12 starts no thread, so could answer no connection.
    # In a session of its own: Ctrl-C must not end it before it has received the last records.
    server = subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    url = server.stdout.readline().strip()
    # Child processes (Django's reloader, workers) inherit these and so send to the same intake.
    os.environ.update(zip(VARIABLES, (url, TOKEN, url, INTAKE_KEY), strict=True))
    atexit.register(tell, server)


def tell(server):
    """Close the handlers, as Python does at exit but perhaps only after this, and print what has arrived."""
    logging.shutdown()
    account, _ = server.communicate()
    print(account, end="")


def serve():
    """What the other process does: receive until the example ends, then tell of it."""
    with LocalIntake(TOKEN, INTAKE_KEY) as intake:
        print(intake.url, flush=True)
        sys.stdin.read()
    for dialect, name in INTAKES.items():
        events = [event for event in intake.events if event.dialect == dialect]
        print(f"\n{name} (the local one) received {len(events)} event{'s' * (len(events) != 1)}.")
        for event in events:
            show(event)


def show(event):
    """Print one event: level and message, then its tags and its other fields."""
    fields = {name: value for name, value in event.fields.items() if not name.startswith("#")}
    if isinstance(event.event, dict):
        fields |= {name: value for name, value in event.event.items() if name != "message"}
    level = fields.pop("level", event.tags.get("level", ""))
    print(f"\n  {level:<8} {textwrap.indent(event.message, INDENT).strip()}")
    show_pairs("tags  ", event.tags)
    show_pairs("fields", fields)


def show_pairs(title, pairs):
    """Print names and values on as few lines as are still readable; a traceback keeps its lines."""
    long = {name: value for name, value in pairs.items() if "\n" in str(value)}
    short = "  ".join(f"{name}={value!r}" for name, value in pairs.items() if name not in long)
    if short:
        print(textwrap.fill(f"{title}  {short}", 110, initial_indent=INDENT, subsequent_indent=DEEPER))
    for name, value in long.items():
        print(textwrap.indent(f"{name}:\n{value}", DEEPER))


if __name__ == "__main__":
    serve()
elif not any(os.environ.get(variable) for variable in VARIABLES):
    start()
