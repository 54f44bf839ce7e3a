"""The commands of `loghttp`: one file a command, entered at the end of this one.

Rule: a command uses what every user can: the public names and `loghttp.testing`. rich is imported by what
draws for a terminal, and not before it is needed.
"""

from __future__ import annotations

import click

from loghttp.cli.demo import demo
from loghttp.cli.serve import serve
from loghttp.cli.spool import spool


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="loghttp", message="loghttp %(version)s")
def cli() -> None:
    """Python's standard logging, shipped to Humio (CrowdStrike Falcon LogScale) and to SEKOIA.IO.

    New here? `loghttp demo` takes a second, needs no account, and nothing leaves your machine.
    """


cli.add_command(demo)
cli.add_command(serve)
cli.add_command(spool)
