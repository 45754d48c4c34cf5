#!/usr/bin/env python3
"""Checks that a package's pools grow by what `varve inspect` says.

usage: page_bytes.py MODEL SMALL PAGES SEQUENCES TOKENS

MODEL is `varve inspect --json` of a model; the others are `varve-run inspect
--json` of its package with 256 pages and 256 sequences, with 512 pages, and with
512 sequences. A page is TOKENS tokens. Counts are multiples of 256, so that no
pool is padded.
"""
import json
import sys

model, small, pages, sequences = (json.load(open(path)) for path in sys.argv[1:5])


def pools(package):
    (target,) = package["targets"]
    return target["memory"]["pools"]


tokens = 256 * int(sys.argv[5])
grown = pools(pages) - pools(small)
assert grown == model["bytes_per_token"] * tokens, (grown / tokens, model["bytes_per_token"])
longest = max(model["memory_per_sequence"], key=lambda row: row["tokens"])
fixed = longest["windows"] + longest["states"]
grown = pools(sequences) - pools(small)
assert grown == 256 * fixed, (grown / 256, fixed)
print(f"{model['bytes_per_token']} bytes a token, {fixed} a sequence")
