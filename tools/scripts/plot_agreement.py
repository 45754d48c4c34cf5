#!/usr/bin/env python3
"""Draws what level E1 predicts against what was measured.

plot_agreement.py ROWS.jsonl... -o SCATTER.svg

ROWS are JSON lines of `varve explore --level=e3 --format=jsonl`. Writes a scatter
as SVG and prints Markdown: rank correlations by step, and every configuration.
"""

import argparse
import json
import math
from html import escape

COLORS = ["#2a6fb0", "#c8502d", "#4f8a3c", "#8254a8", "#9a8c2c", "#555555"]


def load(paths):
    """Rows that have a prediction, as dictionaries."""
    rows = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if "refused" in row or not row["figures"]["predicted_ms"]:
                    continue
                options, mix = row["options"], row["mix"]
                settings = [s for s in mix["set"]
                            if not s.startswith("vocab_size=")]
                rows.append({
                    "mix": " ".join([mix["model"], mix["layers"], *settings]) +
                           ("" if options["precision"] == "native"
                            else ", " + options["precision"]),
                    "tokens": options["tokens"] * options["batch"],
                    "before": options["context"] - options["tokens"],
                    "predicted": row["figures"]["predicted_ms"],
                    "measured": row["figures"]["step_ms"],
                    "device": row["measured_on"],
                    "build": row["build"]})
    return rows


def ranks(values):
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    result = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last < len(order) and values[order[last]] == values[order[first]]:
            last += 1
        for i in range(first, last):
            result[order[i]] = (first + 1 + last) / 2
        first = last
    return result


def correlation(rows):
    """Spearman's coefficient of prediction and measurement."""
    a = ranks([row["predicted"] for row in rows])
    b = ranks([row["measured"] for row in rows])
    mean = (len(rows) + 1) / 2
    ab = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    aa = sum((x - mean) ** 2 for x in a)
    bb = sum((y - mean) ** 2 for y in b)
    return ab / math.sqrt(aa * bb)


def group(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def draw(rows, out):
    """A square, both axes logarithmic, a colour for each size of step."""
    size, left, top = 560, 64, 16
    both = [row[name] for row in rows for name in ("predicted", "measured")]
    low, high = math.log10(min(both) / 1.3), math.log10(max(both) * 1.3)
    span = size - left - top

    def across(ms):
        return left + (math.log10(ms) - low) / (high - low) * span

    def up(ms):
        return top + span - (math.log10(ms) - low) / (high - low) * span

    out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" '
              f'height="{size}" viewBox="0 0 {size} {size}" '
              'font-family="sans-serif" font-size="12">\n'
              f'<rect width="{size}" height="{size}" fill="#ffffff"/>\n')
    ticks = [m * 10.0 ** e for e in range(-3, 4) for m in (1, 2, 5)]
    for ms in ticks:
        if not low <= math.log10(ms) <= high:
            continue
        x, y = across(ms), up(ms)
        out.write(f'<path d="M{x:.1f} {top}V{top + span}M{left} {y:.1f}'
                  f'H{left + span}" stroke="#e4e4e4"/>'
                  f'<text x="{x:.1f}" y="{top + span + 18}" fill="#333333" '
                  f'text-anchor="middle">{ms:g}</text>'
                  f'<text x="{left - 8}" y="{y + 4:.1f}" fill="#333333" '
                  f'text-anchor="end">{ms:g}</text>\n')
    least, most = 10 ** low, 10 ** high
    out.write(f'<path d="M{across(least):.1f} {up(least):.1f}'
              f'L{across(most):.1f} {up(most):.1f}" stroke="#999999"/>\n')
    by_tokens = sorted(group(rows, lambda row: row["tokens"]).items())
    for color, (tokens, part) in zip(COLORS, by_tokens):
        for row in part:
            tip = (f'{row["mix"]}, {tokens} tokens behind {row["before"]}: '
                   f'predicted {row["predicted"]:.3g} ms, '
                   f'measured {row["measured"]:.3g} ms')
            out.write(f'<circle cx="{across(row["predicted"]):.1f}" '
                      f'cy="{up(row["measured"]):.1f}" r="4" fill="{color}" '
                      f'fill-opacity="0.6"><title>{escape(tip)}</title>'
                      '</circle>\n')
    for place, (color, (tokens, part)) in enumerate(zip(COLORS, by_tokens)):
        y = top + 20 + 18 * place
        name = "1 token" if tokens == 1 else f"{tokens} tokens"
        out.write(f'<circle cx="{left + 16}" cy="{y - 4}" r="5" '
                  f'fill="{color}"/><text x="{left + 28}" y="{y}" '
                  f'fill="#333333">{name}</text>\n')
    out.write(f'<text x="{left + span / 2}" y="{size - 8}" fill="#333333" '
              'text-anchor="middle">predicted by level E1, ms</text>'
              f'<text transform="translate(16 {top + span / 2}) rotate(-90)" '
              'fill="#333333" text-anchor="middle">measured, ms</text>\n'
              '</svg>\n')


def report(rows):
    """Markdown on standard output."""
    print(f'{len(rows)} steps of {len(group(rows, lambda r: r["mix"]))} '
          f'configurations on {rows[0]["device"]}, build {rows[0]["build"]}\n')
    print("| step | steps | rank correlation | measured / predicted |")
    print("|---|---|---|---|")
    steps = group(rows, lambda row: (row["tokens"], row["before"]))
    for (tokens, before), part in [*sorted(steps.items()),
                                   (("all", ""), rows)]:
        factors = sorted(row["measured"] / row["predicted"] for row in part)
        name = ("all" if tokens == "all"
                else f"{tokens} tokens, {before:,} before")
        print(f"| {name} | {len(part)} | {correlation(part):.3f} | "
              f"{factors[0]:.2f} to {factors[-1]:.2f}, median "
              f"{factors[len(factors) // 2]:.2f} |")
    print("\n| configuration | " +
          " | ".join(f"{tokens}, {before:,}" for tokens, before
                     in sorted(steps)) + " |")
    print("|---|" + "---|" * len(steps))
    for mix, part in group(rows, lambda row: row["mix"]).items():
        cells = {(row["tokens"], row["before"]):
                 f'{row["predicted"]:.2f}, {row["measured"]:.2f}'
                 for row in part}
        print(f"| {mix} | " +
              " | ".join(cells.get(step, "") for step in sorted(steps)) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="+", help="JSON lines of level e3")
    parser.add_argument("-o", required=True, help="the SVG")
    arguments = parser.parse_args()
    rows = load(arguments.rows)
    with open(arguments.o, "w", encoding="utf-8") as out:
        draw(rows, out)
    report(rows)


if __name__ == "__main__":
    main()
