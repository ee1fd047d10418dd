# SPDX-License-Identifier: Apache-2.0
"""Turn SQL into a C header that defines it as a string, without its comments: embed.py NAME INPUT OUTPUT."""

import sys

name, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as text, open(target, "w", encoding="utf-8") as header:
    header.write(f"static const char {name}[] =\n")
    for line in text:
        if line.startswith("--"):
            continue
        escaped = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
        header.write(f'\t"{escaped}\\n"\n')
    header.write("\t;\n")
