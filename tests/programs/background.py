"""A Starlette application whose requests leave work behind: a background task, and a task of asyncio's.

What they log bears the request's number, by a context variable and a filter.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import loghttp

number: ContextVar[str] = ContextVar("number", default="")
handler = loghttp.HumioHECHandler(flush_interval=60, close_timeout=10)
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)
left_behind: set[asyncio.Task[None]] = set()


class Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request = number.get()
        return True


handler.addFilter(Context())


async def work(kind: str) -> None:
    await asyncio.sleep(0)
    log.info("%s", kind)


async def order(request: Request) -> PlainTextResponse:
    number.set(request.path_params["number"])
    log.info("request")
    task = asyncio.create_task(work("asyncio"))
    left_behind.add(task)
    task.add_done_callback(left_behind.discard)
    return PlainTextResponse(str(os.getpid()), background=BackgroundTask(work, "background"))


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    yield
    handler.flush()


application = Starlette(
    routes=[Route("/ready", lambda _: PlainTextResponse("yes")), Route("/{number}", order)], lifespan=lifespan
)
