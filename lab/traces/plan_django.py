"""The test plan's scripts by way of Django: T1 and T4 statement for statement, the others as the plan wants them.

plan_django.py TEST PORT USER PASSWORD MINUTES SECONDS: a test of MINUTES, each of which takes SECONDS.
"""

import select
import sys
import time

import django
from django.conf import settings

TEST, PORT, USER, PASSWORD, MINUTES, MINUTE = sys.argv[1:]
MINUTES, MINUTE = int(MINUTES), float(MINUTE)

# As Pulp's settings, where they matter to a connection.
DATABASE = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": "127.0.0.1",
    "PORT": PORT,
    "NAME": "postgres",
    "USER": USER,
    "PASSWORD": PASSWORD,
    "CONN_MAX_AGE": 0,
}
settings.configure(DATABASES={"default": DATABASE, "notifier": DATABASE}, TIME_ZONE="UTC", USE_TZ=True)
django.setup()

from django.db import connection, connections, models, transaction  # noqa: E402


class Task(models.Model):
    pulp_id = models.UUIDField(primary_key=True)
    name = models.TextField()
    state = models.TextField()

    class Meta:
        app_label = "core"


class Worker(models.Model):
    pulp_id = models.UUIDField(primary_key=True)

    class Meta:
        app_label = "core"


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def t1():
    execute("SELECT 1")
    time.sleep(MINUTES * MINUTE)
    execute("SELECT 1")


t1_in_utc = t1


def t2():
    for i in range(MINUTES):
        execute("SELECT 1")
        if i < MINUTES - 1:
            time.sleep(MINUTE)


def t2_after_lead_in():
    """Not of the plan: requests come first."""
    for i in range(6):
        execute("SELECT 1")
    t2()


def t3():
    with transaction.atomic():
        execute("SELECT * FROM core_task LIMIT 1 FOR UPDATE")
        time.sleep(MINUTES * MINUTE)


def transaction_with_work(work):
    with transaction.atomic():
        iterations = MINUTES // 2
        for i in range(iterations):
            work()
            if i < iterations - 1:
                time.sleep(2 * MINUTE)


def t4():
    """`online` is no field of Pulp's: Django refuses before it sends anything."""

    def work():
        Task.objects.filter(state="waiting").count()
        Task.objects.first()
        Worker.objects.filter(online=True).count()

    try:
        transaction_with_work(work)
    except django.core.exceptions.FieldError:
        pass


def t4_mended():
    transaction_with_work(lambda: execute("SELECT 1"))


def t5():
    execute("SET TIMEZONE TO 'UTC'")
    execute("SHOW TIMEZONE")
    time.sleep(MINUTES * MINUTE)
    execute("SELECT 1")


def t6():
    execute("LISTEN test_task_dispatch")
    for i in range(MINUTES):
        select.select([connection.connection], [], [], MINUTE)
    execute("UNLISTEN test_task_dispatch")


def t7():
    execute("LISTEN test_task_dispatch")
    for i in range(MINUTES // 2):
        time.sleep(2 * MINUTE)
        with connections["notifier"].cursor() as cursor:
            cursor.execute(f"NOTIFY test_task_dispatch, 'heartbeat_{i + 1}'")
        connections["notifier"].close()
        next(connection.connection.notifies())
    execute("UNLISTEN test_task_dispatch")


globals()[TEST]()
connection.close()
