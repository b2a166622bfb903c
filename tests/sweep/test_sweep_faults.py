"""Faults, for real: processes that are killed, disks that are full, writers that meet. After each, the data are whole.

Real processes, files, locks and signals. Only the search is a fake in most tests (tests/sweep_fakes), so that shards
are quick and faults can be planted; the tests marked ``long`` use the real one too.
"""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from sweep_tools import (
    FAKE_ENUMERATE,
    FAKE_NEWTON,
    ROOT,
    environment,
    fake_run,
    kill,
    names,
    one_line,
    refused_run,
    row_sums,
    simcore_run,
    start,
    wait_for_shards,
    write,
)

from simcore.errors import RunError
from simcore.sweep.lock import RunLock, identity, start_time
from simcore.sweep.verify import verify_run

DRAWS = 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A fake run of ten shards, nothing happening to it."""
    base = tmp_path_factory.mktemp("undisturbed")
    config = write(base / "config.toml", FAKE_ENUMERATE.format(draws=DRAWS))
    assert fake_run(config, base / "run") == 0
    assert len(names(base / "run")) == DRAWS
    return base / "run"


@pytest.fixture
def config(tmp_path):
    return write(tmp_path / "config.toml", FAKE_ENUMERATE.format(draws=DRAWS))


def children(pid: int) -> list[int]:
    """Return the process numbers of a process's children."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def gone(pid: int, timeout: float = 20) -> bool:
    deadline = time.monotonic() + timeout
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return start_time(pid) is None


def wait_for_lock(out: Path, child: subprocess.Popen) -> None:
    """Wait until a run has its lock and its run.json."""
    while not (out / "run.json").exists():
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.02)


def check_whole(out, undisturbed):
    assert row_sums(out) == row_sums(undisturbed)
    report = verify_run(out)
    assert report.ok, report.text()
    assert not list(out.rglob("*.tmp"))


# ---- kill -9 -----------------------------------------------------------------------------------------------------
def test_kill_9_of_the_run_then_resume(config, tmp_path, undisturbed):
    out = tmp_path / "run"
    child = start(config, out, "--workers", "2", fake={"delay": 0.15})
    wait_for_shards(out, 3, child)
    workers = children(child.pid)
    kill(child)
    assert workers and all(gone(pid) for pid in workers), "workers outlived the run"
    kept = names(out)
    assert 3 <= len(kept) < DRAWS
    done = simcore_run(config, out, "--workers", "1", fake={})
    assert done.returncode == 0 and f"resuming: {len(kept)} shards are there" in done.stderr
    check_whole(out, undisturbed)


@pytest.mark.long
def test_kill_9_of_workers_does_not_stop_the_run(config, tmp_path, undisturbed):
    out = tmp_path / "run"
    child = start(config, out, "--workers", "1", fake={"delay": 0.2})
    for shards in (1, 4):
        wait_for_shards(out, shards, child)
        victims = children(child.pid)
        if victims:
            os.kill(victims[0], signal.SIGKILL)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    assert "signal 9" in errors
    check_whole(out, undisturbed)


def test_a_stopped_worker_is_named_and_the_run_goes_on_once_it_is_killed(config, tmp_path, undisturbed):
    out = tmp_path / "run"
    child = start(config, out, "--workers", "1", fake={"delay": 0.3})
    wait_for_shards(out, 1, child)
    (victim,) = children(child.pid)
    os.kill(victim, signal.SIGSTOP)
    heard = []
    for line in child.stderr:
        heard.append(line)
        if f"worker process {victim} is stopped" in line:
            break
    assert f"kill -9 {victim} has its shard computed again" in heard[-1]
    os.kill(victim, signal.SIGKILL)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0 and "signal 9" in errors
    check_whole(out, undisturbed)


# ---- Ctrl-C and SIGTERM ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_a_signal_leaves_a_run_that_can_be_resumed(config, tmp_path, undisturbed, number):
    out = tmp_path / "run"
    child = start(config, out, "--workers", "1", fake={"delay": 0.3})
    wait_for_shards(out, 2, child)
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130 and "everything finished is kept" in one_line(errors)
    kept = names(out)
    assert 2 <= len(kept) < DRAWS
    assert json.loads((out / "run.json").read_text())["sessions"][-1]["outcome"] == "interrupted"
    assert fake_run(config, out) == 0
    check_whole(out, undisturbed)


def test_a_second_signal_does_not_wait(config, tmp_path):
    out = tmp_path / "run"
    child = start(config, out, "--workers", "1", fake={"delay": 60})
    while not (out / "run.json").exists() or not children(child.pid):
        assert child.poll() is None
        time.sleep(0.02)
    time.sleep(1.0)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130 and time.monotonic() - began < 20 and names(out) == []


