# SPDX-License-Identifier: Apache-2.0
"""Turn the files of the dashboard into a C table of them: embed.py OUTPUT INPUT..."""

import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

target, sources = sys.argv[1], sys.argv[2:]
with open(target, "w", encoding="ascii") as table:
    for number, source in enumerate(sources):
        with open(source, "rb") as file:
            data = file.read()
        table.write(f"static const unsigned char board_data_{number}[] = {{\n")
        for start in range(0, len(data), 24):
            table.write("\t" + "".join(f"{byte}," for byte in data[start:start + 24]) + "\n")
        table.write("};\n")
    table.write("static const struct board_file board_files[] = {\n")
    for number, source in enumerate(sources):
        name = os.path.basename(source)
        kind = TYPES[os.path.splitext(name)[1]]
        table.write(f'\t{{ "{name}", "{kind}", board_data_{number}, sizeof board_data_{number} }},\n')
    table.write("};\n")
