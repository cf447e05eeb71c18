"""Tasks as a worker's child process runs them: what they leave out is what a long download leaves out, SQL."""

import os
import time
from pathlib import Path

from django.db import connection
from pulpcore.plugin.models import Task


def ask(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def tell(backend):
    """Leaves the ids of our process, of the worker and of our backend in a file that is named as the task."""
    folder = Path(os.environ["LAB_PULP"]) / "running"
    name = str(Task.current().pk)
    (folder / f".{name}").write_text(f"{os.getpid()} {os.getppid()} {backend}\n")
    (folder / f".{name}").rename(folder / name)


def silent(seconds):
    """Says one thing to the database, nothing for so many seconds, and one thing more."""
    tell(ask("SELECT pg_backend_pid()"))
    time.sleep(seconds)
    ask("SELECT 1")


def busy(seconds):
    """Says something five times a second, for so many seconds."""
    end = time.monotonic() + seconds
    tell(ask("SELECT pg_backend_pid()"))
    while time.monotonic() < end:
        ask("SELECT 1")
        time.sleep(0.2)
