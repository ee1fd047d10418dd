# SPDX-License-Identifier: Apache-2.0
"""Readable values in gdb: `source tools/gdb/tidemark.py`, then `print event`."""

import datetime

import gdb
import gdb.printing


class UuidPrinter:
    """struct tide_uuid: the text form."""

    def __init__(self, value):
        self.bytes = value["bytes"]

    def to_string(self):
        digits = "".join("%02x" % int(self.bytes[i]) for i in range(16))
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class TimePrinter:
    """struct tide_time: the instant in UTC."""

    def __init__(self, value):
        self.microseconds = int(value["unix_us"])

    def to_string(self):
        try:
            instant = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=self.microseconds)
        except OverflowError:
            return "%d us" % self.microseconds
        return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TextPrinter:
    """struct tide_text: what it holds, and not one byte more."""

    def __init__(self, value):
        self.data, self.size = value["data"], int(value["size"])

    def to_string(self):
        if not int(self.data):
            return "(none)"
        return self.data.string(encoding="utf-8", errors="replace", length=self.size)

    def display_hint(self):
        return "string"


class MonoPrinter:
    """struct mono_time: seconds of the monotonic clock."""

    def __init__(self, value):
        self.ns = int(value["ns"])

    def to_string(self):
        return "never" if self.ns == 2**63 - 1 else "%.9f s" % (self.ns / 1e9)


class StatesPrinter:
    """struct states: where a subscription stands, and where it came from."""

    def __init__(self, value):
        self.state, self.previous = value["state"], value["previous"]

    def to_string(self):
        name = str(self.state).replace("TIDE_STATE_", "")
        return "%s (was %s)" % (name, str(self.previous).replace("TIDE_STATE_", ""))


def printers():
    collection = gdb.printing.RegexpCollectionPrettyPrinter("tidemark")
    for name, printer in (
        ("tide_uuid", UuidPrinter),
        ("tide_time", TimePrinter),
        ("tide_text", TextPrinter),
        ("mono_time", MonoPrinter),
        ("states", StatesPrinter),
    ):
        collection.add_printer(name, "^%s$" % name, printer)
    return collection


gdb.printing.register_pretty_printer(gdb.current_objfile(), printers(), replace=True)
