# SPDX-License-Identifier: Apache-2.0
"""What a test needs of npm's registry: fetched once, in the versions that a package-lock.json pins with their checksums."""
import filecmp
import os
import shutil
import subprocess
import sys

NAMES = ("package.json", "package-lock.json")


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def fetch(here, place):
    """Have in PLACE what HERE pins; without node, or without the registry, the test is skipped."""
    if not shutil.which("node"):
        skip("there is no node")
    os.makedirs(place, exist_ok=True)
    is_same = all(os.path.exists(os.path.join(place, name)) and
                  filecmp.cmp(os.path.join(here, name), os.path.join(place, name), False) for name in NAMES)
    if is_same and os.path.exists(os.path.join(place, "node_modules", ".package-lock.json")):
        return
    if not shutil.which("npm"):
        skip("there is no npm to fetch what it needs")
    for name in NAMES:
        shutil.copyfile(os.path.join(here, name), os.path.join(place, name))
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(os.path.join(place, "node_modules"), ignore_errors=True)
        skip("what it needs could not be fetched: " + done.stderr[-500:])
