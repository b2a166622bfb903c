"""Several studies at once: each in a process of its own, on a processor of its own.

A study that trains a network uses one processor, whatever the machine has; one that enumerates keeps a process busy for
each, all of which start, load and compile the same kernels. On one processor each, studies side by side waste neither.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FIRST = ("ratio_growth", "dauphin_2014", "goodfellow_2015")
"""Studies that take longest: begun first, so that none runs on alone at the end."""
LIBRARIES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ALONE = "import sys; from simcore_analysis.studies.together import alone; alone(*sys.argv[1:])"


def possible() -> bool:
    """Whether this process may use several processors and can bind others to one of them."""
    return hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1


def measured_together(names: Sequence[str], full: bool, out: Path) -> list[str]:
    """Measure studies side by side, one a processor, each into ``out``/name; return the names of those that failed.

    What a study says on standard error is passed on; a line follows when it ends.
    """
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    processors = sorted(os.sched_getaffinity(0))
    for processor in processors:
        free.put(processor)

    def one(name: str) -> bool:
        processor, began = free.get(), time.monotonic()
        arguments = [sys.executable, "-c", ALONE, name, str(int(full)), str(out), str(processor)]
        try:
            ended = subprocess.run(arguments, env={**os.environ, **dict.fromkeys(LIBRARIES, "1")}, check=False)
        finally:
            free.put(processor)
        how = "done" if ended.returncode == 0 else "failed"
        print(f"simcore: study {name}: {how}, {time.monotonic() - began:.0f} s", file=sys.stderr)
        return ended.returncode == 0

    order = sorted(names, key=lambda name: name not in FIRST)  # stable
    with ThreadPoolExecutor(len(processors)) as pool:
        try:
            done = dict(zip(order, pool.map(one, order), strict=True))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [name for name in names if not done[name]]


def alone(name: str, full: str, out: str, processor: str) -> None:
    """Measure one study in this process, bound to one processor; exit with 1 where it cannot be measured."""
    os.sched_setaffinity(0, {int(processor)})
    from simcore.errors import SimcoreError

    from . import STUDIES, get
    from .study import write_study

    try:
        write_study(get(name), full == "1", Path(out) / name, len(STUDIES))
    except SimcoreError as error:
        sys.exit(f"simcore: {name} failed: {error}")
