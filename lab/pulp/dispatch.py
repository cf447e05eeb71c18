"""Dispatches tasks of lab_tasks.py: reads lines such as `silent 60` and answers each with the task's id."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pulpcore.app.settings")

import django  # noqa: E402

django.setup()

from django.db import connection  # noqa: E402
from django_guid import set_guid  # noqa: E402
from django_guid.utils import generate_guid  # noqa: E402
from pulpcore.plugin.tasking import dispatch  # noqa: E402

for line in sys.stdin:
    name, seconds = line.split()
    # In Pulp's API a middleware does this for each request.
    set_guid(generate_guid())
    # Our module is no plugin of Pulp's: it asks for no version of one.
    task = dispatch(f"lab_tasks.{name}", kwargs={"seconds": float(seconds)}, versions={})
    # Whoever looks at the server shall see workers, not us.
    connection.close()
    print(task.pk, flush=True)
