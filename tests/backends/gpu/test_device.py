"""On a CUDA device: the same bits as the host's draws, as the simulator, as any other shape; the CPU's distributions.

Skipped where there is none. ``benchmarks/gpu.py`` runs these steps too, with compute-sanitizer, timings and peers.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from places import ROOT

import simcore
from simcore import backends
from simcore.backends import cuda
from simcore.formulas.outcome import CRITICAL

_STATUS = cuda.status()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not _STATUS["available"] or _STATUS["simulator"], reason=f"no CUDA device: {_STATUS['driver_error']}"
    ),
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Return benchmarks/gpu.py as a module."""
    path = ROOT / "benchmarks" / "gpu.py"
    spec = importlib.util.spec_from_file_location("benchmarks_gpu", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_normals_are_the_hosts_bit_for_bit(script: ModuleType) -> None:
    assert script.draws(tiny=False)["passed"]


def test_rows_are_the_simulators_and_no_shapes(script: ModuleType) -> None:
    found = script.rows(tiny=False)
    assert found["passed"], found


def test_indices_are_distributed_as_the_cpus(script: ModuleType) -> None:
    """Chi-square tests of independent starts; a false alarm once in 10^4 runs."""
    found = script.distributions(tiny=False)
    assert found["passed"], found


def test_a_complete_enumeration() -> None:
    landscape = simcore.SphericalSpin(n=6, p=3)
    found = simcore.enumerate_critical_points(landscape, draw=0, seed=3, backend="cuda")
    expected = simcore.enumerate_critical_points(landscape, draw=0, seed=3, backend="cpu")
    assert found.audit["complete"] and expected.audit["complete"]
    np.testing.assert_allclose(np.sort(found.points["cost"]), np.sort(expected.points["cost"]), atol=1e-9)


def test_a_sweep_and_its_audit(tmp_path: Path) -> None:
    from simcore.sweep.execute import run_sweep
    from simcore.sweep.verify import verify_run

    config = {
        "seed": 3,
        "landscape": [{"name": "torus_field", "n": 3}],
        "search": {"method": "enumerate", "draws": 40, "starts": 256},
    }
    for workers in (1, 2):
        assert int(run_sweep(config, tmp_path / str(workers), backend="cuda", workers=workers)) == 0
        assert verify_run(tmp_path / str(workers)).ok
    one, two = (simcore.load(str(tmp_path / str(workers))) for workers in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_many_variables(script: ModuleType) -> None:
    """A pool's rows: as the CPU's of the same starts where few steps led there."""
    problem, starts, options = script.search_problem(simcore.GaussianField(n=30, features=256), 500)
    ours, theirs = (backends.get(name).newton(problem, starts, options) for name in ("cuda", "cpu"))
    short = np.maximum(ours.iterations, theirs.iterations) <= 25
    assert short.sum() >= 20
    for name in ("status", "index", "nullity"):
        np.testing.assert_array_equal(getattr(ours, name)[short], getattr(theirs, name)[short], err_msg=name)
    found = short & (ours.status == CRITICAL)
    np.testing.assert_allclose(ours.x[found], theirs.x[found], atol=1e-8)
