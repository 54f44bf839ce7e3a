"""Settings of the Django example: ``LOGGING`` is the part to copy."""

import os

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # The request that a record belongs to, as fields; see context.py.
    "filters": {"request": {"()": "project.context.RequestContext"}},
    "handlers": {
        # The credentials come from HUMIO_INGEST_TOKEN and SEKOIA_INTAKE_KEY.
        "humio": {
            "class": "loghttp.HumioHECHandler",
            "filters": ["request"],
            "sourcetype": "shop",
            "tags": {"env": "prod", "service": "shop"},
            "redact": ["password"],
        },
        "sekoia": {
            "class": "loghttp.SekoiaHandler",
            "filters": ["request"],
            "level": "WARNING",
            "fields": {"env": "prod", "service": "shop"},
            "redact": ["password"],
        },
    },
    # Django's own loggers propagate to the root: a view that raises arrives with its traceback.
    "root": {"level": "INFO", "handlers": ["humio", "sekoia"]},
}

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only for this example")
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["shop"]
MIDDLEWARE = ["project.context.remember_request", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
