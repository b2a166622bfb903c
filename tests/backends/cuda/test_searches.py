"""The public searches with backend="cuda" in the simulator, at tiny sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.backends import cuda
from simcore.errors import RunError


def test_normals_on_the_device_are_the_hosts_bit_for_bit() -> None:
    from simcore.backends.cuda import probes
    from simcore.formulas.random import normals

    seed = 2**63 + 12345
    np.testing.assert_array_equal(probes.normals(seed, 7, 3, 11, 41), normals(seed, 7, 3, 11, 41))


def test_status_says_that_this_is_the_simulator() -> None:
    report = cuda.status()
    assert report["available"] and report["simulator"] and report["driver_error"] is None


@pytest.mark.parametrize(
    "landscape", [simcore.TorusField(n=2), simcore.SphericalSpin(n=3, p=3)], ids=["torus_field", "spherical_spin"]
)
def test_rows_are_the_references_rows(landscape: simcore.TorusField | simcore.SphericalSpin) -> None:
    table = {
        backend: simcore.find_critical_points(landscape, draws=2, starts=10, seed=7, backend=backend, threads=2)
        for backend in ("cuda", "reference")
    }
    assert (table["cuda"].iterations - table["reference"].iterations).abs().max() <= 1  # a step more, by rounding
    rounded = ["cost", "grad_norm", "iterations"]
    pd.testing.assert_frame_equal(table["cuda"].drop(columns=rounded), table["reference"].drop(columns=rounded))
    np.testing.assert_allclose(table["cuda"].cost, table["reference"].cost, rtol=0, atol=1e-10)


def test_a_complete_enumeration() -> None:
    landscape = simcore.TorusField(n=2)
    ours = simcore.enumerate_critical_points(landscape, draw=0, seed=2, starts=32, backend="cuda", threads=1)
    theirs = simcore.enumerate_critical_points(landscape, draw=0, seed=2, starts=32, backend="reference", threads=1)
    assert ours.audit["complete"] and ours.audit["euler_sum"] == 0
    assert sorted(ours.points["morse_index"]) == sorted(theirs.points["morse_index"])
    np.testing.assert_allclose(np.sort(ours.points["cost"]), np.sort(theirs.points["cost"]), atol=1e-10)


def test_a_sweep_runs_on_the_device(tmp_path: Path) -> None:
    from simcore.cli import main

    config = tmp_path / "sweep.toml"
    config.write_text(
        'seed = 1\n[[landscape]]\nname = "spherical_spin"\nn = 3\np = 3\n'
        '[search]\nmethod = "newton"\ndraws = 2\nstarts = 12\n'
    )
    tables = []
    for backend in ("cuda", "reference"):
        run = tmp_path / backend
        assert main(["run", str(config), "--out", str(run), "--backend", backend, "--workers", "1"]) == 0
        tables.append(simcore.load(str(run)))
    assert len(tables[0]) == 24
    for column in ("draw", "start", "status", "morse_index", "nullity", "point", "certified"):
        assert list(tables[0][column]) == list(tables[1][column]), column


def test_a_fault_of_the_device_loses_no_finished_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process: the run ends with one line, keeps what is finished, and another run goes on from there."""
    from simcore.backends.cuda import device
    from simcore.sweep.execute import run_sweep

    config = {
        "seed": 2,
        "landscape": [{"name": "gaussian_field", "n": 2, "features": 16}],
        "search": {"method": "newton", "draws": 4, "starts": 6},
    }
    monkeypatch.setattr("simcore.sweep.plan.SHARD_SECONDS", 1e-9, raising=True)
    plain, launches = device.launch, []

    def failing(*arguments: object) -> None:
        launches.append(1)
        if len(launches) > 4:
            raise device._failure("a CUDA kernel did not start", RuntimeError("planted"))
        plain(*arguments)

    monkeypatch.setattr(device, "launch", failing)
    with pytest.raises(RunError, match=r"planted.*everything finished is kept"):
        run_sweep(config, tmp_path / "run", backend="cuda", workers=0)
    kept = sorted((tmp_path / "run").rglob("*.parquet"))
    assert len(kept) == 2  # two launches a shard
    written = {path: path.read_bytes() for path in kept}
    monkeypatch.setattr(device, "launch", plain)
    assert int(run_sweep(config, tmp_path / "run", backend="cuda", workers=0)) == 0
    assert {path: path.read_bytes() for path in kept} == written
    assert len(simcore.load(str(tmp_path / "run"))) == 24


def test_the_starts_of_a_draw_go_to_the_device_together(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, sizes = cuda.newton, []

    def counting(problem: object, starts: np.ndarray, options: object) -> object:
        sizes.append(len(starts))
        return plain(problem, starts, options)

    monkeypatch.setattr(cuda, "newton", counting)
    simcore.find_critical_points(simcore.TorusField(n=1), draws=1, starts=600, seed=3, backend="cuda", threads=2)
    assert sizes == [600]  # two blocks on the CPU
