"""The command `loghttp`, also as `python -m loghttp`.

Rule: nothing of the library imports this, and click and rich (the extra `cli`) are imported only from here on. What
is no bug of ours ends here in one line, not in a traceback.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command; without the extra `cli`, say in one line how to get it and exit with 2."""
    _open_what_is_closed()
    try:
        from loghttp.cli import cli  # noqa: PLC0415 - it imports click, which may be missing

        cli()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.stderr.write('loghttp: the command needs click and rich: pip install "loghttp[cli]"\n')
        sys.exit(2)
    except KeyboardInterrupt:  # before the command itself has begun
        sys.exit(130)
    except OSError as error:  # commands know their own; this is output that cannot be written, to a full disk
        if error.filename is not None:
            raise
        sys.exit(f"loghttp: {error.strerror or error}")


def _open_what_is_closed() -> None:
    """Python has None for a stream that was closed before it began, and its number goes to the next file or socket."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - as Python's own


if __name__ == "__main__":
    main()
