"""Writes what a device might have measured for every package of a folder:
fake_measure.py folder. Longer names take longer."""

import json
import pathlib
import sys

for package in pathlib.Path(sys.argv[1]).glob("*.varve"):
    steps = [{"step": "decode", "tokens": tokens, "context": 511,
              "seconds": 1e-4 * len(package.stem) * tokens}
             for tokens in (1, 4)]
    package.with_suffix(".json").write_text(
        json.dumps({"device": "cuda:0 NVIDIA B200 (sm_100)", "steps": steps}))
