#!/usr/bin/env python3
"""Runs a command that must refuse its input: exit code 1, nothing on standard
output, and one line that starts with 'error:'. Prints what it says.

usage: rejects.py COMMAND [ARGUMENT...]
"""
import subprocess
import sys

result = subprocess.run(sys.argv[1:], capture_output=True, text=True, timeout=60)
sys.stdout.write(result.stderr)
errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
if result.returncode != 1:
    sys.exit(f"expected exit code 1, got {result.returncode}")
if result.stdout:
    sys.exit("expected nothing on standard output, got:\n" + result.stdout)
if len(errors) != 1:
    sys.exit(f"expected one error, got {len(errors)}")
