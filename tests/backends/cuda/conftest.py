"""These tests run kernels in Numba's CUDA simulator, which must be chosen before Numba is imported.

``tests/backends/test_cuda_simulator.py`` runs them in a process of their own with NUMBA_ENABLE_CUDASIM=1; without it
nothing here is collected.
"""

from __future__ import annotations

import os

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    collect_ignore_glob = ["*"]
