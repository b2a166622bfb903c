"""Jobs ``--shard i/k`` that share a run, in every order: the last to end leaves a whole run, or says that it is not."""

from __future__ import annotations

import random
import threading
import time

import pytest

from simcore.search import split
from simcore.sweep import plan, run_sweep, verify_run
from simcore.sweep.store import RunDirectory

CONFIG = {
    "seed": 11,
    "landscape": [{"name": "torus_field", "n": 1}],
    "search": {"method": "newton", "draws": 2, "starts": 192},
}


@pytest.fixture
def split_draws(monkeypatch):
    """Starts in blocks of 64: each draw of 192 starts is three shards and a merge. Compiles the search."""
    monkeypatch.setattr(plan, "SHARD_SECONDS", 1e-9)
    monkeypatch.setattr(plan, "SPLIT_SECONDS", 1e-9)
    plan.layout.cache_clear()
    yield
    plan.layout.cache_clear()


def sums(run):
    return sorted(record["files"]["starts"]["row_sum"] for _, record in RunDirectory(run).records())


def together(run, parts: int, source: random.Random) -> list[int]:
    """Run all parts at once, each in a thread that begins within ten milliseconds; return their exit codes."""
    codes: dict[int, int] = {}

    def job(part: int, delay: float) -> None:
        time.sleep(delay)
        codes[part] = int(run_sweep(CONFIG, run, workers=0, shard=(part, parts)))

    jobs = [threading.Thread(target=job, args=(i, 0.01 * source.random())) for i in range(1, parts + 1)]
    for one in jobs:
        one.start()
    for one in jobs:
        one.join()
    return [codes[i] for i in sorted(codes)]


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.long)])
def test_random_interleavings(split_draws, tmp_path, monkeypatch, count):
    """Parts of a draw's starts end in any order, and together: the run is merged whenever all exit with 0."""
    assert int(run_sweep(CONFIG, tmp_path / "whole", workers=0)) == 0
    wanted = sums(tmp_path / "whole")
    source, turn = random.Random(3), threading.Lock()
    real = {name: getattr(split, name) for name in ("part_rows", "finish_draw")}
    remembered: dict = {}

    def quick(name):
        def call(search, *rest, **options):
            key = (name, search.landscape, options.get("draw"), options.get("first_start"), *(len(one) for one in rest))
            if name == "finish_draw":
                key += (int(rest[0]["draw"].iloc[0]),)
            with turn:
                if key not in remembered:
                    remembered[key] = real[name](search, *rest, **options)
                pause = 0.004 * source.random()
            time.sleep(pause)
            return remembered[key].copy()

        return call

    for name in real:
        monkeypatch.setattr(split, name, quick(name))
    for number in range(count):
        run = tmp_path / f"run{number}"
        assert set(together(run, 2 + number % 2, source)) == {0}
        assert sums(run) == wanted and not list((run / "parts").iterdir())
    assert verify_run(run).ok


def test_the_last_of_two_processes_merges(tmp_path):
    """Part 1/2 alone exits with 0 and leaves parts, in a process of its own; part 2/2 finds them and merges."""
    from sweep_tools import simcore_run, write

    text = '[[landscape]]\nname = "torus_field"\nn = 1\n[search]\nmethod = "newton"\ndraws = 1\nstarts = 140000\n'
    config, run = write(tmp_path / "c.toml", text), tmp_path / "run"
    done = simcore_run(config, run, "--workers", "1", "--shard", "1/2")
    assert done.returncode == 0, done.stderr
    assert list((run / "starts").glob("*")) == []
    assert int(run_sweep(config, run, workers=0, shard=(2, 2))) == 0
    assert verify_run(run).ok and len(list((run / "starts").iterdir())) > 1
