#!/usr/bin/env python3
"""Checks an inspection's totals against the header of a safetensors file.

usage: stored_totals.py INSPECTION.json MODEL.safetensors
"""
import json
import struct
import sys

with open(sys.argv[1]) as file:
    inspection = json.load(file)
with open(sys.argv[2], "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
header.pop("__metadata__", None)
sizes = [end - begin for begin, end in (t["data_offsets"] for t in header.values())]
expected = (len(sizes), sum(sizes))
assert (inspection["tensors"], inspection["bytes"]) == expected
for account in ("by_type", "by_component"):
    parts = inspection[account].values()
    assert (sum(p["tensors"] for p in parts), sum(p["bytes"] for p in parts)) == expected, account
