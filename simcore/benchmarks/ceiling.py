"""The DGEMM ceiling: what the processor gives to the best matrix product that NumPy can be made to run.

OpenBLAS chooses its kernels when NumPy loads, and not always the best ones. So one child process a core type waits with
NumPy loaded, and all of them are measured in turn with the kernel, on the same processors and threads.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import simcore

CORE_TYPES = {
    "SANDYBRIDGE": ("avx",),
    "HASWELL": ("avx2", "fma"),
    "SKYLAKEX": ("avx512f", "avx512dq", "avx512vl", "avx512bw"),
    "SAPPHIRERAPIDS": ("avx512bf16", "avx512f", "avx512dq", "avx512vl", "avx512bw"),
}
"""OpenBLAS core types with double-precision kernels of their own, and the features that each needs.

ZEN has HASWELL's kernels and COOPERLAKE has SKYLAKEX's.
"""

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def supported_core_types() -> list[str]:
    """Return the core types that this processor can run; none where it is not an x86-64."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return [name for name, needs in CORE_TYPES.items() if all(features.get(need) for need in needs)]


class Ceiling:
    """Child processes, one a core type and one with OpenBLAS's own choice; a context manager.

    Each multiplies square matrices of several sizes and answers with its best rate.
    ``measure`` runs each once; ``rates`` are the medians in Gflop/s by core type, ``best`` the largest of them.
    """

    def __init__(self, threads: int, sizes: tuple[int, ...] = (1024, 2048)) -> None:
        self._threads = threads
        self._sizes = ",".join(map(str, sizes))
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._samples: dict[str, list[float]] = {}

    def __enter__(self) -> Ceiling:
        for core_type in ("default", *supported_core_types()):
            self._children[core_type] = self._start(core_type)
        seen: set[str] = set()
        for core_type, child in list(self._children.items()):
            used = self._ask(child)
            if core_type != "default" and used and used in seen:
                self._stop(self._children.pop(core_type))  # NumPy's OpenBLAS has no such kernels and fell back
            else:
                self._samples[core_type] = []
            if core_type != "default":
                seen.add(used)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            self._stop(child)

    def measure(self) -> None:
        """Run every child once, one after the other."""
        for core_type, child in self._children.items():
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            self._samples[core_type].append(float(self._ask(child)))

    @property
    def rates(self) -> dict[str, float]:
        """Median Gflop/s by core type."""
        return {core_type: statistics.median(runs) for core_type, runs in self._samples.items() if runs}

    @property
    def best(self) -> float:
        """The ceiling, in Gflop/s."""
        return max(self.rates.values())

    def _start(self, core_type: str) -> subprocess.Popen[str]:
        # What the caller's environment says of OpenBLAS must not reach a child: each sets its own.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
        environment.update(dict.fromkeys(_THREADS, str(self._threads)))
        if core_type != "default":
            environment["OPENBLAS_CORETYPE"] = core_type
        second_level = _second_level_cache()
        if second_level:
            environment["OPENBLAS_L2_SIZE"] = str(second_level)  # virtual machines often hide it from OpenBLAS
        package = str(Path(simcore.__file__).parents[1])
        environment["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, "-m", "simcore.benchmarks.dgemm", str(self._threads), self._sizes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def _ask(self, child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise OSError(0, f"the DGEMM child process ended with code {child.wait()}")
        return line.strip()

    def _stop(self, child: subprocess.Popen[str]) -> None:
        if child.stdin is not None:
            child.stdin.close()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _second_level_cache() -> int | None:
    """Return the size of the second-level cache in KiB, None where the system does not say."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
    except OSError:
        return None
    return int(text[:-1]) if text.endswith("K") and text[:-1].isdecimal() else None
