"""Both handlers from a YAML file, ``logging.yaml``.

    pip install pyyaml
    python examples/yaml_config.py

The credentials come from the environment (``HUMIO_INGEST_TOKEN``, ``SEKOIA_INTAKE_KEY``).
"""

import logging
import logging.config
from pathlib import Path

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.
import yaml

with Path(__file__).with_name("logging.yaml").open(encoding="utf-8") as file:
    logging.config.dictConfig(yaml.safe_load(file))

logger = logging.getLogger("shop.accounts")


def main():
    user = {"id": 42, "name": "amelie", "groups": ["staff", "buyers"]}
    logger.info("%s signed in", user["name"], extra={"user": user, "remote_addr": "198.51.100.7"})
    # Whole forms end up in logs; `redact` in the YAML file keeps the password out of them.
    form = {"name": "admin", "password": "hunter2"}
    logger.warning("sign-in refused", extra={"form": form, "remote_addr": "203.0.113.9", "attempts": 5})
    try:
        {"amelie": "fr"}["admin"]
    except KeyError:
        logger.exception("no such account", extra={"remote_addr": "203.0.113.9"})


if __name__ == "__main__":
    main()
