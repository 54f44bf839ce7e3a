"""The command `loghttp`, also as `python -m loghttp`.

Rule: nothing of the library imports this, and click and rich (the extra `cli`) are imported only from here on.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; without the extra `cli`, say in one line how to get it and exit with 2."""
    try:
        from loghttp.cli import cli  # noqa: PLC0415 - it imports click, which may be missing

        cli()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.stderr.write('loghttp: the command needs click and rich: pip install "loghttp[cli]"\n')
        sys.exit(2)


if __name__ == "__main__":
    main()
