"""A Django project that sends its records, and Django's own, to both intakes.

    pip install django
    python examples/django_project/manage.py runserver

then open http://127.0.0.1:8000/orders/1042/ and http://127.0.0.1:8000/refund/1042/, and stop it with Ctrl-C.
What matters is ``LOGGING`` in project/settings.py; no database is needed.
"""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

sys.path.append(str(Path(__file__).parents[1]))  # where try_it is

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete both lines in your program.

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    execute_from_command_line(sys.argv)
