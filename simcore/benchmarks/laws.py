"""``simcore bench theory | sweep``: an exact law from nothing, a whole sweep from configuration to files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from simcore.benchmarks.settings import Settings
from simcore.benchmarks.timing import alternate, confined_to

SWEEP = """
seed = 1

[[landscape]]
name = "{name}"
{parameters}

[search]
method = "newton"
draws = {draws}
starts = 480
"""


def theory(settings: Settings) -> dict[str, Any]:
    """The exact law of one n, all indices, in a process of its own: imports and tables included, nothing remembered."""
    name, n = settings.landscape or "gaussian_field", 50 if settings.n is None else settings.n
    command = [sys.executable, "-m", "simcore.cli", "theory", name, "--n", str(n), "--json"]
    if name == "spherical_spin":
        command += ["--p", str(settings.p)]
    if name == "confined_field":
        command += ["--m", "0.5"]

    def law() -> None:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

    law()
    timing = alternate({"law": law}, settings.repeats)["law"]
    return {
        "case": "theory",
        "landscape": name,
        "n": n,
        "seconds": timing.median,
        "seconds_low": timing.low,
        "seconds_high": timing.high,
    }


def sweep(settings: Settings) -> dict[str, Any]:
    """``simcore run`` of 40 draws of 480 starts with the default solver: rows stored a second, start-up included."""
    table = settings.table("gaussian_field", 5)
    draws = 40
    parameters = "\n".join(f"{key} = {value!r}" for key, value in table.items() if key != "name")
    with tempfile.TemporaryDirectory() as folder, confined_to(settings.threads):
        config = Path(folder) / "sweep.toml"
        config.write_text(SWEEP.format(name=table["name"], parameters=parameters, draws=draws))
        runs = iter(range(1_000_000))

        def run() -> None:
            out = str(Path(folder) / f"run-{next(runs)}")
            command = [sys.executable, "-m", "simcore.cli", "run", str(config), "--out", out]
            command += ["--backend", settings.backend, "--workers", str(settings.threads)]
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)

        run()
        timing = alternate({"run": run}, settings.repeats)["run"]
    rows = draws * 480
    return {
        "case": "sweep",
        **{key if key != "name" else "landscape": value for key, value in table.items()},
        "threads": settings.threads,
        "backend": settings.backend,
        "rows": rows,
        "seconds": timing.median,
        "seconds_low": timing.low,
        "seconds_high": timing.high,
        "rows_per_second": rows / timing.median,
    }
