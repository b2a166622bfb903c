"""Everything that needs a GPU, in one run of under ten minutes: correctness first, then speed, then the peers.

    python benchmarks/gpu.py                 # writes results/gpu/<device>.json and .md
    NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu.py --tiny --out /tmp/gpu     # the same steps in the simulator

1. compute-sanitizer's memcheck and racecheck on every kernel, where the tool is on the path.
2. Normals made on the device against the host's: the same bits.
3. The rows of the device against the simulator's (the same bits), against other block shapes and a second run (the same
   bits), and against the CPU's (in distribution: a chi-square test of the index counts of different starts).
4. Start-iterations per second at n = 10, 50, 100 with 1024 waves, beside the issue bound of this design and the share
   of the double-precision peak that useful operations reach.
5. The same iteration in CuPy, PyTorch and JAX on the same device, from the same starts.

A step that fails is reported and does not stop the next; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np

import simcore
from simcore import backends
from simcore.backends.problems import Outcome, Waves
from simcore.formulas.outcome import CRITICAL

SEED = 1
STEPS = 20
FALSE_ALARM = 1e-4
SIZES = {10: 2**19, 50: 2**17, 100: 2**16}
"""Starts at each dimension: the device takes several rounds of them, so that the last round costs little."""
PEAK_GFLOPS = {"H100": 33_500.0, "H200": 33_500.0, "A100": 9_700.0}
"""Double precision without tensor cores, as the makers state it for the SXM form."""


def search_problem(landscape: Any, count: int, first: int = 0) -> tuple[Any, Any, Any]:
    """Return problem, starts and options of one landscape's draw 0."""
    starts = landscape.starts(seed=SEED, draw=0, first=first, count=count, law=landscape.start_laws[0])
    return landscape.draw(seed=SEED, draw=0).problem, starts, simcore.Newton().options(landscape)


def cases(tiny: bool) -> list[Any]:
    """Return the landscapes of the correctness steps."""
    if tiny:
        return [simcore.TorusField(n=2), simcore.SphericalSpin(n=4, p=3)]
    return [
        simcore.TorusField(n=3),
        simcore.GaussianField(n=10, features=256),
        simcore.ConfinedField(n=6, m=0.7, features=256),
        simcore.SphericalSpin(n=6, p=2),
        simcore.SphericalSpin(n=8, p=3),
        simcore.SphericalSpin(n=5, p=4),
    ]


# ---- correctness ----------------------------------------------------------------------------------------------------
def sanitizer(tiny: bool) -> dict[str, Any]:
    """Run every kernel under compute-sanitizer; its exit code is 1 when it finds an error."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"skipped": "compute-sanitizer is not on the path"}
    child = [sys.executable, "-P", __file__, "--kernels-only"]
    found = {}
    for check in ("memcheck", "racecheck"):
        command = [tool, "--tool", check, "--error-exitcode", "1", *child]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        found[check] = {"passed": done.returncode == 0, "last_lines": done.stdout.splitlines()[-3:]}
    return {"passed": all(result["passed"] for result in found.values()), **found}


def kernels_only() -> None:
    """Run each kernel once on a few starts, for the sanitizer."""
    for landscape in cases(tiny=True):
        problem, starts, options = search_problem(landscape, 40)
        backends.get("cuda").newton(problem, starts, options)


def draws(tiny: bool) -> dict[str, Any]:
    """Compare normals made on the device with the host's."""
    from simcore.backends.cuda import probes
    from simcore.formulas.random import normals

    count = 101 if tiny else 1_000_001
    different = 0
    for item in range(2):
        pair = [make(2**40 + 5, 9, 3, item, count).view(np.int64) for make in (probes.normals, normals)]
        different += int((pair[0] != pair[1]).sum())
    return {"passed": different == 0, "compared": 2 * count, "different": different}


def rows(tiny: bool) -> dict[str, Any]:
    """Compare rows with the simulator's, other shapes' and a second run's, bit for bit."""
    from simcore.backends.cuda.shape import Shape

    cuda = backends.get("cuda")
    result: dict[str, Any] = {}
    for landscape in cases(tiny):
        problem, starts, options = search_problem(landscape, 8 if tiny else 2000)
        first = cuda.newton(problem, starts, options)
        shape = Shape(2, 2, 2) if tiny else Shape(32, 2, 4)
        entry = {
            "again": _equal(first, cuda.newton(problem, starts, options)),
            "other_shape": _equal(first, cuda.newton(problem, starts, options, shape)),
            "alone": _equal(Outcome(*(f[5:6] for f in first)), cuda.newton(problem, starts[5:6], options)),
        }
        if not tiny and landscape.n <= 4:
            entry["simulator"] = _equal(Outcome(*(f[:6] for f in first)), _in_simulator(problem, starts[:6], options))
        result[repr(landscape)] = entry
    return {"passed": all(value for entry in result.values() for value in entry.values()), **result}


def _equal(a: Outcome, b: Outcome) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in Outcome._fields)


