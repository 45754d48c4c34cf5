#!/usr/bin/env python3
"""Print how many tests passed and how many failed in lit's JSON reports.

    count_results.py REPORT.json...

One line, "PASSED FAILED". Tests that this machine cannot run (UNSUPPORTED) are
neither. Failures are named on stderr.
"""
import json
import sys

PASSING = {"PASS", "XFAIL", "FLAKYPASS"}
NEITHER = {"UNSUPPORTED", "EXCLUDED", "SKIPPED"}


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    passed = failed = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as report:
            for test in json.load(report)["tests"]:
                if test["code"] in PASSING:
                    passed += 1
                elif test["code"] not in NEITHER:
                    failed += 1
                    print(f"{test['code']}: {test['name']}", file=sys.stderr)
    print(passed, failed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
