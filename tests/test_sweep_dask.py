"""The Dask engine: the same shards and files as local processes, also when workers die."""

import os
import signal
import time
from pathlib import Path

import pytest
from sweep_tools import (
    FAKE_ENUMERATE,
    environment,
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
from simcore.sweep.verify import verify_run

pytest.importorskip("distributed")
DRAWS = 8


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    base = tmp_path_factory.mktemp("local")
    config = write(base / "config.toml", FAKE_ENUMERATE.format(draws=DRAWS))
    assert simcore_run(config, base / "run", "--workers", "2", fake={}).returncode == 0
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
