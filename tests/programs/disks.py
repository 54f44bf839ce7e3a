"""A program that says which files it opens for writing, or would like to: `python disks.py`, which prints JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

wanted: list[str] = []


def watch(event: str, args: tuple[Any, ...]) -> None:
    writes = event == "open" and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if writes or event in ("os.mkdir", "os.rename", "os.remove", "tempfile.mkstemp", "tempfile.mkdtemp"):
        wanted.append(f"{event} {args[0]}")


sys.addaudithook(watch)

import loghttp  # noqa: E402  importing it is part of what is watched

handler = loghttp.HumioHECHandler()
log = logging.getLogger("shop")
log.addHandler(handler)
for n in range(3):
    log.error("record %d", n)
handler.close()
print(json.dumps(wanted))
