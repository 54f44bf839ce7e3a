"""Your own python-json-logger formatter on both handlers: the events have the names you chose.

    python examples/custom_json_formatter.py

Needs nothing but loghttp. Humio receives the formatter's object as the event, SEKOIA.IO the same as quoted
JSON. The names here are those of the Elastic Common Schema, which SEKOIA.IO uses too.
"""

import logging

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.
from pythonjsonlogger.json import JsonFormatter

from loghttp import HumioHECHandler, SekoiaHandler

formatter = JsonFormatter(
    "%(message)s %(levelname)s %(name)s %(funcName)s",
    rename_fields={
        "levelname": "log.level",
        "name": "log.logger",
        "funcName": "log.origin.function",
        "exc_info": "error.stack_trace",
    },
    static_fields={"service.name": "shop"},
    timestamp="@timestamp",  # SEKOIA.IO reads an event's time from the event itself
)
humio = HumioHECHandler(tags={"env": "prod"}, sourcetype="json")
sekoia = SekoiaHandler(fields={"env": "prod"})
for handler in (humio, sekoia):
    handler.setFormatter(formatter)
logging.basicConfig(level=logging.INFO, handlers=[humio, sekoia])
logger = logging.getLogger("shop.returns")


def main():
    parcel = {"id": "p-118", "articles": ["mug"], "sender": {"country": "FR"}}
    logger.info("return announced", extra={"parcel": parcel})
    logger.warning("return is late by %d days", 3, extra={"parcel": parcel, "days": 3})
    try:
        raise PermissionError("the label was already used")
    except PermissionError:
        logger.exception("return refused", extra={"parcel": parcel})


if __name__ == "__main__":
    main()
