#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Notes the position of each event that it is sent, before it answers: record.py FILE

A line is an event, or an array of them. Each line becomes one write, so that a kill leaves it whole or not there.
"""
import json
import os
import sys

noted = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
for line in sys.stdin:
    sent = json.loads(line)
    events = sent if isinstance(sent, list) else [sent]
    os.write(noted, "".join(f"{event['global_position']}\n" for event in events).encode())
    print("ok", flush=True)
