"""Memory that a dry run says against what the run takes, warm starts on a read-only cache, costs of many shards and of
checksums.

    python benchmarks/sweep_limits.py [--only memory|cache|scale|checksums] [--rounds 3] [--out results/sweeps]

Memory of a run is what its processes hold for themselves plus the largest set of file pages of any of them, since they
map the same libraries: unlike a proportional set size it does not depend on who else uses them. Sampled three times a
second. The warm start is processor time of a fresh process that searches one function, on a writable cache and on the
same one mounted (or made) read-only, alternating. Writes ``limits.md``; needs the right to mount for the second.
"""

from __future__ import annotations

# ruff: noqa: E501
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sweep_faults as runs

MLP = 'name = "mlp"\nwidths = [6, 10, 1]\nactivation = "tanh"\nloss = "mse"\ndata = { kind = "gaussian", spectrum = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], samples = 100, targets = "normal", outputs = 1 }\n'
KINDS = {
    "newton, 500,000 starts": ('name = "torus_field"\nn = [3, 5]\n', 'method = "newton"\ndraws = 500\nstarts = 500\n'),
    "newton with positions and spectra": ('name = "gaussian_field"\nn = 12\nfeatures = 200\n', 'method = "newton"\ndraws = 100\nstarts = 256\npositions = true\nspectrum = true\n'),
    "enumerate": ('name = "spherical_spin"\nn = [6, 8]\np = 3\n', 'method = "enumerate"\ndraws = 30\n'),
    "walk": ('name = "spherical_spin"\nn = 8\np = 3\n', 'method = "walk"\ndraws = 2\nmoves = 20000\n'),
    "network": (MLP, 'method = "newton"\ndraws = 1\nstarts = 40\n'),
}  # fmt: skip


class Held(runs.Memory):
    """Anonymous memory of a process and all below it, plus the most file pages that one of them maps."""

    def _watch(self) -> None:
        while not self._stop.wait(0.3):
            own, mapped = 0, 0
            for pid in [self.pid, *runs.descendants(self.pid)]:
                try:
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
                own += found["Anonymous"]
                mapped = max(mapped, found["Rss"] - found["Anonymous"])
            self.peak = max(self.peak, own + mapped)


def memory(scratch: Path, rounds: int) -> list[str]:
    """Return a line of a table for each kind of run."""
    lines = ["| run, one worker | dry run says | measured peak | ratio |", "|---|--:|--:|--:|"]
    for number, (name, (landscape, search)) in enumerate(KINDS.items()):
        config = scratch / f"{number}.toml"
        config.write_text(f"seed = 1\n[[landscape]]\n{landscape}[search]\n{search}")
        said = json.loads(runs.simcore(config, scratch / "dry", "--workers", "1", "--dry-run", "--json").stdout)[
            "peak_bytes"
        ]
        peaks = []
        for turn in range(rounds):
            child = runs.start(config, scratch / f"{number}-{turn}", "--workers", "1", "--json")
            with Held(child.pid) as held:
                child.communicate()
            assert child.returncode == 0
            peaks.append(held.peak)
        peak = statistics.median(peaks[1:] or peaks)  # the first may have compiled
        lines.append(f"| {name} | {said / 1e6:.0f} MB | {peak / 1e6:.0f} MB | {said / peak:.2f} |")
        print(lines[-1], peaks, flush=True)
    return lines


SEARCH = "import simcore; simcore.find_critical_points(simcore.TorusField(2), draws=1, starts=16, seed=1)"


