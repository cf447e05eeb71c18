"""Notices a cut as the test plan's scripts do: connects, sleeps for the whole window, then asks.

    plan_method.py PORT N SECONDS

Does so on N connections at once and prints for each its own port, the wall clock in nanoseconds when it knew, and what
it saw.
"""

import os
import socket
import sys
import threading
import time

import psycopg

PORT, N, SECONDS = (int(argument) for argument in sys.argv[1:])


def own_port(conn):
    with socket.socket(fileno=os.dup(conn.fileno())) as tcp:
        return tcp.getsockname()[1]


def hold():
    conn = psycopg.connect(host="127.0.0.1", port=PORT, user="bench", dbname="bench", sslmode="disable")
    port = own_port(conn)
    time.sleep(SECONDS)
    try:
        conn.execute("SELECT 1")
        seen = "alive"
    except psycopg.Error:
        seen = "dead"
    print(f"{port} {time.time_ns()} {seen}\n", end="", flush=True)


holders = [threading.Thread(target=hold) for _ in range(N)]
for holder in holders:
    holder.start()
for holder in holders:
    holder.join()