# ---- shards that fail --------------------------------------------------------------------------------------------
def test_shards_that_fail_are_set_aside_and_the_rest_goes_on(config, tmp_path, undisturbed):
    """An exception, the death of the process, and a critical point without a cost, each in a shard of its own."""
    out = tmp_path / "run"
    words = {"2": "ValueError: planted", "4": "signal 9", "7": "a critical point whose cost is not a number"}
    done = simcore_run(config, out, "--workers", "1", "--json", fake={"raise": 2, "die": 4, "nan": 7})
    assert done.returncode == 1 and "Traceback" not in done.stderr
    summary = json.loads(done.stdout)
    assert summary["computed"] == DRAWS - 3 and not summary["complete"]
    text = verify_run(out).text()
    for name, (draw, said) in zip(sorted(summary["set_aside"]), words.items(), strict=True):
        assert f"d000000000{draw}" in name and said in done.stderr
        stored = json.loads((out / "failed" / f"{name}.json").read_text())
        assert stored["attempts"] == 3 and said.split(":")[0] in stored["error"]
        assert ("Traceback" in stored["traceback"]) == (draw != "4")
        assert f"SET ASIDE: failed/{name}.json" in text and f"MISSING: {name}" in text
    assert fake_run(config, out) == 0
    check_whole(out, undisturbed)
    assert not list((out / "failed").iterdir())


@pytest.mark.long
def test_a_fault_that_passes_costs_nothing(config, tmp_path, undisturbed):
    done = simcore_run(config, tmp_path / "run", "--workers", "1", fake={"die": 3, "once": str(tmp_path / "once")})
    assert done.returncode == 0 and "it will be tried again" in done.stderr
    check_whole(tmp_path / "run", undisturbed)


def test_a_worker_whose_device_has_failed_is_replaced(config, tmp_path, undisturbed):
    """As after a fault on a GPU: nothing runs in that process any more, so every other shard would fail as well."""
    out, once = tmp_path / "run", str(tmp_path / "once")
    done = simcore_run(config, out, "--workers", "1", fake={"device": 2, "once": once})
    assert done.returncode == 0 and "DeviceError: planted); it will be tried again" in done.stderr
    assert "still there" not in done.stderr
    check_whole(out, undisturbed)


def test_bad_input_that_only_a_shard_can_see_stops_the_run(config, tmp_path):
    done = simcore_run(config, tmp_path / "run", "--workers", "1", fake={"input": 0})
    assert done.returncode == 2 and "planted bad input" in one_line(done.stderr)


@pytest.mark.long
def test_a_worker_that_runs_out_of_memory(config, tmp_path, undisturbed):
    """The limit on the address space strikes in the worker; the run and the other shards do not feel it."""
    out = tmp_path / "run"
    limit = 5 << 30

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = simcore_run(config, out, "--workers", "2", fake={"allocate": 6}, preexec_fn=limited)
    assert done.returncode == 1 and "MemoryError" in done.stderr and "Traceback" not in done.stderr
    assert len(names(out)) == DRAWS - 1
    assert fake_run(config, out) == 0
    check_whole(out, undisturbed)


