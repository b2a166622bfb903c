"""``simcore bench newton --backend cuda --peers`` in the simulator: its fields, and the peers that need a device."""

from __future__ import annotations

import json

import pytest

from simcore.benchmarks import newton
from simcore.benchmarks.ceiling import Ceiling
from simcore.cli import main


def test_bench_on_the_device(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(newton, "Ceiling", lambda threads: Ceiling(threads, sizes=(64,)))
    monkeypatch.setattr(newton, "TARGET", 0.001)
    monkeypatch.setattr(newton, "LONGEST_SEARCH", 0.001)
    monkeypatch.setattr(newton, "OCCUPANCY", 24)
    monkeypatch.setattr(newton, "MOST_STARTS", 48)
    monkeypatch.setattr(newton, "STEPS", 3)
    monkeypatch.setattr(newton, "compile_seconds", lambda table, backend: 1.5)
    command = "bench newton --landscape gaussian_field --n 2 --features 8 --backend cuda --repeats 1 --peers --json"
    assert main(command.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == "simulator" and found["backend"] == "cuda"
    assert found["us_per_start_iteration"] > 0 and found["device_dgemm_gflops"] > 0
    assert found["device_dgemm_fraction"] == pytest.approx(found["useful_gflops"] / found["device_dgemm_gflops"])
    names = [peer["name"] for peer in found["peers"]]
    assert "simcore cpu" in names and not any("batched" in name for name in names)
    missing = {name.partition(" (")[0] for name in found["not_installed"]}
    assert missing >= {"torch batched", "cupy batched", "jax gemm", "jax autodiff"}
