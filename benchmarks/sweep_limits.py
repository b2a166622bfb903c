"""Memory that a dry run says against what the run takes, and a start on a warm cache that can only be read.

    python benchmarks/sweep_limits.py [--only memory|cache] [--rounds 3] [--out results/sweeps]

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("memory", "cache"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=runs.ROOT / "results" / "sweeps")
    given = parser.parse_args()
    report = ["# Limits of sweeps", "", f"`python benchmarks/sweep_limits.py --rounds {given.rounds}`, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}.", ""]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        if given.only != "memory":
            report += [*cache(Path(scratch), 3 * given.rounds), ""]
        if given.only != "cache":
            report += memory(Path(scratch), given.rounds)
    print("\n".join(report))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "limits.md").write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
