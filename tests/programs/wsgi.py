"""A WSGI application that logs its import and each request, and answers with its process id.

Nothing leaves by itself for a minute, but for errors: what else arrives is what the end of a worker delivered.
A path that begins with `/now` makes an error of its request, which the living worker has to send. With SPOOL_DIR set,
records wait in that folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

import loghttp

handler = loghttp.HumioHECHandler(flush_interval=60, close_timeout=10, spool_dir=os.environ.get("SPOOL_DIR"))
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)

log.error("imported")  # an error, because a master that forks its workers has no end that we hear of


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path != "/ready":
        level = logging.ERROR if path.startswith("/now") else logging.INFO
        log.log(level, "request %s", path.rpartition("/")[2])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
