"""A FastAPI application; uvicorn's access log goes to Humio too, with status, path and address as fields.

    pip install fastapi uvicorn
    python examples/fastapi_app

then open http://127.0.0.1:8000/orders/1042 and http://127.0.0.1:8000/refund/1042, and stop it with Ctrl-C.
With ``HUMIO_URL`` and ``HUMIO_INGEST_TOKEN`` set, the usual command does the same:

    cd examples/fastapi_app && uvicorn app:app --log-config log_config.json
"""

import logging
from contextlib import asynccontextmanager

from fastapi import FastAPI

logger = logging.getLogger("shop")


class UvicornFields(logging.Filter):
    """The parts of uvicorn's access message become fields, its colours stay in the terminal; see log_config.json."""

    def filter(self, record):
        if record.name == "uvicorn.access":
            record.client, record.method, record.path, _, record.status = record.args
        record.__dict__.pop("color_message", None)
        return True


@asynccontextmanager
async def lifespan(_):
    yield
    # After SIGTERM (docker stop) uvicorn ends without running exit functions: send now what still waits.
    for handler in logging.getLogger().handlers:
        handler.flush()


app = FastAPI(lifespan=lifespan)


@app.get("/orders/{number}")
async def order(number: int):
    logger.info("order %d shown", number, extra={"order": {"id": number, "articles": ["mug", "pen"]}})
    if number > 1000:
        logger.warning("order %d is not paid", number, extra={"order": {"id": number, "due": 59.9}})
    return {"order": number}


@app.get("/refund/{number}")
async def refund(number: int):
    raise LookupError(f"no payment for order {number}")
