"""An ASGI application, without a framework, that logs each request and answers with its process id.

Nothing leaves by itself for a minute. uvicorn's workers end by SIGTERM, without any exit function, so the
lifespan's end is where to flush.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import loghttp

handler = loghttp.HumioHECHandler(flush_interval=60, close_timeout=10)
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        log.info("imported")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        handler.flush()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] != "/ready":
        log.info("request %s", scope["path"].rpartition("/")[2])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
