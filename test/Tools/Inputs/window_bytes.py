#!/usr/bin/env python3
"""Checks that of two inspections, whose sliding windows are 32 and 48, only the
windows' bytes differ, as 32 and 48 do."""
import json
import sys

small, large = (json.load(open(path))["memory_per_sequence"] for path in sys.argv[1:])
for a, b in zip(small, large, strict=True):
    assert a["tokens"] == b["tokens"] and a["entries"] == b["entries"]
    assert a["states"] == b["states"] and a["windows"] > 0
    assert b["windows"] * 2 == a["windows"] * 3, (a, b)
    for x in (a, b):
        assert x["total"] == x["entries"] + x["windows"] + x["states"]