# ---- disks -------------------------------------------------------------------------------------------------------
def test_a_file_size_limit_stops_the_run_in_one_line(tmp_path):
    config = write(tmp_path / "config.toml", FAKE_NEWTON.format(draws=6))
    assert fake_run(config, tmp_path / "whole") == 0
    largest = max(path.stat().st_size for path in (tmp_path / "whole" / "starts").iterdir())
    out = tmp_path / "run"

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 200, largest - 200))

    done = simcore_run(config, out, "--workers", "1", fake={}, preexec_fn=limited)
    assert done.returncode == 1 and "make room" in one_line(done.stderr), done.stderr
    assert not list(out.glob("starts/*.tmp"))
    assert fake_run(config, out) == 0
    check_whole(out, tmp_path / "whole")


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_stops_the_run_in_one_line(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        config = write(tmp_path / "config.toml", FAKE_NEWTON.format(draws=40))
        done = simcore_run(config, disk / "run", "--workers", "1", fake={})
        assert done.returncode == 1 and "No space left" in one_line(done.stderr), done.stderr
        kept = names(disk / "run")
        assert 0 < len(kept) < 40
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert fake_run(config, disk / "run") == 0
        assert fake_run(config, tmp_path / "whole") == 0
        check_whole(disk / "run", tmp_path / "whole")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def read_only(tmp_path):
    """A directory, and a function that makes it read-only; root is stopped by a file system only."""
    place = tmp_path / "place"
    place.mkdir()
    if os.geteuid() != 0:
        yield place, lambda: [path.chmod(0o555 if path.is_dir() else 0o444) for path in [*place.rglob("*"), place]]
        for path in [place, *place.rglob("*")]:
            path.chmod(0o755)
        return
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield place, lambda: subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_read_only_place_is_refused_in_one_line(read_only, config):
    place, lock_up = read_only
    out = place / "run"
    assert fake_run(config, out, shard=(1, 2)) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    lock_up()
    for target, code, words in ((out, 1, "make it writable"), (place / "new", 2, "can't be made")):
        done = simcore_run(config, target, fake={})
        assert done.returncode == code and words in one_line(done.stderr), done.stderr
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert not verify_run(out).ok  # reading needs no right to write


# ---- writers -----------------------------------------------------------------------------------------------------
def test_two_writers_exclude_each_other(config, tmp_path, undisturbed):
    out = tmp_path / "run"
    first = start(config, out, "--workers", "1", fake={"delay": 600})
    wait_for_lock(out, first)
    second = simcore_run(config, out, fake={})
    assert second.returncode == 1 and f"is being written by process {first.pid}" in one_line(second.stderr)
    assert f"is being written by process {first.pid}" in refused_run(config, out, shard=(1, 2))
    kill(first)
    assert fake_run(config, out) == 0
    check_whole(out, undisturbed)


def test_parts_run_together_and_the_same_part_does_not(config, tmp_path, undisturbed):
    out = tmp_path / "run"
    one = start(config, out, "--workers", "1", "--shard", "1/2", fake={"delay": 600})
    wait_for_lock(out, one)
    for other in ((1, 2), (1, 3)):
        assert "is being written" in refused_run(config, out, shard=other)
    two = fake_run(config, out, shard=(2, 2))
    alive = one.poll() is None
    kill(one)
    assert two == 0 and alive
    assert fake_run(config, out, shard=(1, 2)) == 0
    check_whole(out, undisturbed)
    document = json.loads((out / "run.json").read_text())
    assert sorted(session["shard"] for session in document["sessions"]) == ["1/2", "2/2"]
    assert len(document["shards"]) == DRAWS


@pytest.mark.long
def test_the_job_array_of_the_documentation(config, tmp_path, undisturbed):
    """docs/sweeps.md's script, both tasks at once, one ended by SLURM's signal and submitted again."""
    text = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    script = write(tmp_path / "job.sh", "#!/bin/bash" + text.partition("#!/bin/bash")[2].partition("```")[0])
    assert "--signal=B:TERM" in script.read_text() and "exec simcore" in script.read_text()
    write(tmp_path / "simcore", f'#!/bin/bash\nexec {sys.executable} -m simcore.cli "$@"\n').chmod(0o755)
    write(tmp_path / "sweep.toml", config.read_text())

    def submit(task):
        variables = environment({"delay": 0.3}, SLURM_ARRAY_TASK_COUNT="2", SLURM_CPUS_PER_TASK="1")
        variables |= {"SLURM_ARRAY_TASK_ID": str(task), "SCRATCH": str(tmp_path)}
        variables["PATH"] = f"{tmp_path}{os.pathsep}{variables['PATH']}"
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["bash", str(script)], cwd=tmp_path, env=variables, **pipes)

    jobs = [submit(1), submit(2)]
    wait_for_shards(tmp_path / "run", 2, jobs[0])
    jobs[0].send_signal(signal.SIGTERM)
    ended = [(job.communicate(timeout=120)[1], job.returncode) for job in jobs]
    assert [code for _, code in ended] == [130, 0], ended
    again = submit(1)
    assert again.communicate(timeout=120) and again.returncode == 0
    check_whole(tmp_path / "run", undisturbed)


def test_locks_of_the_dead_are_recovered(tmp_path, monkeypatch):
    """A process number that somebody else has now, another boot, a holder elsewhere whose heartbeat stands still."""
    from simcore.sweep import lock

    monkeypatch.setattr(lock, "WATCH", 1.0)
    locks = tmp_path / "locks"
    locks.mkdir()
    me = identity(os.getpid())
    for holder in (
        {**me, "started": 1},
        {**me, "boot": "another"},
        {**me, "pid": 2**22 + 1},
        {**me, "host": "elsewhere", "count": 4},
        {"nonsense": []},
    ):
        (locks / "writer.json").write_text(json.dumps(holder))
        with RunLock(tmp_path):
            pass
    (locks / "writer.json").write_text("{torn")
    with RunLock(tmp_path):
        pass