def seconds(cache: Path) -> float:
    """Return the processor time of a fresh process that searches on this cache."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", SEARCH], env={**runs.environment(), "NUMBA_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": "1"}, check=True)  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cache(scratch: Path, rounds: int) -> list[str]:
    """Return a sentence: processor time of warm starts, read-only over writable."""
    place, view = scratch / "cache", scratch / "view"
    for path in (place, view):
        path.mkdir()
    cold = seconds(place)
    subprocess.run(["mount", "--bind", str(place), str(view)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
    try:
        pairs = [(seconds(place), seconds(view)) for _ in range(rounds)]
    finally:
        subprocess.run(["umount", "-l", str(view)], check=True)
    writable, read_only = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratios = sorted(b / a for a, b in pairs)
    return [
        f"Warm start: {writable:.2f} s of processor time on a writable cache, {read_only:.2f} s on the same one read-only; "
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, {rounds} pairs); {cold:.1f} s without a cache."
    ]


def scale(scratch: Path, rounds: int) -> list[str]:
    """Return sentences: processor time a shard of resume, verify and load, of planning and of large configurations.

    Shards hold four starts each, from one search; nothing is flushed to the disk while they are made.
    """
    import time

    from simcore.sweep import load, provenance, run_sweep, verify_run
    from simcore.sweep.agenda import Agenda
    from simcore.sweep.compute import shard_rows
    from simcore.sweep.config import Configuration, read_configuration
    from simcore.sweep.dry_run import estimate, refuse_what_does_not_fit
    from simcore.sweep.plan import Shard
    from simcore.sweep.store import RunDirectory, write_shard

    def best(call) -> float:
        found = []
        for _ in range(rounds):
            began = time.process_time()
            call()
            found.append(time.process_time() - began)
        return min(found)

    os.fsync = lambda handle: None
    count, starts = 2000, 4
    sweep = Configuration.from_mapping(
        {
            "seed": 3,
            "landscape": [{"name": "torus_field", "n": 1}],
            "search": {"method": "newton", "draws": count, "starts": starts},
        }
    )
    run = RunDirectory(scratch / "many")
    run.path.mkdir()
    provenance.open_run(run, sweep, backend="reference", allow_version=False, source=sweep.to_toml())
    rows = shard_rows(sweep, Shard(0, 0, 20, 0, starts), backend="reference", threads=1)["starts"]
    facts = {
        "simcore": provenance.software()["simcore"],
        "backend": "reference",
        "software": provenance.software(),
        "arithmetic": provenance.arithmetic(),
        "wall_seconds": 0.1,
        "cpu_seconds": 0.1,
    }
    for k in range(count):
        piece = rows.iloc[k % 20 * starts : (k % 20 + 1) * starts].reset_index(drop=True).assign(draw=k)
        write_shard(run, sweep, Shard(0, k, k + 1, 0, starts), {"starts": piece}, facts)
    assert verify_run(run.path).ok and len(load(run.path)) == count * starts
    spent = {
        "resume": best(lambda: run_sweep(sweep, run.path, workers=0, backend="reference")),
        "verify": best(lambda: verify_run(run.path)),
        "load": best(lambda: load(run.path)),
    }
    lines = [
        f"{count} shards, processor time a shard, least of {rounds}: "
        + ", ".join(f"{name} {1e3 * one / count:.2f} ms" for name, one in spent.items())
        + "."
    ]
    large = Configuration.from_mapping(
        {"landscape": [{"name": "spherical_spin", "n": 8, "p": 3}], "search": {"method": "walk", "draws": 100_000}}
    )
    none = RunDirectory(scratch / "none")
    held = set(Agenda(none, large, set(), None).remaining())
    new, half, whole = (
        best(lambda h=h: Agenda(none, large, h, None)) for h in (set(), {s for s in held if s.first_draw % 2}, held)
    )
    lines.append(
        f"100,000 shards: planned new in {new:.1f} s, every other one missing {half:.1f} s, all there {whole:.1f} s of processor time."
    )
    config = scratch / "combinations.toml"
    config.write_text(
        f'[[landscape]]\nname = "gaussian_field"\nn = {list(range(1, 31))}\nfeatures = {list(range(100, 400))}\n[search]\nmethod = "newton"\ndraws = 1\nstarts = 4\n'
    )

    def dry() -> None:
        made = read_configuration(config)
        refuse_what_does_not_fit(none, made, workers=1, part=None)
        estimate(none, made, backend="reference", workers=1, part=None)

    lines.append(
        f"Dry run of 9,000 combinations: {best(dry):.1f} s of processor time, 2 s of which measure the search."
    )
    return lines


def checksums(scratch: Path, rounds: int) -> list[str]:
    """Return a sentence: processor time of a shard's checksum over that of loading it, 131,072 starts, all columns."""
    import time

    import simcore
    from simcore.sweep import run_sweep
    from simcore.sweep.files import crc32_of

    run = scratch / "run"
    landscape = [{"name": "torus_field", "n": 1}]
    run_sweep({"landscape": landscape, "search": {"method": "newton", "draws": 1024, "starts": 128}}, run, workers=0)
    data = [path.read_bytes() for path in (run / "starts").iterdir()]

    def spent(call) -> float:
        began = time.thread_time()
        call()
        return time.thread_time() - began

    pairs = [
        (spent(lambda: [crc32_of(one) for one in data]), spent(lambda: simcore.load(run)))
        for _ in range(2 * rounds + 1)
    ]
    checked, loaded = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    return [
        f"A shard of 131,072 starts, {sum(map(len, data)) / 1e6:.1f} MB: checksum {1e3 * checked:.1f} ms, load {1e3 * loaded:.0f} ms of processor time; "
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, {len(pairs)} pairs)."
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("memory", "cache", "scale", "checksums"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=runs.ROOT / "results" / "sweeps")
    given = parser.parse_args()
    report = ["# Limits of sweeps", "", f"`python benchmarks/sweep_limits.py --rounds {given.rounds}`, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}.", ""]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        for name, measure in (("cache", cache), ("memory", memory), ("scale", scale), ("checksums", checksums)):
            if given.only in (None, name):
                report += [*measure(Path(scratch), given.rounds), ""]
    print("\n".join(report))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"limits{'_' + given.only if given.only else ''}.md").write_text("\n".join(report).rstrip() + "\n")


if __name__ == "__main__":
    main()
