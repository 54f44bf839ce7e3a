"""A function that is frozen between two invocations, as AWS Lambda does: it flushes at the end of each.

    python examples/lambda_function.py

Needs nothing but loghttp. While such a process is frozen, none of its threads runs, perhaps for ever: what has
not been delivered by then is late, or lost.
"""

import logging

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

from loghttp import HumioHECHandler, SekoiaHandler

# Made once, when the process starts. Nothing has to leave by itself: the flush sends it all, in one request.
humio = HumioHECHandler(tags={"env": "prod", "service": "shop"}, sourcetype="shop", flush_interval=60)
sekoia = SekoiaHandler(fields={"env": "prod", "service": "shop"}, level=logging.WARNING, flush_interval=60)

root = logging.getLogger()
root.setLevel(logging.INFO)
root.addHandler(humio)
root.addHandler(sekoia)
logger = logging.getLogger("shop.pictures")


def lambda_handler(event, _):
    try:
        size = event["bytes"]
        logger.info("picture %s received", event["name"], extra={"picture": event})
        if size > 1_000_000:
            logger.warning("picture is large", extra={"picture": event})
        return {"statusCode": 200}
    except KeyError:
        logger.exception("picture refused", extra={"picture": event})
        return {"statusCode": 400}
    finally:
        # At most so many seconds of the invocation for each; what is left then goes with the next one.
        for handler in (humio, sekoia):
            handler.flush(timeout=2)


def main():
    lambda_handler({"name": "mug.png", "bytes": 48_213}, None)
    lambda_handler({"name": "shop.png", "bytes": 4_821_300}, None)
    lambda_handler({"name": "empty.png"}, None)


if __name__ == "__main__":
    main()
