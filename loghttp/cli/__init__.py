"""The commands of `loghttp`: one file a command, entered at the end of this one.

Rule: a command uses what every user can: the public names and `loghttp.testing`; those that look inside (`spool`,
`check`, `send`) say so. rich is imported by what draws for a terminal, and not before it is needed.
"""

from __future__ import annotations

from typing import Any, Final

import click

from loghttp.cli.check import check
from loghttp.cli.demo import demo
from loghttp.cli.send import send
from loghttp.cli.serve import serve
from loghttp.cli.spool import spool

_MORE = """\
\b
For example:
  $ loghttp demo
  $ export HUMIO_INGEST_TOKEN=...
  $ loghttp check humio
  $ app 2>&1 | loghttp send humio --source app

Each command tells more, with an example: loghttp COMMAND --help. In a pipe the output is plain, for grep and awk;
NO_COLOR=1 takes the colours from a terminal, too.

\b
To have commands and options completed by the Tab key, put this line into
~/.bashrc:
  eval "$(_LOGHTTP_COMPLETE=bash_source loghttp)"
~/.zshrc, after compinit:
  eval "$(_LOGHTTP_COMPLETE=zsh_source loghttp)"
~/.config/fish/config.fish:
  _LOGHTTP_COMPLETE=fish_source loghttp | source
"""


_STOPPED: Final = 130  # 128 + SIGINT, as shells say it; click's own 1 would say "not delivered"


class _Commands(click.Group):
    """Listed in the order in which somebody meets them; Ctrl-C ends each that has no better idea."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nStopped.", err=True)
            ctx.exit(_STOPPED)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_MORE
)
@click.version_option(package_name="loghttp", message="loghttp %(version)s")
def cli() -> None:
    """Python's standard logging, shipped to Humio (CrowdStrike Falcon LogScale) and to SEKOIA.IO.

    New here? `loghttp demo` takes a second, needs no account, and nothing leaves your machine.
    """


cli.add_command(demo)
cli.add_command(serve)
cli.add_command(check)
cli.add_command(send)
cli.add_command(spool)
