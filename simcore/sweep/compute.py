"""One shard, from the search to its files. Runs in a worker process; nothing but a small record comes back."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import RunError
from simcore.sweep import provenance
from simcore.sweep.config import ESTIMATED, Configuration
from simcore.sweep.plan import Shard, layout
from simcore.sweep.store import RunDirectory, write_shard

if TYPE_CHECKING:
    import pandas as pd

    from simcore.search.search import Search


def compute_shard(
    path: str | Path, configuration: Configuration, shard: Shard, *, backend: str, threads: int | None
) -> dict[str, Any]:
    """Compute a shard, check its rows, write its files and its record; return the record.

    Raises ``RunError`` when the search breaks its own contract (rows missing, a critical point that is not a number),
    so that such rows never reach a file.
    """
    wall, cpu = time.monotonic(), _cpu_seconds()
    frames = shard_rows(configuration, shard, backend=backend, threads=threads)
    check_rows(configuration, shard, frames)
    facts = {
        "simcore": provenance.software()["simcore"],
        "backend": backend,
        "software": provenance.software(),
        "instruction_set": provenance.instruction_set(),
        "arithmetic": provenance.arithmetic(),
        "host": platform.node(),
        "threads": threads,
        "ended": provenance.now(),
        "wall_seconds": round(time.monotonic() - wall, 4),
        "cpu_seconds": round(_cpu_seconds() - cpu, 4),
        "peak_bytes": _peak_bytes(),
    }
    return write_shard(RunDirectory(path), configuration, shard, frames, facts)


def shard_rows(
    configuration: Configuration, shard: Shard, *, backend: str, threads: int | None
) -> dict[str, pd.DataFrame]:
    """Return a shard's rows, a DataFrame a kind."""
    from simcore.search import shards, split

    if configuration.method in ESTIMATED:
        return _count_rows(configuration, shard, threads)
    search = search_of(configuration, shard.combination, backend=backend, threads=threads)
    if layout(configuration, shard.combination).split:
        part = split.part_rows(search, draw=shard.first_draw, first_start=shard.first_start, starts=shard.starts)
        return {"parts": part}
    draws: dict[str, Any] = {"first_draw": shard.first_draw, "draws": shard.draws}
    if configuration.method == "newton":
        return {"starts": shards.newton_rows(search, starts=shard.starts, first_start=shard.first_start, **draws)}
    count = shards.enumerate_rows if configuration.method == "enumerate" else shards.ball_rows
    points, audits = count(
        search, starts=configuration.starts, **draws, **_given(configuration, "max_starts", "prove", "radius")
    )
    return {"points": points, "audits": audits}


def search_of(configuration: Configuration, combination: int, *, backend: str, threads: int | None) -> Search:
    """Return the record of a combination's searches."""
    from simcore.search.search import Search

    return Search.of(
        configuration.landscape(combination),
        seed=configuration.seed,
        solver=configuration.solver_settings(),
        backend=backend,
        start_law=configuration.start_law,
        positions=configuration.positions,
        spectrum=configuration.spectrum,
        threads=threads,
    )


def _given(configuration: Configuration, *names: str) -> dict[str, Any]:
    """Return the settings of these names that the configuration states."""
    return {name: value for name in names if (value := getattr(configuration, name)) is not None}


def _count_rows(configuration: Configuration, shard: Shard, threads: int | None) -> dict[str, pd.DataFrame]:
    from simcore.counts.shards import count_rows

    counts, audits = count_rows(
        configuration.landscape(shard.combination),
        range(shard.first_draw, shard.last_draw),
        seed=configuration.seed,
        method=configuration.method,
        threads=threads,
        **_given(configuration, "target_error", "moves", "max_moves", "walkers"),
    )
    return {"counts": counts, "audits": audits}


def check_rows(configuration: Configuration, shard: Shard, frames: dict[str, pd.DataFrame]) -> None:
    """Raise ``RunError`` where rows are missing, out of place, or say "critical" of what is not a number."""
    import numpy as np

    dimension = configuration.landscape(shard.combination).dimension
    draws = np.arange(shard.first_draw, shard.last_draw)

    def insist(holds: Any, what: str) -> None:
        if not np.all(holds):
            raise RunError(f"shard {shard.name}: {what}; its rows were not kept")

    if "counts" in frames:
        counts = frames["counts"]
        insist(counts["draw"].to_numpy() == np.repeat(draws, dimension + 1), "draws out of order")
        insist(counts["morse_index"].to_numpy() == np.tile(np.arange(dimension + 1), shard.draws), "indices missing")
        insist(frames["audits"]["draw"].to_numpy() == draws, "audits out of order")
        return
    if "audits" not in frames:
        (rows,) = frames.values()
        insist(
            len(rows) == shard.draws * shard.starts,
            f"{len(rows)} rows for {shard.draws} draws of {shard.starts} starts",
        )
        insist(rows["draw"].to_numpy() == np.repeat(draws, shard.starts), "draws out of order")
        starts = np.arange(shard.first_start, shard.last_start)
        insist(rows["start"].to_numpy() == np.tile(starts, shard.draws), "starts out of order")
        points = rows.loc[(rows["status"] == "critical").to_numpy(), ["cost", "grad_norm", "morse_index"]]
    else:
        audits, points = frames["audits"], frames["points"]
        insist(len(audits) == shard.draws, f"{len(audits)} audits for {shard.draws} draws")
        insist(audits["draw"].to_numpy() == draws, "draws out of order")
        insist(np.isin(points["draw"].to_numpy(), draws), "points of other draws")
        insist(np.diff(points["draw"].to_numpy()) >= 0, "points out of order")
    for name in ("cost", "grad_norm"):
        insist(np.isfinite(points[name].to_numpy(dtype=float)), f"a critical point whose {name} is not a number")
    index = points["morse_index"].to_numpy()
    insist((index >= 0) & (index <= dimension), f"a critical point with an index outside 0..{dimension}")


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _peak_bytes() -> int | None:
    """Return the most memory that this process ever held, None where the system won't say."""
    try:
        # Not getrusage: Linux lets a child inherit its parent's peak across exec.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
