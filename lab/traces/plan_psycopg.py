"""The test plan's psycopg scripts, statement for statement, without their logging.

plan_psycopg.py TEST PORT USER PASSWORD MINUTES SECONDS: a test of MINUTES, each of which takes SECONDS.
"""

import select
import sys
import time
from multiprocessing import Process

import psycopg

TEST, PORT, USER, PASSWORD, MINUTES, MINUTE = sys.argv[1:]
MINUTES, MINUTE = int(MINUTES), float(MINUTE)


def get_connection():
    return psycopg.connect(
        host="127.0.0.1", dbname="postgres", user=USER, password=PASSWORD, port=PORT
    )


def test_connection_alive(conn):
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def t1():
    conn = get_connection()
    time.sleep(MINUTES * MINUTE)
    test_connection_alive(conn)
    conn.close()


t1_in_utc = t1


def t2(conn=None):
    conn = conn or get_connection()
    for i in range(MINUTES):
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        if i < MINUTES - 1:
            time.sleep(MINUTE)
    conn.close()


def t2_after_lead_in():
    """Not of the plan: committed requests come first."""
    conn = get_connection()
    for i in range(6):
        with conn.transaction():
            conn.execute("SELECT 1")
    t2(conn)


def t3():
    conn = get_connection()
    with conn.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM core_task LIMIT 1 FOR UPDATE")
        cursor.fetchone()
        time.sleep(MINUTES * MINUTE)
        cursor.execute("COMMIT")
    conn.close()


def transaction_with_work(*queries):
    conn = get_connection()
    try:
        with conn.cursor() as cursor:
            cursor.execute("BEGIN")
            iterations = MINUTES // 2
            for i in range(iterations):
                for query in queries:
                    cursor.execute(query)
                    cursor.fetchone()
                if i < iterations - 1:
                    time.sleep(2 * MINUTE)
            cursor.execute("COMMIT")
    except psycopg.Error:
        conn.rollback()
    conn.close()


def t4():
    """No Pulp ever had the column of the third query: the server refuses it."""
    transaction_with_work(
        "SELECT COUNT(*) FROM core_task WHERE state = 'waiting'",
        "SELECT pulp_id, name FROM core_task LIMIT 1",
        "SELECT COUNT(*) FROM core_worker WHERE online = true",
    )


def t4_mended():
    transaction_with_work("SELECT 1")


def t5():
    conn = get_connection()
    with conn.cursor() as cursor:
        cursor.execute("SET TIMEZONE TO 'UTC'")
        cursor.execute("SHOW TIMEZONE")
        cursor.fetchone()
    time.sleep(MINUTES * MINUTE)
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    conn.close()


def t6():
    conn = get_connection()
    conn.autocommit = True
    with conn.cursor() as cursor:
        channel_name = "test_task_dispatch"
        cursor.execute(f"LISTEN {channel_name}")
    for i in range(MINUTES):
        if select.select([conn], [], [], MINUTE) != ([], [], []):
            for notify in conn.notifies():
                pass
    with conn.cursor() as cursor:
        cursor.execute(f"UNLISTEN {channel_name}")
    conn.close()


def t7():
    conn = get_connection()
    conn.autocommit = True
    with conn.cursor() as cursor:
        channel_name = "test_task_dispatch"
        cursor.execute(f"LISTEN {channel_name}")

    def send_periodic_notifications():
        for i in range(MINUTES // 2):
            time.sleep(2 * MINUTE)
            notify_conn = get_connection()
            with notify_conn.cursor() as notify_cursor:
                payload = f"heartbeat_{i + 1}"
                notify_cursor.execute(f"NOTIFY {channel_name}, '{payload}'")
            notify_conn.commit()
            notify_conn.close()

    notifier_process = Process(target=send_periodic_notifications, daemon=True)
    notifier_process.start()
    while select.select([conn], [], [], MINUTE) == ([], [], []):
        pass
    for notify in conn.notifies():
        # The plan's script has no such line: there it waits for ever.
        if notify.payload == f"heartbeat_{MINUTES // 2}":
            break
    notifier_process.join()
    with conn.cursor() as cursor:
        cursor.execute(f"UNLISTEN {channel_name}")
    conn.close()


globals()[TEST]()
