"""Counts by random paths against proved ones: z-scores, and how long 10 % takes where nothing can be enumerated.

    python benchmarks/paths_audit.py --out results/proof 16:20 20:1 26

``n:draws`` proves that many draws of the 3-spin model (``prove=True``) and counts each by 20,000 random paths through
``simcore.estimate_counts(method="paths")``: z = (count - proved count)/standard error. ``n`` alone counts one draw to
10 % without a proof. Seconds are processor time. Files: ``paths.json`` (lines are added to those that are there) and
``paths.md``. One thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import simcore

SEED = 20_261_127
PATHS = 20_000


def compared(n: int, draws: int) -> dict[str, Any]:
    """Return z-scores of the totals, and median times."""
    z, shares, trusted, seconds, proofs = [], [], 0, [], []
    for number in range(draws):
        draw = simcore.SphericalSpin(n=n, p=3).draw(seed=SEED, draw=number)
        began = time.process_time()
        found = simcore.enumerate_critical_points(draw, starts=0, prove=True, positions=False, threads=1)
        middle = time.process_time()
        if not found.audit["proved"]:
            raise SystemExit(f"n = {n}, draw {number} is not proved; leave it out")
        counted = simcore.estimate_counts(draw, method="paths", moves=PATHS, threads=1)
        seconds.append(time.process_time() - middle)
        proofs.append(middle - began)
        z.append((counted.total - len(found.points)) / counted.total_se)
        shares.append(counted.total_se / counted.total)
        trusted += bool(counted.diagnostics["trusted"])
        told = f"{len(found.points)} points, counted {counted.total:.0f} +- {counted.total_se:.0f}, z = {z[-1]:.2f}"
        print(f"n = {n}, draw {number}: {told}", flush=True)
    one = {"n": n, "draws": draws, "paths": PATHS, "of": 2**n - 1, "z": z, "trusted": trusted}
    one["relative_error"] = float(np.median(shares))
    return one | {"seconds": float(np.median(seconds)), "proof_seconds": float(np.median(proofs))}


def alone(n: int) -> dict[str, Any]:
    """Return how one draw is counted to 10 %."""
    draw = simcore.SphericalSpin(n=n, p=3).draw(seed=SEED)
    began = time.process_time()
    counted = simcore.estimate_counts(draw, method="paths", target_error=0.1, threads=1)
    seconds = time.process_time() - began
    return {"n": n, "draws": 1, "paths": counted.diagnostics["paths"], "of": 2**n - 1, "total": counted.total,
            "relative_error": counted.total_se / counted.total, "trusted": int(counted.diagnostics["trusted"]),
            "seconds": seconds}  # fmt: skip


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as Markdown."""
    text = [
        "| n | draws | paths of all | z: mean, root mean square, largest | relative error | trusted | s | proof, s |"
    ]
    text.append("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for one in sorted(lines, key=lambda line: (line["n"], line["draws"])):
        z = np.array(one.get("z", []))
        scores = f"{z.mean():.2f}, {np.sqrt((z**2).mean()):.2f}, {np.abs(z).max():.2f}" if len(z) else ""
        proof = f"{one['proof_seconds']:.1f}" if "proof_seconds" in one else ""
        cells = [one["n"], one["draws"], f"{one['paths']:,} of {one['of']:,}", scores, f"{one['relative_error']:.3f}"]
        cells += [one["trusted"], f"{one['seconds']:.1f}", proof]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(text) + "\n"


def main() -> None:
    """Run the lines asked for and add them to the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", help="n:draws, or n")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "paths.json"
    stored = json.loads(path.read_text()) if path.exists() else []
    first = simcore.SphericalSpin(n=4, p=3).draw(seed=SEED)
    simcore.enumerate_critical_points(first, starts=0, prove=True, positions=False, threads=1)  # compiles
    simcore.estimate_counts(first, method="paths", moves=8, threads=1)
    for text in given.lines:
        n, _, draws = text.partition(":")
        result = compared(int(n), int(draws)) if draws else alone(int(n))
        print({key: value for key, value in result.items() if key != "z"}, flush=True)
        stored = [one for one in stored if (one["n"], "z" in one) != (result["n"], "z" in result)] + [result]
        path.write_text(json.dumps(stored, indent=1) + "\n")
        (given.out / "paths.md").write_text(table(stored))


if __name__ == "__main__":
    main()
