#!/usr/bin/env python3
"""Runs a command that must end with an exit code; its output is passed on.

usage: exits.py CODE COMMAND [ARGUMENT...]
"""
import subprocess
import sys

code = subprocess.run(sys.argv[2:], timeout=110).returncode
if code != int(sys.argv[1]):
    sys.exit(f"expected exit code {sys.argv[1]}, got {code}")
