"""Both handlers from an INI file, ``logging.ini``, with ``logging.config.fileConfig``.

    python examples/ini_config.py

Needs nothing but loghttp.
"""

import logging
import logging.config
from pathlib import Path

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

# fileConfig would otherwise silence every logger made before this line.
logging.config.fileConfig(Path(__file__).with_name("logging.ini"), disable_existing_loggers=False)
logger = logging.getLogger("shop.mail")


def main():
    mail = {"to": ["amelie@example.org"], "invoice": {"id": "2026-118", "total": 59.9}}
    logger.info("invoice sent", extra={"mail": mail})
    logger.warning("mail queue is long: %d", 118, extra={"queue": {"length": 118, "oldest_seconds": 640}})
    try:
        raise TimeoutError("the mail server did not answer")
    except TimeoutError:
        logger.exception("invoice not sent", extra={"mail": mail, "smtp_password": "hunter2"})


if __name__ == "__main__":
    main()
