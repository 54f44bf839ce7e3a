"""Both handlers added in code, and how to ask them what became of the records.

    python examples/add_handler.py

Needs nothing but loghttp.
"""

import logging

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

from loghttp import HumioHECHandler, SekoiaHandler

humio = HumioHECHandler(tags={"env": "prod", "service": "shop"}, tag_attributes=["level"], sourcetype="shop")
sekoia = SekoiaHandler(fields={"env": "prod", "service": "shop"}, level=logging.WARNING)

root = logging.getLogger()
root.setLevel(logging.INFO)
root.addHandler(humio)
root.addHandler(sekoia)
logger = logging.getLogger("shop.uploads")


def main():
    upload = {"name": "mug.png", "bytes": 48_213, "size": [640, 480], "owner": {"id": 42}}
    logger.info("picture stored", extra={"upload": upload})
    logger.warning("disk is %d %% full", 91, extra={"disk": {"mount": "/srv", "used_percent": 91}})
    try:
        int("640px")
    except ValueError:
        logger.exception("picture refused", extra={"upload": upload})

    # Never needed before the program ends: closing delivers what waits. Here it makes the numbers final.
    humio.flush(timeout=5)
    print(humio.stats())


if __name__ == "__main__":
    main()
