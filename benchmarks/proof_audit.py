"""Proofs against the search: every draw is listed twice, by a proof and by the search's rule of hits, and compared.

    python benchmarks/proof_audit.py --out results/proof "spherical_spin:n=8,p=3:draws=400" "torus_field:n=3:draws=400"
    ...

For each case: how many draws are proved, how many lists are the same (as many points, each within 10^-4 of its partner,
with its index), how often ``complete`` was wrong where the proof knows better, with the upper 95 % bound on that rate,
and the processor time of whole calls, ``starts=0, prove=True`` and ``prove=False``, medians. Files: ``audit.json``
(cases are added to those that are there), ``table.md``. One thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import beta

import simcore
from simcore.info import processor
from simcore.landscapes.registry import from_dict

SEED = 20_261_126
NEAR = 1e-4


def timed(landscape: Any, draw: int, seed: int, **options: Any) -> tuple[Any, float]:
    """Return an enumeration and its processor time in milliseconds."""
    begin = time.process_time()
    found = simcore.enumerate_critical_points(landscape, draw=draw, seed=seed, threads=1, **options)
    return found, 1e3 * (time.process_time() - begin)


def same(one: Any, other: Any, period: float) -> bool:
    """Whether two enumerations hold the same points with the same indices."""
    if len(one.points) != len(other.points):
        return False
    x, z = (np.stack(found.points["x"].to_numpy()) for found in (one, other))
    for begin in range(0, len(x), 256):
        gap = np.abs(x[begin : begin + 256, np.newaxis] - z)
        if period > 0:
            gap = np.minimum(gap, np.abs(period - gap))
        distance = np.sqrt((gap**2).sum(axis=2))
        partner = distance.argmin(axis=1)
        index = one.points["morse_index"].to_numpy()[begin : begin + 256]
        if distance.min(axis=1).max() > NEAR or (other.points["morse_index"].to_numpy()[partner] != index).any():
            return False
    return True


def audited(entry: dict[str, Any], draws: int, seed: int) -> dict[str, Any]:
    """List every draw twice and return what was found."""
    landscape = from_dict(entry)
    timed(landscape, draws, seed, starts=0, prove=True)  # compiles
    timed(landscape, draws, seed, prove=False)
    rows = []
    for draw in range(draws):
        proved, ours = timed(landscape, draw, seed, starts=0, prove=True)
        searched, theirs = timed(landscape, draw, seed, prove=False)
        proof = proved.audit["proof"] or {}
        equal = same(proved, searched, landscape.domain.period)
        rows.append(
            {
                "proved": proved.audit["proved"],
                "same": equal,
                "complete": searched.audit["complete"],
                "wrong": bool(proved.audit["proved"] and searched.audit["complete"] and not equal),
                "retracked": proof.get("retracked", 0),
                "work": proof.get("paths", proof.get("boxes", 0)),
                "points": len(proved.points),
                "ms": ours,
                "search_ms": theirs,
            }
        )
        if not (equal and proved.audit["proved"]):
            print("  draw", draw, rows[-1], flush=True)
    wrong, judged = sum(r["wrong"] for r in rows), sum(r["proved"] and r["complete"] for r in rows)
    return {
        "landscape": entry,
        "seed": seed,
        "draws": draws,
        "proved": sum(r["proved"] for r in rows),
        "same": sum(r["same"] for r in rows),
        "complete": sum(r["complete"] for r in rows),
        "complete_but_wrong": wrong,
        "wrong_at_most": 1.0 if wrong >= judged else float(beta.ppf(0.95, wrong + 1, judged - wrong)),
        "work": statistics.median(r["work"] for r in rows),
        "retracked": statistics.mean(r["retracked"] for r in rows),
        "points": statistics.mean(r["points"] for r in rows),
        "ms": statistics.median(r["ms"] for r in rows),
        "search_ms": statistics.median(r["search_ms"] for r in rows),
        "ratio": statistics.median(r["search_ms"] / r["ms"] for r in rows),
    }


def case(text: str) -> tuple[dict[str, Any], int]:
    """Return (landscape, draws) of "name:key=value,...:draws=N"."""
    name, parameters, draws = text.split(":")
    entry: dict[str, Any] = {"name": name}
    for item in parameters.split(","):
        key, value = item.split("=")
        entry[key] = value if key == "frequencies" else float(value) if key == "m" else int(value)
    return entry, int(draws.split("=")[1])


COLUMNS = (
    "landscape", "draws", "proved", "same as the search", "`complete` wrong, at most (95 %)", "paths or boxes",
    "tracked again", "points", "ms", "search, ms", "search / proof",
)  # fmt: skip


def table(cases: list[dict[str, Any]]) -> str:
    """Return the cases as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "--:|" * (len(COLUMNS) - 1)]
    for c in cases:
        name = ", ".join(str(v) if k == "name" else f"{k} = {v}" for k, v in c["landscape"].items())
        cells = [name, c["draws"], c["proved"], c["same"], f"{c['complete_but_wrong']}, {c['wrong_at_most']:.1e}"]
        cells += [f"{c['work']:,.0f}", f"{c['retracked']:.1f}", f"{c['points']:.1f}", f"{c['ms']:.2f}"]
        cells += [f"{c['search_ms']:.2f}", f"{c['ratio']:.1f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    draws, proved, same, wrong = (sum(c[k] for c in cases) for k in ("draws", "proved", "same", "complete_but_wrong"))
    bound = float(beta.ppf(0.95, wrong + 1, max(proved - wrong, 1)))
    lines += [
        "",
        f"All together: {draws:,} draws, {proved:,} proved, {same:,} the same; `complete` was wrong in {wrong},",
    ]
    lines += [f"a rate below {bound:.1e} at 95 %."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the cases and add them to the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", help="name:key=value,...:draws=N")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    warnings.simplefilter("ignore", simcore.IncompleteWarning)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "audit.json"
    stored = json.loads(path.read_text()) if path.exists() else {"cases": []}
    for text in given.cases:
        entry, draws = case(text)
        result = audited(entry, draws, given.seed)
        print(text, {k: v for k, v in result.items() if k != "landscape"}, flush=True)
        stored["cases"] = [c for c in stored["cases"] if c["landscape"] != entry] + [result]
        stored["processor"] = {key: processor().get(key) for key in ("model", "llvm_name", "features", "tile")}
        path.write_text(json.dumps(stored, indent=1) + "\n")
        (given.out / "table.md").write_text(table(stored["cases"]))


if __name__ == "__main__":
    main()
