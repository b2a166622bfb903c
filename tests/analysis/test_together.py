"""Studies side by side: one a processor, in processes of their own."""

import json
import os
import subprocess
import sys

import pytest
from simcore_analysis import studies
from simcore_analysis.studies import together

needs_two = pytest.mark.skipif(not together.possible(), reason="one processor")


@needs_two
def test_each_study_has_a_processor_of_its_own_and_long_ones_come_first(monkeypatch, tmp_path):
    begun, running, most = [], set(), []
    real = subprocess.run

    def run(arguments, env, check):
        name, processor = arguments[3], arguments[6]
        assert processor not in running and env["NUMBA_NUM_THREADS"] == "1"
        begun.append(name)
        running.add(processor)
        most.append(len(running))
        code = f"import os, time; time.sleep(0.2); raise SystemExit({int(name == 'b')})"
        ended = real([sys.executable, "-S", "-c", code], check=check)
        running.remove(processor)
        return ended

    monkeypatch.setattr(together.subprocess, "run", run)
    assert together.measured_together(["a", "b", "c", "dauphin_2014"], False, tmp_path) == ["b"]
    assert begun[0] == "dauphin_2014" and sorted(begun) == ["a", "b", "c", "dauphin_2014"]
    assert max(most) == min(4, len(os.sched_getaffinity(0)))


@needs_two
def test_all_studies_side_by_side_make_one_summary(monkeypatch, tmp_path, capsys):
    """A real one, the quickest, and one that does not exist, so that its process fails."""
    monkeypatch.setattr(studies, "STUDIES", ("small_network_minima", "broken"))
    monkeypatch.setattr(studies, "get", lambda name: name)
    assert not studies.reproduce(all=True, out=tmp_path)
    table = capsys.readouterr().out
    assert table == (tmp_path / "summary.md").read_text()
    assert "20 agree" in table and "could not be measured" in table and "broken" in table
    entries = json.loads((tmp_path / "small_network_minima" / "verdict.json").read_text())
    assert len(entries) == 20
    made = (tmp_path / "small_network_minima" / "table.md").read_text()
    assert "1 processor." in made
    record = json.loads(next(tmp_path.rglob("run.json")).read_text())
    assert record["sessions"][0]["workers"] == 0
