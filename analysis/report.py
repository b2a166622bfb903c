"""``simcore demo``: the main job in miniature, from random functions to the table and figures of a paper."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from simcore.errors import InputError, RunError

SEED = 20260101
"""Chosen before the first look at any result, and never changed after one."""

DRAWS = 40
"""Functions a row: from 30 up, and enough for a relative error of every ratio below 10 %. The ratio of torus_field
n = 4 fluctuates most, relatively, from draw to draw: its error was 6 % with 40 draws in a pilot. More draws would cost
time at n = 6 and n = 10, where the demo spends most of it."""

FIGURES = [f"{name}{suffix}" for name in ("ratio", "index_cost") for suffix in (".png", ".pdf")]
FILES = ["table.csv", "table.md", "table.tex", *FIGURES]
"""What the demo writes beside its run."""

CONFIGURATION: dict[str, Any] = {
    "seed": SEED,
    "landscape": [
        {"name": "torus_field", "n": [1, 2, 3, 4, 5, 6]},
        {"name": "spherical_spin", "n": [3, 4, 5, 6, 7, 8, 9, 10], "p": 3},
    ],
    "search": {"method": "enumerate", "draws": DRAWS},
}


def demo(out: Path | str = "demo-out") -> None:
    """Count the critical points of random functions in several dimensions; print the table, write data and figures.

    Isotropic Gaussian fields on the torus (n = 1..6) and spherical 3-spins (n = 3..10), every function enumerated
    completely by a sweep with a fixed seed. Under ``out``: ``run`` (the run directory), ``table.csv`` (columns of
    ``simcore_analysis.tables.DEMO_COLUMNS``), ``table.md``, ``table.tex``, and ``ratio`` and ``index_cost`` as .png
    and .pdf.
    Called again with the same ``out``, it resumes the run and writes the rest anew.

    Raises
    ------
    RunError
        If some shards of the run failed.
    InputError
        If ``out/run`` belongs to another configuration, or ``out`` holds such files and no run of the demo.
    """
    from simcore.sweep import load, run_sweep

    began = time.monotonic()
    folder = Path(out)
    run = folder / "run"
    there = [name for name in FILES if (folder / name).exists()]
    if there and not (run / "run.json").exists():
        raise InputError(f"{folder} holds {there[0]} and no run of the demo; give --out another directory")
    if int(run_sweep(CONFIGURATION, run)) != 0:
        raise RunError(f"some shards of {run} failed; `simcore verify {run}` names them, and a second call tries again")

    from .canvas import save
    from .figures import index_cost_figure, ratio_figure
    from .samples import samples_from_frames
    from .tables import count_table, demo_csv, provenance_note

    points = load(run)
    samples = samples_from_frames(points, load(run, kind="audits"))
    table = count_table(samples, [provenance_note(run)])
    (folder / "table.csv").write_text(demo_csv(table), encoding="utf-8")
    (folder / "table.md").write_text(table.markdown(), encoding="utf-8")
    (folder / "table.tex").write_text(table.latex(), encoding="utf-8")
    figures = {"ratio": ratio_figure(samples), "index_cost": index_cost_figure(samples, points)}
    for name in FIGURES:
        save(figures[Path(name).stem], folder / name)
    print(table.markdown().rstrip())
    print(f"simcore: demo written to {folder} in {time.monotonic() - began:.0f} s", file=sys.stderr)
