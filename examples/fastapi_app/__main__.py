"""Serves the application with uvicorn: ``python examples/fastapi_app`` (see app.py)."""

import os
import sys
from pathlib import Path

import uvicorn

sys.path.append(str(Path(__file__).parents[1]))  # where try_it is

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete both lines in your program.

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    log_config = str(Path(__file__).with_name("log_config.json"))
    uvicorn.run("app:app", host="127.0.0.1", port=port, log_config=log_config)
