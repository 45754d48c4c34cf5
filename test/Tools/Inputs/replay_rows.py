"""Runs the replay command of every row of a file of JSON lines and compares the
figures: replay_rows.py rows.jsonl path/of/varve"""

import json
import shlex
import subprocess
import sys

with open(sys.argv[1]) as file:
    rows = [json.loads(line) for line in file]
for row in rows:
    command = shlex.split(row["replay"])
    assert command[0] == "varve", command
    output = subprocess.run([sys.argv[2], *command[1:], "--format=jsonl"],
                            check=True, capture_output=True, text=True).stdout
    again = [json.loads(line) for line in output.splitlines()]
    assert len(again) == 1, output
    for field in ("mix", "options", "figures", "layers", "build"):
        assert again[0][field] == row[field], (field, row, again[0])
print(f"{len(rows)} rows replayed")
