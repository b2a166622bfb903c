"""The Dask engine: the same shards and files as local processes, also when workers die."""

import os
import signal
import textwrap
import time
from pathlib import Path

import pytest
from places import ROOT
from sweep_tools import (
    FAKE_ENUMERATE,
    environment,
    fake_run,
    names,
    one_line,
    row_sums,
    simcore_run,
    start,
    wait_for_shards,
    write,
)

from simcore.errors import InputError
from simcore.sweep import run_sweep
from simcore.sweep.lock import start_time
from simcore.sweep.verify import verify_run

pytest.importorskip("distributed")
DRAWS = 8


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    base = tmp_path_factory.mktemp("local")
    config = write(base / "config.toml", FAKE_ENUMERATE.format(draws=DRAWS))
    assert fake_run(config, base / "run") == 0
    return base


def dask_workers(pid: int) -> list[int]:
    """Return the Dask worker processes below a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_worker_that_is_killed_is_replaced_and_the_files_are_the_same(local, tmp_path):
    out = tmp_path / "run"
    child = start(local / "config.toml", out, "--dask", "local:2", fake={"delay": 0.5})
    wait_for_shards(out, 2, child, timeout=200)
    victims = dask_workers(child.pid)
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    assert names(out) == names(local / "run") and row_sums(out) == row_sums(local / "run")
    assert verify_run(out).ok


@pytest.mark.parametrize(
    "address, words",
    [
        ("local:0", "local:N"),
        ("local:x", "local:N"),
        ("nowhere:host:1:2", "tcp://host:8786"),
        (3, "scheduler's address"),
    ],
)
def test_a_bad_address_is_refused(tmp_path, local, address, words):
    with pytest.raises(InputError, match=words):
        run_sweep(local / "config.toml", tmp_path / "run", dask=address)


def test_a_scheduler_that_is_not_there(local, tmp_path, monkeypatch):
    from simcore.errors import RunError
    from simcore.sweep import dask

    monkeypatch.setattr(dask, "CONNECT_SECONDS", 1)
    with pytest.raises(RunError, match="no Dask scheduler answers"):
        run_sweep(local / "config.toml", tmp_path / "run", dask="tcp://127.0.0.1:9")


def test_a_worker_with_another_version_computes_nothing():
    from simcore.sweep.dask import _task

    answer = _task({"version": "0.0.1"}, "c00000-d0000000000-0000000001-s0000000000-0000000512", False)
    assert "0.0.1" in answer["error"] and "install the same" in answer["error"]


@pytest.mark.long
def test_ctrl_c_in_a_terminal_reaches_the_workers_too_and_leaves_a_run_that_can_be_resumed(local, tmp_path):
    """A terminal sends SIGINT to the whole group: run, scheduler and workers at once."""
    out = tmp_path / "run"
    child = start(local / "config.toml", out, "--dask", "local:2", fake={"delay": 1.0})
    wait_for_shards(out, 2, child, timeout=200)
    below = dask_workers(child.pid)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 130 and "everything finished is kept" in one_line(errors), errors
    assert below and all(start_time(pid) is None for pid in below)
    assert 2 <= len(names(out)) <= DRAWS
    assert fake_run(local / "config.toml", out) == 0
    assert row_sums(out) == row_sums(local / "run")


@pytest.fixture
def recipe():
    """The lines of docs/sweeps.md that make a SLURM cluster, up to where it is scaled."""
    text = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    block = text.partition("### dask-jobqueue on SLURM")[2].partition("```python")[2].partition("```")[0]
    return textwrap.dedent(block.partition('if __name__ == "__main__":\n')[2].partition("    cluster.adapt")[0])


def test_the_recipe_for_slurm_asks_for_what_it_should(recipe):
    jobqueue = pytest.importorskip("dask_jobqueue")
    names_there = {"SLURMCluster": jobqueue.SLURMCluster}
    exec(recipe.replace("SLURMCluster(", "SLURMCluster(scheduler_options={'dashboard_address': None}, "), names_there)
    try:
        script = names_there["cluster"].job_script()
    finally:
        names_there["cluster"].close()
    for line in ("#SBATCH --cpus-per-task=8", "#SBATCH -t 04:00:00", "export NUMBA_NUM_THREADS=1"):
        assert line in script.splitlines()
    worker = script.splitlines()[-1]
    assert "--nthreads 1 " in worker and "--nworkers 8 " in worker and "--lifetime 230m" in worker


@pytest.mark.long
def test_the_recipe_for_slurm_runs_a_sweep(local, tmp_path, monkeypatch):
    """The whole path but for SLURM: sbatch and scancel are small scripts that start and stop the job at once."""
    jobqueue = pytest.importorskip("dask_jobqueue")
    import distributed

    tools = tmp_path / "bin"
    tools.mkdir()
    write(
        tools / "sbatch",
        '#!/bin/bash\ncp "$1" "$0.$$"\nsetsid bash "$0.$$" &> "$0.log" &\necho "Submitted batch job $!"\n',
    )
    write(tools / "scancel", '#!/bin/bash\nkill -- "-$1" 2> /dev/null || true\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    for key, value in environment({}).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    cluster = jobqueue.SLURMCluster(
        cores=2, processes=2, memory="2GB", walltime="00:10:00", interface="lo",
        scheduler_options={"dashboard_address": None}, worker_extra_args=["--no-dashboard"],
        job_script_prologue=["export NUMBA_NUM_THREADS=1"], log_directory=str(tmp_path),
    )  # fmt: skip
    try:
        cluster.scale(jobs=1)
        with distributed.Client(cluster, set_as_default=False) as client:
            summary = run_sweep(local / "config.toml", tmp_path / "run", dask=client)
    finally:
        cluster.close()
    assert int(summary) == 0 and summary.engine.startswith("dask")
    assert row_sums(tmp_path / "run") == row_sums(local / "run")


@pytest.mark.long
def test_a_cluster_of_the_users_own_with_faults(local, tmp_path):
    """A scheduler and two workers started by hand; one worker is killed, a shard kills its worker every time."""
    import subprocess
    import sys

    address_file = tmp_path / "scheduler.json"
    variables = environment({"delay": 0.3, "die": 5})
    tool = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*tool, "--scheduler-file", str(address_file), "--port", "0", "--no-dashboard"], env=variables
    )
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address_file)]
    worker += ["--nthreads", "1", "--no-dashboard", "--nworkers", "2"]
    workers = None
    try:
        while not address_file.exists():
            time.sleep(0.1)
        workers = subprocess.Popen(worker, env=variables)
        import json

        address = json.loads(address_file.read_text())["address"]
        out = tmp_path / "run"
        child = start(local / "config.toml", out, "--dask", address, fake={})
        _, errors = child.communicate(timeout=400)
        assert child.returncode == 1 and "set aside" in one_line(errors), errors
        assert len(names(out)) == DRAWS - 1
        assert simcore_run(local / "config.toml", out, fake={}).returncode == 0
        assert row_sums(out) == row_sums(local / "run")
    finally:
        for process in (workers, scheduler):
            if process is not None:
                process.terminate()
                process.wait()
