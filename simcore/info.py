"""What a bug report needs: versions, processor, threads, GPU, compile cache."""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import os
import platform
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

import simcore

LIBRARIES = ("numba", "llvmlite", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "dask", "distributed")
PEERS = ("jax", "torch", "cupy", "numba-cuda")
FEATURES = ("fma", "avx2", "avx512f", "avx512dq", "avx512vl", "neon", "sve")


def collect() -> dict[str, Any]:
    """Return the report as a JSON-safe mapping, a section a key.

    ``versions``, ``processor`` (name as LLVM knows it, vector features, the tile that the cpu kernels use),
    ``threads``, ``gpu`` (driver, CUDA versions, devices, and the extra to install), ``cache`` (path, files, bytes).
    """
    return {
        "versions": versions(),
        "processor": processor(),
        "threads": threads(),
        "gpu": gpu(),
        "cache": cache(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of simcore, Python and the libraries; None for what is not installed."""
    found: dict[str, str | None] = {"simcore": simcore.__version__, "python": platform.python_version()}
    for library in (*LIBRARIES, *PEERS):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = None
    return found


def processor() -> dict[str, Any]:
    """Return the processor's name, its vector features and the tile that the cpu kernels use on it."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "model": _model_name(),
        "llvm_name": os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name(),
        "features": [name for name in FEATURES if features.get(name)],
        "tile": _tile(),
    }


def threads() -> dict[str, Any]:
    """Return how many processors there are and how many this process and Numba may use."""
    import numba

    return {"processors": os.cpu_count(), "usable": usable_processors(), "numba": numba.config.NUMBA_NUM_THREADS}


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bytes_as_text(count: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit in ("bytes", "kB") or count >= 100 else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError


def free_memory() -> float:
    """Return the bytes that processes may still take: what the system, the control group and the limits leave."""
    found = [math.inf]
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(float(line.split()[1]) * 1024)
    except OSError:
        pass
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            found.append(float(limit) - float((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    try:
        import resource

        limit_of_process, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit_of_process != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            found.append(max(0.0, float(limit_of_process) - pages * resource.getpagesize()))
    except (ImportError, OSError, ValueError):
        pass
    return min(found)


def gpu() -> dict[str, Any]:
    """Return whether ``backend="cuda"`` can run, on what, and what to install where it can't."""
    report: dict[str, Any] = {
        "available": False,
        "simulator": os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"),
        "driver_cuda": None,
        "devices": [],
        "remedy": None,
    }
    driver = _driver_version()
    if report["simulator"]:
        report["remedy"] = "unset NUMBA_ENABLE_CUDASIM to use a real device"
        return report
    if driver is None:
        report["remedy"] = (
            "no CUDA driver was found; set NUMBA_ENABLE_CUDASIM=1 to run the cuda backend in Numba's simulator"
        )
        return report
    report["driver_cuda"] = f"{driver // 1000}.{driver % 1000 // 10}"
    extra = "cuda13" if driver >= 13000 else "cuda12"
    if util.find_spec("numba_cuda") is None:
        report["remedy"] = f"pip install 'simcore[{extra}]'"
        return report
    from simcore.backends import cuda

    found = cuda.status()
    if found["driver_error"] is not None:
        report["remedy"] = f"{found['driver_error']}; try pip install 'simcore[{extra}]'"
    elif found["products_error"] is not None:
        report["remedy"] = (
            f"searches in many variables are slower: {found['products_error']}; pip install 'simcore[{extra}]'"
        )
    report["devices"] = [device["name"] for device in found["devices"]]
    report["available"] = found["available"]
    return report


def cache() -> dict[str, Any]:
    """Return where the compiled kernels of this version are kept, and how many files and bytes lie there."""
    from simcore.compilation import cache_directory

    directory = cache_directory()
    files = [] if directory is None else [path for path in directory.rglob("*") if path.is_file()]
    return {
        "path": None if directory is None else str(directory),
        "chosen_by": "NUMBA_CACHE_DIR" if os.environ.get("NUMBA_CACHE_DIR") else "default (NUMBA_CACHE_DIR changes it)",
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report as text, a line an entry."""
    result = []
    for section, entries in report.items():
        result.append(section)
        for key, value in entries.items():
            if isinstance(value, list):
                value = ", ".join(map(str, value)) or "none"
            elif value is None:
                value = "not installed" if section == "versions" else "-"
            result.append(f"  {key:<14}{value}")
    return result


QUESTIONS = (
    "what you ran (the command, or the shortest Python that shows it, with its seed)",
    "what you expected",
    "what happened instead (the whole message; for a run also the output of simcore verify)",
)
"""What a bug report says besides the lines of this report."""


def _tile() -> str:
    """Describe the tile of the cpu kernels, in the backend's own words."""
    from simcore.backends.cpu import tile

    return str(tile.description())


def _model_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.lower().startswith(("model name", "hardware")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _driver_version() -> int | None:
    """Return the CUDA version that the driver supports as 1000 major + 10 minor, None without a driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else ctypes.util.find_library("cuda") or "libcuda.so.1"
    try:
        library = ctypes.CDLL(name)
        version = ctypes.c_int(0)
        if library.cuDriverGetVersion(ctypes.byref(version)) != 0 or version.value == 0:
            return None
    except (OSError, AttributeError):
        return None
    return version.value
