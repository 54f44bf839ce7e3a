"""A Celery application whose tasks' records arrive, with the name and id of the task as fields.

    pip install celery
    python examples/celery_app.py

Stop it with Ctrl-C. The broker is a folder here, and the worker sends itself three tasks to have something to do;
with your own broker in ``BROKER_URL``, the usual command does the same: ``celery -A celery_app worker``.
"""

import logging
import os
import tempfile
from logging.config import dictConfig
from pathlib import Path

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.
from celery import Celery, current_task
from celery.signals import setup_logging, worker_ready

BROKER = os.environ.get("BROKER_URL", "filesystem://")

app = Celery("celery_app", broker=BROKER)
app.conf.task_ignore_result = True
if BROKER == "filesystem://":
    folder = Path(tempfile.mkdtemp(prefix="celery-"))
    app.conf.broker_transport_options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
    }

logger = logging.getLogger("shop.parcels")


class TaskContext(logging.Filter):
    """The task that logs, by name and id."""

    def filter(self, record):
        if current_task:
            record.task = {"name": current_task.name, "id": current_task.request.id}
        return True


# Whoever connects to this signal configures logging alone. Without it the worker "hijacks" the root logger
# (`worker_hijack_root_logger`): handlers that were added to it before are thrown out, and their records with them.
@setup_logging.connect
def configure(**_):
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"task": {"()": TaskContext}},
            "handlers": {
                "console": {"class": "logging.StreamHandler"},
                "humio": {
                    "class": "loghttp.HumioHECHandler",
                    "filters": ["task"],
                    "sourcetype": "shop",
                    "tags": {"env": "prod", "service": "shop"},
                },
                "sekoia": {
                    "class": "loghttp.SekoiaHandler",
                    "filters": ["task"],
                    "level": "WARNING",
                    "fields": {"env": "prod", "service": "shop"},
                },
            },
            "root": {"level": "INFO", "handlers": ["console", "humio", "sekoia"]},
        }
    )


@app.task
def pack(number):
    logger.info("parcel %d packed", number)
    if number > 1000:
        logger.warning("parcel %d is heavy", number)


@worker_ready.connect
def give_it_something_to_do(**_):
    if BROKER == "filesystem://":
        for number in (7, 8, 1042):
            pack.delay(number)


if __name__ == "__main__":
    app.worker_main(["worker", "--concurrency=2"])