def _in_simulator(problem: Any, starts: Any, options: Any) -> Outcome:
    """Search in a child process with Numba's simulator."""
    import pickle

    code = (
        "import pickle, sys; from simcore import backends; given = pickle.load(sys.stdin.buffer); "
        "sys.stdout.buffer.write(pickle.dumps(backends.get('cuda').newton(*given)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((problem, starts, options)),
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        check=True,
    )
    return pickle.loads(done.stdout)


def distributions(tiny: bool) -> dict[str, Any]:
    """Compare index counts of device and CPU, each from starts of its own, by chi-square."""
    from scipy.stats import chi2_contingency

    count = 24 if tiny else 20_000
    result: dict[str, Any] = {}
    for landscape in cases(tiny):
        tables = []
        for backend, first in (("cuda", 0), ("cpu", count)):
            problem, starts, options = search_problem(landscape, count, first)
            outcome = backends.get(backend).newton(problem, starts, options)
            label = np.where(outcome.status == CRITICAL, outcome.index, -1 - outcome.status)
            tables.append(label)
        labels = np.unique(np.concatenate(tables))
        counts = np.array([[int((table == label).sum()) for label in labels] for table in tables])
        counts = counts[:, counts.sum(axis=0) >= 10]
        p_value = float(chi2_contingency(counts).pvalue) if counts.shape[1] > 1 else 1.0
        result[repr(landscape)] = {"p_value": p_value, "starts": count}
    passed = all(entry["p_value"] > FALSE_ALARM / len(result) for entry in result.values())
    return {"passed": passed, "false_alarm": FALSE_ALARM, **result}