def test_a_living_holder_elsewhere_is_seen_by_its_heartbeat(tmp_path):
    import threading

    path = tmp_path / "locks" / "writer.json"
    path.parent.mkdir()
    stop = threading.Event()

    def beat():
        count = 0
        while not stop.wait(0.2):
            count += 1
            path.write_text(json.dumps({"pid": 7, "host": "elsewhere", "boot": "b", "started": 1, "count": count}))

    path.write_text(json.dumps({"pid": 7, "host": "elsewhere", "boot": "b", "started": 1, "count": 0}))
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(RunError, match="process 7 on elsewhere"):
            RunLock(tmp_path).__enter__()
    finally:
        stop.set()
        thread.join()


def test_a_living_holder_is_seen_where_the_system_has_no_locks(tmp_path, monkeypatch):
    from simcore.sweep import lock

    monkeypatch.setattr(lock, "acquired", lambda path: FileLock(path))  # never taken
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "locks" / "writer.json").read_text())["host"] == socket.gethostname()
        with pytest.raises(RunError, match=f"process {os.getpid()}"):
            RunLock(tmp_path).__enter__()


# ---- clocks ------------------------------------------------------------------------------------------------------
def test_clocks_that_jump_change_nothing(config, tmp_path, undisturbed):
    """Files dated years ahead and back, and a wall clock that runs backwards while the run goes on."""
    out = tmp_path / "run"
    assert fake_run(config, out, shard=(1, 2)) == 0
    for number, path in enumerate(sorted(out.rglob("*"))):
        when = 4e9 if number % 2 else 1e6
        os.utime(path, (when, when))
    clock = write(
        tmp_path / "jumping.py",
        "import sys, time, random\n"
        "true = time.time\n"
        "time.time = lambda: true() + random.choice([-1e8, 0, 1e8])\n"
        "from simcore.cli import main\nsys.exit(main(sys.argv[1:]))",
    )
    done = subprocess.run(
        [sys.executable, str(clock), "run", str(config), "--out", str(out), "--workers", "1"],
        env=environment({"delay": 0.05}), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_whole(out, undisturbed)


# ---- damage before a resume --------------------------------------------------------------------------------------
def test_a_resume_does_not_overwrite_what_is_damaged(config, tmp_path, undisturbed):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    victim = sorted((out / "points").iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:-100])
    said = refused_run(config, out)
    assert victim.name in said and "remove it" in said
    victim.unlink()
    record = sorted((out / "manifest").iterdir())[5]
    assert '"rows":6' in record.read_text()
    record.write_text(record.read_text().replace('"rows":6', '"rows":7'))
    assert record.name in refused_run(config, out)
    record.unlink()
    assert fake_run(config, out) == 0
    check_whole(out, undisturbed)


# ---- at length ---------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_fifty_kills_at_random_moments(tmp_path):
    """kill -9 of the run or of a worker, at any moment of its life, until it is done; then everything is there once."""
    config = write(tmp_path / "config.toml", FAKE_ENUMERATE.format(draws=150))
    assert simcore_run(config, tmp_path / "whole", fake={}).returncode == 0
    source = random.Random(7)
    kills, round_number = 0, 0
    while kills < 50:
        out = tmp_path / f"run{round_number}"
        round_number += 1
        child = start(config, out, "--workers", "2", fake={"delay": 0.05})
        while kills < 50:
            time.sleep(source.uniform(0.1, 3.0))
            if child.poll() is not None:
                break
            workers = children(child.pid)
            if workers and source.random() < 0.5:
                os.kill(source.choice(workers), signal.SIGKILL)
                kills += 1
                continue
            kill(child)
            kills += 1
            child = start(config, out, "--workers", "2", fake={"delay": 0.05})
        child.communicate(timeout=300)
        if child.returncode != 0:
            assert simcore_run(config, out, fake={}).returncode == 0
        check_whole(out, tmp_path / "whole")
    assert kills == 50


@pytest.mark.long
def test_kills_of_a_real_search(tmp_path):
    text = """
seed = 3
[[landscape]]
name = "torus_field"
n = [2, 3]
[search]
method = "newton"
draws = 2000
starts = 400
"""
    config = write(tmp_path / "config.toml", text)
    assert simcore_run(config, tmp_path / "whole", timeout=900).returncode == 0
    source = random.Random(8)
    out = tmp_path / "run"
    for _ in range(8):
        child = start(config, out, "--workers", "2")
        time.sleep(source.uniform(1.0, 12.0))
        if child.poll() is None:
            kill(child)
        else:
            child.communicate()
    assert simcore_run(config, out, timeout=900).returncode == 0
    check_whole(out, tmp_path / "whole")
