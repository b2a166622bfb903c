"""README's table of results from the demo's: ``python -m benchmarks.readme_table`` writes it after ``simcore demo``.

Nothing in the block is typed in by hand: every row of ``results/demo/table.csv`` and the two sentences below them.
"""

from __future__ import annotations

import csv
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "results" / "demo" / "table.csv"
BLOCK = re.compile(r"<!-- results -->\n.*?<!-- end results -->", re.DOTALL)
Row = Mapping[str, str]


def demo_rows(path: Path = DEMO) -> list[Row]:
    """Return the rows of the demo's table."""
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def line(row: Row) -> str:
    """Return one row of README's table; dashes where there are no saddles."""
    saddles = float(row["ratio_distinct"]) > 0
    ratio = f"{float(row['ratio_distinct']):.2f} ± {float(row['ratio_distinct_se']):.2f}" if saddles else "-"
    exact = f"{float(row['ratio_exact']):.2f}" if saddles and row["ratio_exact"] else "-"
    z = f"{float(row['z']):+.2f}" if row["z"] else "-"
    hits = f"{float(row['ratio_hits']):.1f}" if saddles else "-"
    functions = row["functions"] if row["complete"] == row["functions"] else f"{row['complete']} of {row['functions']}"
    cells = (f"`{row['landscape']}`", row["n"], functions, row["critical_points"], ratio, exact, z, hits)
    return f"| {' | '.join((*cells, row['ratio_coin_flip']))} |"


def bias(rows: Sequence[Row], landscape: str) -> tuple[float, float]:
    """Return the smallest and largest factor by which hits overstate a landscape's ratio of saddles to minima."""
    factors = [
        float(row["ratio_hits"]) / float(row["ratio_distinct"])
        for row in rows
        if row["landscape"] == landscape and float(row["ratio_distinct"]) > 0
    ]
    return min(factors), max(factors)


def block(rows: Sequence[Row]) -> str:
    """Return README's block of results."""
    spin, torus = bias(rows, "spherical_spin"), bias(rows, "torus_field")
    judged = [float(row["z"]) for row in rows if row["z"]]
    largest = max(judged, key=abs)
    beyond = sum(abs(z) > 1.96 for z in judged)
    head = (
        "| function | n | functions | critical points | saddles per minimum | exact | z | by raw hits | coin flips |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    )
    whole = all(row["complete"] == row["functions"] for row in rows)
    above = (
        f"Measured by `simcore demo` ({'every' if whole else 'not every'} function enumerated completely; one standard "
        "error between functions; z = (measured - exact)/error):"
    )
    below = (
        f"Of {len(judged)} values of z {beyond} {'lies' if beyond == 1 else 'lie'} beyond 1.96, the largest is "
        f"{largest:+.2f}. Raw hits overstate the ratio by a factor of {spin[0]:.1f} to {spin[1]:.1f} for the 3-spin "
        f"and of {torus[0]:.1f} to {torus[1]:.1f} for the torus."
    )
    table = "\n".join((*head, *(line(row) for row in rows)))
    texts = (textwrap.fill(text, 120) for text in (above, below))
    return f"<!-- results -->\n{next(texts)}\n\n{table}\n\n{next(texts)}\n<!-- end results -->"


def main() -> None:
    """Write the block into README.md."""
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(BLOCK.sub(lambda _: block(demo_rows()), text), encoding="utf-8")


if __name__ == "__main__":
    main()