# ---- speed ----------------------------------------------------------------------------------------------------------
def timed(call: Callable[[], Any], repeats: int = 3) -> float:
    """Return the median of the seconds a call takes, after one to warm up."""
    call()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[len(taken) // 2]


def issue_bound(n: int, waves: int, multiprocessors: int, hertz: float) -> float:
    """Return the start-iterations per second at which the counted instructions of the evaluation fill all issue slots.

    Counted in the machine code for sm_90, a warp of 32 starts: E^2 + 3 E + 21 a square and wave (or twice E^2 + E
    double-precision slots, if more), 10 more on the diagonal, 4.2 a coordinate for the phase, 81 for sine and cosine.
    """
    from simcore.backends.cuda.waves import best_edge

    edge = best_edge(n)
    side = -(-n // edge)
    real = edge * edge + edge
    each = max(2 * real, real + 2 * edge + 21)
    slots = waves * (side * (side + 1) / 2 * each + 10 * side + 4.2 * n + 81)
    return multiprocessors * 4 * hertz * 32 / slots


def endless_problem(n: int, count: int, features: int) -> tuple[Any, Any, Any]:
    """Return problem, starts and options with which every start makes STEPS iterations."""
    landscape = simcore.GaussianField(n=n, features=features)
    problem, starts, options = search_problem(landscape, count)
    return (
        problem,
        starts,
        options._replace(
            gradient_tolerance=0.0, decrement_tolerance=0.0, max_iterations=STEPS, region=np.inf, flat_tolerance=0.0
        ),
    )


def speed(tiny: bool) -> dict[str, Any]:
    """Time the Newton iteration on gaussian_field and state the share of the peak."""
    status = backends.get("cuda").status()
    simulator: dict[str, Any] = {"name": "simulator", "multiprocessors": 2}
    device = status["devices"][0] if status["devices"] else simulator
    peak = next((value for name, value in PEAK_GFLOPS.items() if name in device["name"]), None)
    features = 16 if tiny else 1024
    result: dict[str, Any] = {"device": device, "features": features, "peak_gflops": peak}
    for n, count in {2: 4}.items() if tiny else SIZES.items():
        problem, starts, options = endless_problem(n, count, features)
        if tiny:
            options = options._replace(max_iterations=2)
        seconds = timed(lambda: backends.get("cuda").newton(problem, starts, options), 1 if tiny else 3)  # noqa: B023
        rate = count * (options.max_iterations + 1) / seconds
        useful = features * (4 * n + n * (n + 1)) + n**3 / 3 + 2 * n**2
        result[f"n={n}"] = {
            "starts": count,
            "seconds": seconds,
            "iterations_per_second": rate,
            "useful_gflops": rate * useful / 1e9,
            "share_of_peak": None if peak is None else rate * useful / 1e9 / peak,
            "issue_bound": issue_bound(n, features, device["multiprocessors"], 1.75e9),
        }
    return result


# ---- peers ----------------------------------------------------------------------------------------------------------
def newton_step(xp: Any, given: Waves, convert: Callable[[Any], Any], cap: float) -> Callable[[Any], Any]:
    """Return the capped Newton step from points (S, n), as matrix products and a batched solve of one library."""
    w = given.frequencies
    n = w.shape[1]
    frequencies, transposed = convert(w), convert(np.ascontiguousarray(w.T))
    pairs = convert((w[:, :, None] * w[:, None, :]).reshape(len(w), n * n))
    a, b = convert(given.cosine), convert(given.sine)

    def step(x: Any) -> Any:
        phase = x @ transposed
        cosine, sine = xp.cos(phase), xp.sin(phase)
        gradient = (b * cosine - a * sine) @ frequencies
        hessian = -((a * cosine + b * sine) @ pairs).reshape(-1, n, n)
        full = xp.linalg.solve(hessian, gradient[..., None])[..., 0]
        length = xp.sqrt((full * full).sum(-1))[:, None]
        return x - full / xp.where(length > cap, length / cap, 1 + 0 * length)

    return step


def peers(tiny: bool) -> dict[str, Any]:
    """Time the iteration of CuPy, PyTorch and JAX, batched, on this device."""
    result: dict[str, Any] = {"not_installed": [name for name in ("cupy", "torch", "jax") if not util.find_spec(name)]}
    for n, count in {2: 4}.items() if tiny else {10: 2**14, 50: 2**12, 100: 2**11}.items():
        problem, starts, options = endless_problem(n, count, 16 if tiny else 1024)
        entry: dict[str, Any] = {"starts": count}
        for name in ("cupy", "torch", "jax"):
            if util.find_spec(name) is None:
                continue
            try:
                entry[name] = count * STEPS / _peer_seconds(name, problem, starts, float(options.step_cap))
            except Exception as error:  # a peer that fails is named with its reason
                entry[name] = f"failed: {type(error).__name__}: {str(error)[:100]}"
        result[f"n={n}"] = entry
    return result


def _peer_seconds(name: str, problem: Waves, starts: Any, cap: float) -> float:
    """Return the seconds of STEPS steps from all starts."""
    if name == "cupy":
        import cupy

        step, x0 = newton_step(cupy, problem, cupy.asarray, cap), cupy.asarray(starts)
        wait = cupy.cuda.Device().synchronize
    elif name == "torch":
        import torch

        def convert(array: Any) -> Any:
            return torch.from_numpy(np.array(array)).cuda()

        step, x0, wait = newton_step(torch, problem, convert, cap), convert(starts), torch.cuda.synchronize
    else:
        import jax

        jax.config.update("jax_enable_x64", True)
        if jax.default_backend() != "gpu":
            raise RuntimeError("JAX sees no GPU")
        step, x0 = jax.jit(newton_step(jax.numpy, problem, jax.numpy.asarray, cap)), jax.numpy.asarray(starts)

        def wait() -> None:
            return None

    def run() -> None:
        x = x0
        for _ in range(STEPS):
            x = step(x)
        if name == "jax":
            x.block_until_ready()
        wait()

    return timed(run)


# ---- report ---------------------------------------------------------------------------------------------------------
def markdown(report: dict[str, Any]) -> str:
    """Return the report as a page with one table of speeds."""
    lines = [f"# {report['device']}", ""]
    for step in ("sanitizer", "draws", "rows", "distributions"):
        found = report[step]
        verdict = found.get("error") or found.get("skipped") or ("passed" if found["passed"] else "FAILED")
        lines.append(f"- {step}: {verdict}")
    lines += ["", "| n | M starts-iterations/s | issue bound | share of fp64 peak | CuPy | PyTorch | JAX |"]
    lines.append("|---|---|---|---|---|---|---|")
    for key, entry in report["speed"].items():
        if not key.startswith("n="):
            continue
        peer = report["peers"].get(key, {})
        others = [peer.get(name, "-") for name in ("cupy", "torch", "jax")]
        shown = [f"{value / 1e6:.3f}" if isinstance(value, float) else str(value) for value in others]
        share = "-" if entry["share_of_peak"] is None else f"{entry['share_of_peak']:.3f}"
        rate, bound = entry["iterations_per_second"] / 1e6, entry["issue_bound"] / 1e6
        lines.append(f"| {key[2:]} | {rate:.3g} | {bound:.3g} | {share} | {' | '.join(shown)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Run all steps and write the two files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "results" / "gpu")
    parser.add_argument("--tiny", action="store_true", help="sizes for the simulator")
    parser.add_argument("--kernels-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kernels_only:
        kernels_only()
        return 0
    status = backends.get("cuda").status()
    if not status["available"]:
        print(f"no CUDA device: {status['driver_error']}", file=sys.stderr)
        return 1
    name = status["devices"][0]["name"] if status["devices"] else "simulator"
    report: dict[str, Any] = {"device": name, "status": status, "python": platform.python_version()}
    for library in ("simcore", "numba", "numba-cuda", "cuda-toolkit", "cupy-cuda13x", "torch", "jax"):
        try:
            report.setdefault("versions", {})[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            report.setdefault("versions", {})[library] = None
    for step in (sanitizer, draws, rows, distributions, speed, peers):
        begin = time.perf_counter()
        try:
            report[step.__name__] = step(arguments.tiny)
        except Exception:
            report[step.__name__] = {"passed": False, "error": traceback.format_exc(limit=3)}
        report[step.__name__]["step_seconds"] = time.perf_counter() - begin
        print(f"{step.__name__}: {report[step.__name__].get('passed', 'done')}", file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = name.lower().replace(" ", "-")
    (arguments.out / f"{stem}.json").write_text(json.dumps(report, indent=2) + "\n")
    (arguments.out / f"{stem}.md").write_text(markdown(report))
    failed = [key for key, value in report.items() if isinstance(value, dict) and value.get("passed") is False]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
