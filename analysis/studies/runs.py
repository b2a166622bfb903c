"""The runs behind the studies: planned here, computed by the sweep, kept under the study's directory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simcore.errors import RunError
from simcore.info import usable_processors

from ..samples import Sample, load_samples

SEED = 20260101
"""What the seeds of all studies begin with; chosen before the first look at any result and never changed."""


def seed_of(study: str) -> int:
    """Return a study's seed, SEED followed by 32 bits of its name: no two studies see the same random functions."""
    return (SEED << 32) + zlib.crc32(study.encode())


def compute(
    out: Path,
    landscapes: Sequence[Mapping[str, Any]],
    *,
    draws: int,
    seed: int,
    method: str = "enumerate",
    solver: Mapping[str, Any] | None = None,
    **search: Any,
) -> Path:
    """Compute (or resume) one run in directory ``out`` and return it; on one processor, in this very process.

    Parameters
    ----------
    landscapes : tables as in a configuration file: name and parameters, lists are products.
    draws : functions per combination.
    method, search, solver : as in a configuration file.
    seed : the study's, ``seed_of`` its name.

    Raises
    ------
    RunError
        If shards failed, so that draws are missing.
    """
    from simcore.sweep import run_sweep

    tables: dict[str, Any] = {
        "seed": seed,
        "landscape": [dict(table) for table in landscapes],
        "search": {"method": method, "draws": draws, **search},
    }
    if solver:
        tables["solver"] = dict(solver)
    workers = 0 if usable_processors() == 1 else None  # another process would only load everything again
    if int(run_sweep(tables, out, workers=workers)) != 0:
        raise RunError(f"some shards of {out} failed; `simcore verify {out}` names them, and a second call tries again")
    return out


def counted(
    out: Path, landscape: Mapping[str, Any], draws: Mapping[int, int], *, seed: int, **search: Any
) -> list[Sample]:
    """Enumerate one landscape at several n, each with its own number of draws, and return its Samples by n.

    Dimensions with the same number of draws share a run: ``out/<name>-<draws>``.
    """
    samples: list[Sample] = []
    for number in sorted(set(draws.values())):
        dimensions = [n for n in draws if draws[n] == number]
        run = compute(
            out / f"{landscape['name']}-{number}", [{**landscape, "n": dimensions}], draws=number, seed=seed, **search
        )
        samples += load_samples(run)
    return sorted(samples, key=lambda s: s.n)
