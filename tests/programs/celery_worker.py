"""A Celery application whose worker sends itself its tasks: `celery -A celery_worker worker`, with FOLDER set.

The broker is that folder. Each task logs, and leaves a file `done/N`. Nothing is sent by itself for a minute, so what
arrives is what the end of a worker process, or of the whole worker, delivered.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from celery import Celery
from celery.signals import setup_logging, worker_ready

import loghttp

folder = Path(os.environ["FOLDER"])
for name in ("queue", "control", "processed", "done"):
    (folder / name).mkdir(exist_ok=True)

app = Celery("celery_worker", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(folder / "queue"),
    "data_folder_out": str(folder / "queue"),
    "control_folder": str(folder / "control"),
    "processed_folder": str(folder / "processed"),
}
log = logging.getLogger("shop")


@setup_logging.connect
def configure(**_: object) -> None:
    spool = os.environ.get("SPOOL_DIR")
    log.addHandler(loghttp.HumioHECHandler(flush_interval=60, close_timeout=10, spool_dir=spool))
    log.setLevel(logging.INFO)


@app.task
def work(n: int) -> None:
    log.info("task %d", n)
    (folder / "done" / str(n)).touch()


@worker_ready.connect
def send(**_: object) -> None:
    log.info("ready")
    for n in range(20):
        work.delay(n)
