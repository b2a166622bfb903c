"""Compile time, apart: the first and the second call of a search in a process with an empty compile cache.

Run as ``python -m simcore.benchmarks.first_call JSON`` with ``{"landscape": {...}, "backend": "cpu"}``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import simcore
from simcore.errors import RunError

_MEASURED: dict[tuple[str, str], float] = {}  # one compilation serves every size of a landscape


def compile_seconds(landscape: dict[str, Any], backend: str) -> float:
    """Return how much longer a search takes with an empty compile cache than when it is compiled."""
    key = (landscape["name"], backend)
    if key not in _MEASURED:
        _MEASURED[key] = _measure(landscape, backend)
    return _MEASURED[key]


def _measure(landscape: dict[str, Any], backend: str) -> float:
    with tempfile.TemporaryDirectory() as empty:
        package = str(Path(simcore.__file__).parents[1])
        path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-m", __name__, json.dumps({"landscape": landscape, "backend": backend})],
            env={**os.environ, "NUMBA_CACHE_DIR": empty, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RunError(f"the process that measures compile time failed: {last[0]}")
    first, second = json.loads(done.stdout)
    return max(0.0, first - second)


def main(text: str) -> None:
    """Print the times of the first and the second call as a JSON list."""
    given = json.loads(text)
    from simcore.benchmarks.timing import clock_of, seconds
    from simcore.landscapes import registry
    from simcore.search.find import find_critical_points

    landscape = registry.from_dict(given["landscape"])

    def search() -> None:
        find_critical_points(landscape, starts=24, seed=0, backend=given["backend"], threads=1)

    print(json.dumps([seconds(search, clock_of(1)), seconds(search, clock_of(1))]))


if __name__ == "__main__":
    main(sys.argv[1])
