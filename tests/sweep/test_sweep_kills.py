"""A kill before every file operation: of a run, a split with its merge, a resume with more draws and walks.

Forked children compute in one process each (no worker, one thread) and end by SIGKILL just before their k-th operation
on a file of the run, for every k. The run is then resumed; its rows are those of the undisturbed one, and it verifies.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from sweep_tools import row_sums

from simcore.sweep import plan, run_sweep, verify_run

FIELD = {"seed": 12, "landscape": [{"name": "torus_field", "n": 2}]}
RUN = FIELD | {"search": {"method": "enumerate", "draws": 2, "starts": 64}}
SPLIT = FIELD | {"search": {"method": "newton", "draws": 1, "starts": 192, "positions": True}}
WALK = {
    "seed": 3,
    "landscape": [{"name": "spherical_spin", "n": 5}],
    "search": {"method": "walk", "draws": 2, "moves": 6400},
}
SCENARIOS = {
    "run": (None, RUN),
    "split and merge": (None, SPLIT),
    "raised draws": (RUN, RUN | {"search": {**RUN["search"], "draws": 4}}),
    "walks": (None, WALK),
}


@pytest.fixture
def small_shards(monkeypatch):
    """Draws one by one, starts in blocks of 64."""
    monkeypatch.setattr(plan, "SHARD_SECONDS", 1e-9)
    monkeypatch.setattr(plan, "SPLIT_SECONDS", 1e-9)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    plan.layout.cache_clear()
    yield
    plan.layout.cache_clear()


def operations(out: Path, deadly: int | None):
    """Count operations that change files of ``out``; kill the process just before number ``deadly``."""
    import pyarrow.parquet as parquet

    count = 0
    place = os.fspath(out)

    def one() -> None:
        nonlocal count
        if count == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if changes and isinstance(path, (str, Path)) and os.fspath(path).startswith(place):
                one()
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate") and str(
            arguments[0]
        ).startswith(place):
            one()

    sys.addaudithook(hook)
    write_table, fsync = parquet.write_table, os.fsync

    def counted_table(*given, **named):  # Arrow opens its file where no hook looks
        one()
        return write_table(*given, **named)

    def counted_fsync(handle):
        one()
        return fsync(handle)

    parquet.write_table, os.fsync = counted_table, counted_fsync
    return lambda: count


def child(tables, out: Path, deadly: int | None) -> int:
    """Run a sweep in a fork; return how many operations it made, -1 where it was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            counted = operations(out, deadly)
            status = int(run_sweep(tables, out, workers=0))
            os.write(writer, str(counted()).encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return -1
    assert os.WEXITSTATUS(status) == 0
    return int(said)


def kills(name: str, tmp_path: Path, every: int) -> int:
    """Kill a scenario before each of its operations, or every so many; return how many kills all recovered."""
    before, tables = SCENARIOS[name]
    assert int(run_sweep(tables, tmp_path / "whole", workers=0)) == 0
    wanted = row_sums(tmp_path / "whole")
    base = tmp_path / "base"
    if before is not None:
        assert int(run_sweep(before, base, workers=0)) == 0

    def place(label: str) -> Path:
        out = tmp_path / label
        if before is not None:
            shutil.copytree(base, out)
        return out

    out = place("counted")
    number = child(tables, out, None)
    assert number > 30 and row_sums(out) == wanted
    struck = 0
    for deadly in range(every // 2, number, every):
        out = place(f"killed{deadly}")
        assert child(tables, out, deadly) == -1
        assert int(run_sweep(tables, out, workers=0)) == 0
        assert row_sums(out) == wanted, f"killed before operation {deadly}"
        report = verify_run(out)
        assert report.ok, report.text()
        assert not list(out.rglob("*.tmp"))
        shutil.rmtree(out)
        struck += 1
    return struck


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_before_some_file_operations(small_shards, tmp_path, name):
    assert kills(name, tmp_path, every=17) >= 2


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_before_every_file_operation(small_shards, tmp_path, name, record_property):
    struck = kills(name, tmp_path, every=1)
    record_property("kills", struck)
    print(f"{name}: {struck} kills")


def test_a_kill_inside_a_walk(small_shards, monkeypatch, tmp_path):
    """SIGKILL while a draw's walkers are half-way: resumed, the draw's rows are those of the undisturbed run."""
    from simcore.counts import walks
    from simcore.counts.walks import Walk

    assert int(run_sweep(WALK, tmp_path / "whole", workers=0)) == 0
    monkeypatch.setattr(walks, "CHUNK", 100)  # four chunks a draw, the same rows
    out = tmp_path / "killed"
    for deadly in (1, 5):  # the second chunk of the first draw, the second of the second
        pid = os.fork()
        if pid == 0:
            advanced, made = Walk._advance, 0

            def dies(self, moves, advanced=advanced, deadly=deadly):
                nonlocal made
                if made == deadly:
                    os.kill(os.getpid(), signal.SIGKILL)
                made += 1
                return advanced(self, moves)

            Walk._advance = dies
            run_sweep(WALK, out, workers=0)
            os._exit(1)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert int(run_sweep(WALK, out, workers=0)) == 0
    assert row_sums(out) == row_sums(tmp_path / "whole")
    assert verify_run(out).ok
