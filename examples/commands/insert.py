#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies events into a database of its own: insert.py DATABASE

An event may come more than once, so what is inserted has the event's id as its key, and one that is there already is no
mistake. Each answer follows the commit of what it answers for:

    tide handle --name copy -- python3 insert.py copy.db
"""
import json
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
database.execute(
    "CREATE TABLE IF NOT EXISTS orders (event_id TEXT PRIMARY KEY, position INTEGER, order_id TEXT, total INTEGER NOT NULL)"
)

for line in sys.stdin:
    event = json.loads(line)
    try:
        with database:
            database.execute(
                "INSERT INTO orders VALUES (?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING",
                (event["event_id"], event["global_position"], event["aggregate_id"], event["payload"].get("total")),
            )
        print("ok", flush=True)
    except sqlite3.OperationalError as error:  # locked, full: it may pass
        print("retry", error, flush=True)
    except sqlite3.Error as error:
        print("fail", error, flush=True)
