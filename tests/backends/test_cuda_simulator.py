"""The CUDA kernels in Numba's simulator: ``tests/backends/cuda`` in a process of its own (it is chosen at import)."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from places import ROOT


@pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="this process is the simulator's own")
def test_cuda_kernels_in_the_simulator() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "faulthandler_timeout=600",
            "tests/backends/cuda",
            "tests/conformance",
            # Sweeps choose the device where there is one, and a simulated one takes minutes for them.
            "--deselect",
            "tests/conformance/test_added_family.py::test_it_goes_from_run_to_table_and_figure",
        ],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 60, done.stdout[-500:]
    assert "skipped" not in done.stdout
