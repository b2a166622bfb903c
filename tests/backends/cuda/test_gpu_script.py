"""The steps of benchmarks/gpu.py at tiny sizes: what will run where a GPU is at hand runs here in the simulator."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest
from places import ROOT

from simcore.backends.cuda import pool_search


def test_the_steps_of_the_gpu_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_search, "WIDTH", pool_search.WIDTH)  # the script narrows it, in a process of its own there
    path = ROOT / "benchmarks" / "gpu.py"
    spec = importlib.util.spec_from_file_location("benchmarks_gpu", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    report: dict[str, Any] = {"device": "simulator", "sanitizer": {"skipped": "not here"}}
    script.kernels_only()  # what compute-sanitizer is given
    report |= {"tests": script.tests(tiny=True), "draws": script.draws(tiny=True), "rows": script.rows(tiny=True)}
    report |= {"distributions": script.distributions(tiny=True), "speed": script.speed(tiny=True)}
    report |= {"networks": script.networks(tiny=True)}
    report |= {"peers": script.peers(tiny=True)}
    assert report["rows"]["passed"] and report["draws"]["passed"] and report["distributions"]["passed"]
    assert report["networks"]["passed"] and len(report["networks"]) == 3
    assert report["rows"]["pool_widths"] and script.routes() == ["fused", "pool"]
    for route in ("fused", "pool"):
        assert report["speed"]["n=2"][route]["iterations_per_second"] > 0
    assert report["peers"]["n=2"]["simcore cpu"] > 0
    assert json.loads(json.dumps(report)) == report
    page = script.markdown(report)
    assert "- rows: passed" in page and page.count("\n| 2 |") == 1
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1
