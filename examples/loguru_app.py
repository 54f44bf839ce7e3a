"""loguru with our handlers as sinks: what is bound arrives as fields, under ``extra.``.

    pip install loguru
    python examples/loguru_app.py

The credentials come from the environment (``HUMIO_INGEST_TOKEN``, ``SEKOIA_INTAKE_KEY``).
"""

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.
from loguru import logger

from loghttp import HumioHECHandler, SekoiaHandler

logger.remove()
humio = HumioHECHandler(tags={"env": "prod", "service": "shop"}, tag_attributes=["level"], sourcetype="shop")
sekoia = SekoiaHandler(fields={"env": "prod", "service": "shop"})


def only_message(_):
    # To a format that is text, loguru adds its own traceback, which shows the values of variables: passwords too.
    # The handlers send the exception themselves; time, level, function and line go along as fields.
    return "{message}"


logger.add(humio, format=only_message, level="INFO")
logger.add(sekoia, format=only_message, level="WARNING")


def main():
    log = logger.bind(parcel={"id": "p-118", "stops": ["Paris", "Lyon"]}, carrier="post")
    log.info("parcel handed over")
    log.success("parcel {} delivered", "p-117")
    log.bind(attempts=2).warning("nobody at home")
    try:
        {"p-118": "Lyon"}["p-119"]
    except KeyError:
        log.exception("position unknown")


if __name__ == "__main__":
    main()
