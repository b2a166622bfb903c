"""The cuda backend where there is no CUDA: nothing is imported early, and the error says what to do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import simcore
from simcore.backends import cuda
from simcore.errors import SimcoreError


def test_the_backend_is_imported_without_cuda() -> None:
    code = "import sys; from simcore import backends; backends.get('cuda'); print('numba.cuda' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_only_one_file_imports_numba_cuda_and_one_cupy() -> None:
    from pathlib import Path

    folder = Path(simcore.__file__).parent / "backends"
    sources = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")}
    numba = [name for name, text in sources.items() if "from numba import cuda" in text or "import numba.cuda" in text]
    cupy = [name for name, text in sources.items() if "import cupy" in text or "from cupy" in text]
    assert numba == ["cuda/device.py"]
    assert cupy == ["cuda/products.py"]


def test_status_is_plain_data() -> None:
    report = cuda.status()
    assert set(report) == {
        "available",
        "simulator",
        "numba_cuda",
        "driver_cuda",
        "devices",
        "driver_error",
        "products_error",
    }
    assert report["available"] or report["simulator"] or report["driver_error"] or report["devices"] == []


@pytest.mark.skipif(cuda.status()["available"], reason="a CUDA device (or the simulator) is at hand")
def test_the_error_names_the_remedy() -> None:
    landscape = simcore.TorusField(n=2)
    problem = landscape.draw(seed=1, draw=0).problem
    with pytest.raises(SimcoreError) as caught:
        cuda.newton(problem, np.zeros((1, 2)), simcore.Newton().options(landscape))
    message = str(caught.value)
    assert "\n" not in message
    assert "backend='cpu'" in message and "NUMBA_ENABLE_CUDASIM=1" in message
    assert "simcore[cuda13]" in message or "nvidia-smi" in message
