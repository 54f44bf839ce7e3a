"""OpenTelemetry's logging instrumentation: each record arrives with the trace and the span it was logged in.

    pip install opentelemetry-sdk opentelemetry-instrumentation-logging
    python examples/opentelemetry_app.py

In the intake, search for ``otelTraceID`` to see all that one request logged, in whatever service.
"""

import logging

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.
from opentelemetry import trace
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from loghttp import HumioHECHandler, SekoiaHandler

trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": "shop"})))
# Versions before 0.60 have `set_logging_format=True` for this. Nothing has to be told to the handlers.
LoggingInstrumentor().instrument(inject_trace_context=True, enable_log_auto_instrumentation=False)

root = logging.getLogger()
root.setLevel(logging.INFO)
root.addHandler(HumioHECHandler(tags={"env": "prod", "service": "shop"}, sourcetype="shop"))
root.addHandler(SekoiaHandler(fields={"env": "prod", "service": "shop"}, level=logging.WARNING))
logger = logging.getLogger("shop.checkout")
tracer = trace.get_tracer("shop")


def main():
    # What came with a request; frameworks that are instrumented do this for you.
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    with tracer.start_as_current_span("checkout", context=TraceContextTextMapPropagator().extract(headers)):
        logger.info("checkout started", extra={"cart": {"id": 7, "articles": ["mug", "pen"]}})
        with tracer.start_as_current_span("payment"):
            logger.warning("the bank is slow", extra={"seconds": 2.5})
            try:
                raise TimeoutError("no answer from the bank")
            except TimeoutError:
                logger.exception("payment failed")


if __name__ == "__main__":
    main()
