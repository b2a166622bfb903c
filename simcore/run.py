"""``simcore.run``: a sweep from Python, as ``simcore run`` makes it from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def run(
    config: str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    backend: str = "cpu",
    workers: int | None = None,
    dask: Any = None,
    shard: tuple[int, int] | str | None = None,
    allow_version: bool = False,
    progress: bool = False,
    plugin: str | Sequence[str] = (),
) -> Path:
    """Compute what is missing of a sweep and return its directory; called again with the same ``out`` it resumes.

    Parameters
    ----------
    config : path or dict
        A TOML file, or its tables: ``{"seed": 1, "landscape": [{"name": "torus_field", "n": [2, 3]}], "search":
        {"method": "enumerate", "draws": 50}}``.
    out : path
        The run directory, for ``simcore.load``, ``simcore.plot`` and the command line.
    backend, workers, dask, shard, allow_version
        As the options of ``simcore run``; ``workers=0`` computes in this very process, on all threads.
    progress : bool
        Show on standard error where the run stands; otherwise the logger ``simcore`` tells. Ctrl-C ends it within a
        second, and everything finished is kept.
    plugin : str or list of str
        Modules, dotted names or paths of .py files, that register families of your own. Worker processes import them
        too: a family that only this process registered is known to ``workers=0`` alone.

    Returns
    -------
    Path
        ``out``; with ``shard`` other parts of the run may still be missing.

    Raises
    ------
    InputError
        For a bad configuration or argument, or a directory that belongs to another configuration.
    RunError
        Where some shards failed (what finished is kept), the disk is full, or another process writes the run.
    """
    from simcore import plugins
    from simcore.errors import InputError, RunError
    from simcore.sweep import run_sweep

    if not isinstance(progress, bool):
        raise InputError(f"progress is {progress!r}; give True or False")
    plugins.load([plugin] if isinstance(plugin, str) else plugin)
    done = run_sweep(
        config,
        out,
        backend=backend,
        workers=workers,
        dask=dask,
        shard=shard,
        allow_version=allow_version,
        progress=progress,
    )
    if int(done) != 0:
        raise RunError(f"some shards of {out} failed; `simcore verify {out}` names them, and a second call tries again")
    return Path(out)
