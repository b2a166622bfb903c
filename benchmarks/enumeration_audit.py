"""How often is a draw called complete that is not? Every draw is searched again, ten times as hard, in other ways.

For each complete draw the second search makes ten times as many ordinary starts, none of them used before: half by the
enumeration's own kinds of start, half by a step cap of a third of a correlation length, whose basins are others; then
searches from all points that this brings. A draw is wrong if any point appears that the enumeration lacks. The upper
95 % bound on the rate of wrong draws is Clopper and Pearson's, 1 - 0.05^{1/draws} where none is wrong.

    python -m benchmarks.enumeration_audit --case spherical_spin:n=8,p=3:draws=800 --seed 11

Rows that a case's file holds already are kept: ask for more draws, and only those are searched.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from simcore.landscapes.registry import from_dict
from simcore.search.enumerate import MAX_STARTS, descended_of, enumerate_draw
from simcore.search.points import Points
from simcore.search.rounds import FIRST_ROUND
from simcore.search.search import Search
from simcore.search.target import Target, Workers
from simcore.search.targeted import starts_from

HARDER = 10
SHORT_CAP = 1 / 3
KEPT = ["draw", "milliseconds", "distinct", "starts", "least_hits", "complete", "certified_fraction", "new_points"]


def audited(entry: dict[str, Any], seed: int, number: int) -> dict[str, Any]:
    """Enumerate one draw, search it again, and return what was found."""
    landscape = from_dict(entry)
    chosen = Search.of(landscape, seed=seed, positions=True)
    target = Target.of(chosen, landscape.draw(seed=seed, draw=number))
    alone = Workers(1)
    begin = time.process_time()
    found = enumerate_draw(target, (FIRST_ROUND, MAX_STARTS), alone, prove=False)
    seconds = time.process_time() - begin
    row = {"draw": number, "milliseconds": 1e3 * seconds, **found.audit}
    del row["saturation"]
    if not found.audit["complete"]:
        return row | {"new_points": -1}
    points = Points(target, alone)
    x = np.stack(found.points["x"].to_list())
    points.add_targeted(target.newton(x))
    assert len(points) == len(x), "the points of an enumeration are critical and distinct"
    starts = found.audit["starts"]
    half = HARDER * starts // 2
    short = replace(chosen, options=chosen.options._replace(step_cap=SHORT_CAP * landscape.scales.length))
    points.add_ordinary(target.ordinary(starts, half), starts)
    descended = descended_of(target)
    if descended is not None:
        points.add_ordinary(descended(starts, half), starts, plain=False)
    points.add_targeted(Target(short, target.draw, target.problem).ordinary(starts + half, half))
    new = len(points) - len(x)
    if new:
        points.add_targeted(target.newton(starts_from(target, points.table.x[len(x) :])))
    return row | {"new_points": len(points) - len(x)}


def bound(wrong: int, draws: int) -> float:
    """Return the upper 95 % bound on the rate of wrong draws."""
    return 1.0 if wrong >= draws else float(beta.ppf(0.95, wrong + 1, draws - wrong))


def case(text: str) -> tuple[dict[str, Any], int]:
    """Return (landscape, draws) of "name:key=value,...:draws=N"."""
    name, parameters, draws = text.split(":")
    entry: dict[str, Any] = {"name": name}
    for pair in filter(None, parameters.split(",")):
        key, value = pair.split("=")
        entry[key] = float(value) if "." in value else int(value)
    return entry, int(draws.removeprefix("draws="))


def write_table(out: Path, seed: int) -> None:
    """Write table.md from the rows of all cases in the folder."""
    lines: list[dict[str, Any]] = []
    for path in sorted(out.glob("*.csv")):
        rows = pd.read_csv(path)
        complete = rows[rows["complete"]]
        wrong = int((complete["new_points"] > 0).sum())
        lines.append(
            {
                "landscape": path.stem,
                "draws": len(rows),
                "complete": len(complete),
                "wrong": wrong,
                "rate, upper 95 %": bound(wrong, len(complete)),
                "points a draw": rows["distinct"].mean(),
                "median starts": rows["starts"].median(),
                "median ms": rows["milliseconds"].median(),
                "certified": rows["certified_fraction"].mean(),
            }
        )
    draws, complete_draws, wrong = (sum(line[key] for line in lines) for key in ("draws", "complete", "wrong"))
    text = [f"Seed {seed}; each complete draw searched again with {HARDER} times the starts of its enumeration:"]
    text += ["`python -m benchmarks.enumeration_audit --case spherical_spin:n=6,p=3:draws=3000 ...`"]
    text += ["", "| " + " | ".join(lines[0]) + " |", "|" + "---|" * len(lines[0])]
    for line in lines:
        text.append("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in line.values()) + " |")
    text += ["", f"All cases together: {wrong} of {complete_draws} complete draws wrong (of {draws} draws);"]
    text += [f"upper 95 % bound {bound(wrong, complete_draws):.2e}. Milliseconds are processor time of one thread."]
    (out / "table.md").write_text("\n".join(text) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", default=[], help="name:parameters:draws=N, several times")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/enumeration_audit"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for text in options.case:
        entry, draws = case(text)
        label = "_".join(str(value) if key == "name" else f"{key}{value}" for key, value in entry.items())
        path = options.out / f"{label}.csv"
        done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEPT)
        left = [draw for draw in range(draws) if draw not in set(done["draw"])]
        with ProcessPoolExecutor(options.workers) as pool:
            rows = list(pool.map(partial(audited, entry, options.seed), left, chunksize=8))
        if rows:
            new = pd.DataFrame(rows)[KEPT].round(4)
            pd.concat([done, new] if len(done) else [new]).to_csv(path, index=False)
        write_table(options.out, options.seed)


if __name__ == "__main__":
    main()
