"""Holds idle connections by psycopg, for what one of them costs.

    holder.py PORT N USER PASSWORD SSLMODE

Prints `open` when all are there, and holds them until it is killed.
"""

import sys
import threading

import psycopg

PORT, N, USER, PASSWORD, SSLMODE = sys.argv[1:]
held = [
    psycopg.connect(
        host="127.0.0.1", port=int(PORT), user=USER, password=PASSWORD, dbname="postgres", sslmode=SSLMODE, autocommit=True
    )
    for _ in range(int(N))
]
print("open", flush=True)
threading.Event().wait()
