"""Both handlers from a JSON file, ``logging.json``.

    python examples/json_config.py

Needs nothing but loghttp.
"""

import json
import logging
import logging.config
from pathlib import Path

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

logging.config.dictConfig(json.loads(Path(__file__).with_name("logging.json").read_text(encoding="utf-8")))
logger = logging.getLogger("shop.export")


def main():
    job = {"name": "nightly-export", "tables": ["orders", "customers"], "retry": {"count": 0, "max": 3}}
    logger.info("export started", extra={"job": job})
    logger.warning("export is slow: %.1f s", 41.5, extra={"job": job, "seconds": 41.5})
    try:
        (Path(__file__).parent / "no-such-folder" / "orders.csv").write_text("id,total\n")
    except FileNotFoundError:
        logger.exception("export failed", extra={"job": job, "rows": 0})


if __name__ == "__main__":
    main()
