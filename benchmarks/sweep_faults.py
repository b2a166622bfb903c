"""A sweep of ten million starts that is killed, moved to Dask and damaged: is the data set always the same?

    python benchmarks/sweep_faults.py [--draws 6700] [--rounds 3] [--out results/sweeps]

Writes ``faults.md`` and ``faults.json``. Steps, all with two worker processes:

1. dry run: what it predicts;
2. undisturbed local runs and undisturbed runs on a Dask ``LocalCluster``, alternating: time, memory, checksum of all
rows; 3. a local run that gets ``kill -9`` at three random moments and is resumed each time; 4. a Dask run one of whose
workers gets ``kill -9`` midway; 5. ``simcore verify`` on a copy with twenty planted damages.

Memory is the sum of proportional set sizes (shared pages counted once) of the run and its workers, sampled.
"""

from __future__ import annotations

# ruff: noqa: E501
import argparse
import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CONFIG = """seed = 20
[[landscape]]
name = "torus_field"
n = [3, 5, 7]
[search]
method = "newton"
draws = {draws}
starts = 500
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=6700, help="of each of three landscapes, 500 starts each")
    parser.add_argument("--rounds", type=int, default=3, help="alternations of local and Dask runs")
    parser.add_argument("--overhead", action="store_true", help="step 2 alone; writes dask_overhead.md")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "sweeps")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if given.overhead:
            result = alternating(Path(scratch), given.draws, given.rounds)
            (given.out / "dask_overhead.json").write_text(json.dumps(result, indent=1) + "\n")
            (given.out / "dask_overhead.md").write_text("\n".join(overhead_report(result)) + "\n")
            print("\n".join(overhead_report(result)))
            return
        result = measure(Path(scratch), given.draws, given.rounds)
    (given.out / "faults.json").write_text(json.dumps(result, indent=1) + "\n")
    (given.out / "faults.md").write_text("\n".join(report(result)) + "\n")
    print("\n".join(report(result)))


def measure(scratch: Path, draws: int, rounds: int) -> dict:
    result = alternating(scratch, draws, rounds)
    config = scratch / "sweep.toml"
    result["killed"] = killed(config, scratch / "killed", result["local"][0]["wall_seconds"])
    after = result["local"][0]["shards"] // 3
    result["dask_worker_killed"] = dask_worker_killed(config, scratch / "dask_killed", after)
    result["damages"] = damages(scratch / "local0", scratch / "damaged")
    return result


def alternating(scratch: Path, draws: int, rounds: int) -> dict:
    config = scratch / "sweep.toml"
    config.write_text(CONFIG.format(draws=draws))
    small = scratch / "small.toml"
    small.write_text(CONFIG.format(draws=3))
    undisturbed(small, scratch / "warm", "--workers", "2")  # fills the compile cache
    result: dict = {"starts": 1500 * draws, "load": os.getloadavg()[0], "processors": os.cpu_count()}
    result["dry_run"] = json.loads(simcore(config, scratch / "local0", "--workers", "2", "--dry-run", "--json").stdout)
    for number in range(rounds):
        for engine, options in (("local", ("--workers", "2")), ("dask", ("--dask", "local:2"))):
            out = scratch / f"{engine}{number}"
            run = undisturbed(config, out, *options)
            result.setdefault(engine, []).append(run)
            print(engine, {k: v for k, v in run.items() if k != "checksums"}, flush=True)
            if number:
                shutil.rmtree(out)
    return result


# ---- runs --------------------------------------------------------------------------------------------------------
def command(config: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "simcore.cli", "run", str(config), "--out", str(out), *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def simcore(config: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(config, out, *options), env=environment(), capture_output=True, text=True, check=True)


def start(config: Path, out: Path, *options: str) -> subprocess.Popen:
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command(config, out, *options), env=environment(), start_new_session=True, **quiet)


def undisturbed(config: Path, out: Path, *options: str) -> dict:
    child = start(config, out, *options, "--json")
    with Memory(child.pid) as memory:
        before = tree_seconds()
        printed, _ = child.communicate()
        everything = tree_seconds() - before
    summary = json.loads(printed)
    assert summary["complete"], summary
    return {
        "tree_cpu_seconds": everything,
        "start_seconds": summary["start_seconds"],
        "wall_seconds": summary["wall_seconds"],
        "cpu_seconds": summary["cpu_seconds"],
        "peak_bytes": memory.peak,
        "shards": summary["shards"],
        "bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        "checksums": verified(out),
    }


def tree_seconds() -> float:
    """Processor time of all children that ended, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def verified(out: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "simcore.cli", "verify", str(out), "--json"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found["ok"], found["findings"]
    return {**found["checksums"], "rows": found["rows"]["starts"]}


def killed(config: Path, out: Path, usual: float) -> dict:
    """Kill the run at three random moments of its undisturbed time, resume, and let it end."""
    source = random.Random(time.time_ns())
    kept = []
    for _ in range(3):
        child = start(config, out, "--workers", "2")
        time.sleep(source.uniform(0.15, 0.35) * usual + 2.0)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        kept.append(len(list((out / "manifest").glob("*.json"))))
    last = json.loads(simcore(config, out, "--workers", "2", "--json").stdout)
    return {
        "shards_kept": kept,
        "computed_last": last["computed"],
        "shards": last["shards"],
        "checksums": verified(out),
    }


def dask_worker_killed(config: Path, out: Path, after: int) -> dict:
    """Kill a worker once ``after`` shards are there."""
    child = start(config, out, "--dask", "local:2")
    while len(list((out / "manifest").glob("*.json"))) < after:
        time.sleep(0.05)
        assert child.poll() is None
    below = descendants(child.pid)
    victim = next(pid for pid in below if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(victim, signal.SIGKILL)
    child.communicate()
    return {"exit_code": child.returncode, "checksums": verified(out)}


# ---- damage ------------------------------------------------------------------------------------------------------
def damages(run: Path, copy: Path) -> dict:
    """Plant twenty damages of five kinds in as many files of a copy and see which the report names."""
    shutil.copytree(run, copy)
    files = sorted((copy / "starts").iterdir())
    spare = files[-1].read_bytes()
    named = 0
    source = random.Random(1)
    places = source.sample(files[:-1], 20)
    for number, path in enumerate(places):
        data = path.read_bytes()
        kind = number % 5
        if kind == 0:
            path.write_bytes(data[: source.randrange(len(data))])
        elif kind == 1:
            place = source.randrange(len(data))
            path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        elif kind == 2:
            path.unlink()
        elif kind == 3:
            path.write_bytes(spare)
        else:
            (copy / "manifest" / f"{path.stem}.json").unlink()
    tool = [sys.executable, "-m", "simcore.cli", "verify", str(copy)]
    done = subprocess.run(tool, env=environment(), capture_output=True, text=True)
    faults = [line for line in done.stdout.splitlines() if line.partition(":")[0].isupper()]
    named = sum(any(path.stem in line for line in faults) for path in places)
    return {"planted": len(places), "named": named, "exit_code": done.returncode}


# ---- memory ------------------------------------------------------------------------------------------------------
def descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, front = [], [pid]
    while front:
        front = [child for child, parent in parents.items() if parent in front]
        found += front
    return found


class Memory:
    """Samples the proportional set size of a process and all below it, three times a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak = pid, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.3):
            total = 0
            for pid in [self.pid, *descendants(self.pid)]:
                try:
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
            self.peak = max(self.peak, total)


# ---- report ------------------------------------------------------------------------------------------------------
def report(result: dict) -> list[str]:
    """Return the lines of faults.md."""
    local, dask = result["local"], result["dask"]
    reference = local[0]["checksums"]
    dry, damage, kill, worker = (result[key] for key in ("dry_run", "damages", "killed", "dask_worker_killed"))
    wall = median(local, "wall_seconds")
    return [
        "# A sweep that is killed, moved to Dask and damaged",
        "",
        *conditions(result),
        "",
        *table(local, dask),
        f"| local, kill -9 after {', '.join(map(str, kill['shards_kept']))} shards, resumed | | | | | | "
        f"{kill['checksums']['rows']:,} | {same(kill, reference)} |",
        f"| Dask, one of two workers killed midway | | | | | | {worker['checksums']['rows']:,} | {same(worker, reference)} |",
        "",
        f"- Checksum of all rows, independent of shards and their order: `{reference['starts']}`.",
        f"- {overhead(local, dask)}",
        f"- Dry run predicted {dry['wall_seconds']:.1f} s (took {wall:.1f} s), {dry['bytes_on_disk'] / 1e6:.0f} MB on disk "
        f"(wrote {local[0]['bytes'] / 1e6:.0f} MB), {dry['peak_bytes'] / 2**20:.0f} MiB of memory "
        f"(used {max(run['peak_bytes'] for run in local) / 2**20:.0f} MiB).",
        f"- `simcore verify` named {damage['named']} of {damage['planted']} planted damages (truncated, one bit changed, "
        f"deleted, another shard's bytes, record deleted), exit code {damage['exit_code']}.",
    ]


def overhead_report(result: dict) -> list[str]:
    """Return the lines of dask_overhead.md."""
    local, dask = result["local"], result["dask"]
    lines = ["# Dask against local processes", "", *conditions(result), "", *table(local, dask)]
    return [*lines, "", f"- {overhead(local, dask)}"]


def conditions(result: dict) -> list[str]:
    return [
        f"{result['starts']:,} starts (torus_field n = 3, 5, 7; newton), {result['local'][0]['shards']} shards, two worker "
        f"processes on {result['processors']} processors (load of the machine {result['load']:.1f} when this "
        "began). Written by benchmarks/sweep_faults.py."
    ]


def table(local: list[dict], dask: list[dict]) -> list[str]:
    reference = local[0]["checksums"]
    head = "| run | wall s | of it start of the engine | CPU s of shards | CPU s of all processes | peak memory MiB | rows | checksum |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for name, runs in (("local", local), ("Dask", dask)):
        for number, run in enumerate(runs, 1):
            seconds = [run[key] for key in ("wall_seconds", "start_seconds", "cpu_seconds", "tree_cpu_seconds")]
            cells = [f"{name} {number}", *(f"{value:.1f}" for value in seconds), f"{run['peak_bytes'] / 2**20:.0f}"]
            lines.append("| " + " | ".join([*cells, f"{run['checksums']['rows']:,}", same(run, reference)]) + " |")
    return lines


def overhead(local: list[dict], dask: list[dict]) -> str:
    changes = []
    for key, words in (
        ("wall_seconds", "wall"),
        ("tree_cpu_seconds", "CPU of all processes"),
        ("cpu_seconds", "CPU of shards"),
    ):
        one, two = median(local, key), median(dask, key)
        changes.append(f"{words} {two:.1f} s against {one:.1f} s ({100 * (two / one - 1):+.1f} %)")
    return f"Dask against local processes, medians of {len(local)} alternating runs: {', '.join(changes)}."


def same(run: dict, reference: dict) -> str:
    return "equal" if run["checksums"] == reference else "DIFFERENT"


def median(runs: list[dict], key: str) -> float:
    return statistics.median(run[key] for run in runs)


if __name__ == "__main__":
    main()
