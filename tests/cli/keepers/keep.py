#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps a line of each event, its position and some members of its payload: keep.py FILE MEMBER...

`day` is that on which the event occurred. What comes again is known by its position, since events come in order.
"""
import json
import sys

last = 0
with open(sys.argv[1], "a+", encoding="utf-8") as kept:
    kept.seek(0)
    for line in kept:
        last = int(line.split("\t", 1)[0])
    for line in sys.stdin:
        event = json.loads(line)
        if event["global_position"] > last:
            last = event["global_position"]
            members = {"day": event["occurred_at"][:10], **event["payload"]}
            print(last, *(members[name] for name in sys.argv[2:]), sep="\t", file=kept, flush=True)
        print("ok", flush=True)
