#!/usr/bin/env python3
"""Runs a command on one core, hence with one thread.

usage: one_core.py COMMAND [ARGUMENT...]
"""
import os
import sys

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.execvp(sys.argv[1], sys.argv[1:])
