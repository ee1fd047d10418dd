#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the words of a text that events have, in a database of its own: words.py DATABASE MEMBER

An event may come more than once, so its id is kept in the transaction that counts its words; one that is known already
counts nothing. Each answer follows the commit of what it answers for.
"""
import json
import re
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, count INTEGER NOT NULL)")
database.execute("CREATE TABLE IF NOT EXISTS seen (event_id TEXT PRIMARY KEY, times INTEGER NOT NULL)")

for line in sys.stdin:
    event = json.loads(line)
    with database:
        times = database.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
            (event["event_id"],),
        ).fetchone()[0]
        if times == 1:
            database.executemany(
                "INSERT INTO words VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                [(word,) for word in re.findall("[a-z]+", event["payload"][sys.argv[2]].lower())],
            )
    print("ok", flush=True)
