#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the six read models of data_sets have to hold, from the sources alone: data_sets.py REPOSITORY LOG

Writes NAME.want for each: its rows, members separated by tabs, in no order.
"""
import collections
import os
import re
import subprocess
import sys


def write(name, rows):
    with open(name + ".want", "w", encoding="utf-8") as file:
        for row in rows:
            print(*row, sep="\t", file=file)


def read_repository(repository):
    authors, lines, touches = {}, {}, collections.Counter()
    form = "--pretty=tformat:%x01%aN%x02%ad"
    log = subprocess.run(
        ["git", "-C", repository, "-c", "log.showSignature=false", "log", "--no-renames", "--no-ext-diff", "-z", "--numstat",
         "--date=format-local:%Y-%m-%d", form],
        check=True, stdout=subprocess.PIPE, env={**os.environ, "TZ": "UTC"},
    ).stdout.decode("utf-8", "ignore")
    for commit in log.split("\x01")[1:]:
        head, *files = re.split("[\0\n]+", commit)
        author, day = head.split("\x02")
        made, first, last = authors.get(author, (0, day, day))
        authors[author] = made + 1, min(first, day), max(last, day)
        for added, deleted, path in (file.split("\t", 2) for file in files if file.count("\t") >= 2):
            touches[author, path] += 1
            before = lines.get((path, day[:7]), (0, 0, 0))
            lines[path, day[:7]] = tuple(map(sum, zip(before, (1, int(added.replace("-", "0")), int(deleted.replace("-", "0"))))))
    write("authors", ((author, *found) for author, found in authors.items()))
    write("lines", ((*key, *found) for key, found in lines.items()))
    write("touches", ((*key, count) for key, count in touches.items()))


def read_log(log):
    packages, actions, versions = {}, collections.Counter(), {}
    with open(log, encoding="utf-8") as file:
        for line in file:
            if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line):
                continue
            day, _, what, *rest = line.split()
            if what == "status" and len(rest) == 3:
                packages[rest[1]] = rest[0], rest[2]
            elif what in ("install", "upgrade", "configure", "trigproc", "remove", "purge", "disappear") and len(rest) >= 2:
                actions[day, what] += 1
                versions.setdefault((rest[0], rest[2] if len(rest) > 2 else ""), day)
    write("packages", ((package, *found) for package, found in packages.items()))
    write("actions", ((*key, count) for key, count in actions.items()))
    write("versions", ((*key, day) for key, day in versions.items()))


read_repository(sys.argv[1])
read_log(sys.argv[2])
