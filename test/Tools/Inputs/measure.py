#!/usr/bin/env python3
"""Runs a command that must succeed within bounds.

usage: measure.py SECONDS MEBIBYTES COMMAND [ARGUMENT...]

The time is the processor time of all threads, which a busy machine does not
change as it does the time on the clock.
"""
import resource
import subprocess
import sys

seconds, mebibytes = float(sys.argv[1]), float(sys.argv[2])
subprocess.run(sys.argv[3:], check=True, timeout=110)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
spent, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(f"{spent:.2f} s, {memory:.0f} MiB")
if spent > seconds:
    sys.exit(f"expected at most {seconds} s")
if memory > mebibytes:
    sys.exit(f"expected at most {mebibytes} MiB")
