"""A new dialect, whole: Grafana Loki's push API, with all that loghttp does for Humio and SEKOIA.IO.

    LOKI_URL=http://127.0.0.1:3100 python examples/own_intake.py

A dialect says four things: how an event is shaped, how it is cut when it is too long, how a request carries a batch
of them, and what the reply means. Batches, retries, bounds, fork, exit and `spool_dir` come with `IntakeHandler`.

Sources: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs (the body; times are texts, in
nanoseconds; 204 is success) and .../operations/request-validation-rate-limits/ (256 KB a line; 429; 400).
"""

import json
import logging
import os

from loghttp import DEFAULT_ATTRIBUTES
from loghttp.handlers import IntakeHandler
from loghttp.intakes import Limits, Request, fit, judge_status, nest


class Loki:
    """Each event is a stream of one line; Loki puts the streams of equal labels together."""

    limits = Limits(batch_events=1_000, batch_bytes=1_000_000, event_bytes=512_000)
    uniform = True  # records of one call site differ in their values alone: written by a form, several times as fast
    LINE_BYTES = 256_000  # what Loki takes of a line; quoted, as JSON within JSON, it may be twice as long

    def __init__(self, url, token, labels, redact):
        self.url = url.rstrip("/") + "/loki/api/v1/push"
        self.secrets = [token] if token else []  # never repeated, should the server's words hold it
        self._labels = dict(labels)
        self._redact = {name.lower() for name in redact}

    def shape(self, entry):
        """One record, as bytes that are later joined to a request's body. All of `entry` is safe to be JSON."""
        if entry.text is not None:  # what a text formatter of the user's made of it
            document = {"message": entry.text}
        elif entry.document is not None:  # what a JSON formatter made of it
            document = entry.document
        else:
            document = {"message": entry.message, **entry.attributes}
            if entry.traceback:
                document["exc_info"] = entry.traceback
            document |= nest(entry.extras, "", entry.notes, self._redact)  # extras may be anything: now they are JSON
        labels = {**self._labels, "level": str(entry.attributes.get("level", "unknown")).lower()}
        time = f"{round(entry.created * 1_000_000)}000"
        small = {"message": entry.message}  # what is left of an event that has too many fields to be cut
        return self._push(labels, time, document, self.LINE_BYTES) or self._push(labels, time, small, self.LINE_BYTES)

    def cut(self, event, limit):
        """The server said 413 to this event alone: the same in at most `limit` bytes, or None."""
        push = json.loads(event)
        [[time, line]] = push["values"]
        return self._push(push["stream"], time, json.loads(line) | {"loghttp_cut": True}, limit // 2, limit)

    def _push(self, labels, time, document, line_bytes, limit=limits.event_bytes):
        for room in (line_bytes, line_bytes // 2, line_bytes // 4):  # quotes and backslashes count twice
            line = fit(document, room)
            if line is None:
                return None
            event = json.dumps({"stream": labels, "values": [[time, line.decode()]]}, ensure_ascii=False).encode()
            if len(event) <= limit:
                return event
        return None

    def request(self, events):
        """The POST that carries a batch; it is compressed afterwards."""
        headers = {"Content-Type": "application/json"}
        if self.secrets:
            headers["Authorization"] = f"Bearer {self.secrets[0]}"
        return Request(self.url, b'{"streams":[%s]}' % b",".join(events), headers)

    def judge(self, reply):
        """What the status means: 2xx delivered, 429 and 5xx later, 401 and 404 tell somebody, 400 find the bad one."""
        return judge_status(reply)


class LokiHandler(IntakeHandler):
    """Flat arguments, so that `dictConfig` can make one: `{"class": "own_intake.LokiHandler", "labels": {...}}`."""

    def __init__(self, url=None, token=None, *, labels=(), redact=(), attributes=DEFAULT_ATTRIBUTES, **delivery):
        url = url or os.environ.get("LOKI_URL", "http://127.0.0.1:3100")
        token = token or os.environ.get("LOKI_TOKEN")
        super().__init__(Loki(url, token, labels, redact), attributes=attributes, redact=redact, **delivery)


def main():
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler := LokiHandler(labels={"app": "shop"}, redact=["card"], close_timeout=2))
    logger.info("order %d placed", 1042, extra={"order": {"id": 1042, "total": 59.9}, "card": "4970"})
    try:
        raise ConnectionError("the bank did not answer")
    except ConnectionError:
        logger.exception("payment failed")
    handler.close()
    print(handler.stats())


if __name__ == "__main__":
    main()
