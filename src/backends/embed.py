# SPDX-License-Identifier: Apache-2.0
"""Turn SQL into a C header that defines it as a string, without its comments.

    embed.py NAME INPUT OUTPUT

The string is written as numbers: a literal may not be longer than 4095 bytes (C17, 5.2.4.1)."""

import sys

name, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as text, open(target, "w", encoding="utf-8") as header:
    header.write(f"static const char {name}[] = {{\n")
    for line in text:
        if not line.startswith("--"):
            header.write("\t" + " ".join(f"{byte}," for byte in line.encode()) + "\n")
    header.write("\t0\n};\n")
