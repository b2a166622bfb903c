"""Everything that needs a GPU, in one run of under ten minutes: correctness first, then speed, then the peers.

    python benchmarks/gpu.py                 # writes results/gpu/<device>.json and .md
    python benchmarks/gpu.py --steps speed peers     # some steps; the others stay in the report as they were
    NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu.py --tiny --out /tmp/gpu     # the same steps in the simulator

1. tests/backends/gpu.
2. compute-sanitizer's memcheck, racecheck and synccheck on every kernel, where the tool is on the path.
3. Normals made on the device against the host's: the same bits.
4. The rows of both routes (one fused kernel; a pool with matrix products) against a second run, other orders and other
   block shapes, the fused ones against the simulator's: the same bits. Against the CPU's in distribution: a chi-square
   test of the index counts of different starts.
   Networks: cost, gradient and Hessian against the CPU's.
5. Start-iterations per second at n = 10, 50, 100 with 1024 waves, by each route, beside the issue bound of the fused
   kernel and the shares of the double-precision peak and of cuBLAS's DGEMM that useful operations reach.
6. The same iteration in CuPy, PyTorch and JAX on the same device, from the same starts, and in simcore on one core.

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
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import simcore
from simcore import backends
from simcore.backends.problems import Outcome
from simcore.benchmarks import flops
from simcore.benchmarks import peers as library_peers
from simcore.formulas.outcome import CRITICAL

SEED = 1
STEPS = 20
FALSE_ALARM = 1e-4
SIZES = {10: 2**19, 50: 2**17, 100: 2**16}
"""Starts at each dimension: the device takes several rounds of them, so that the last round costs little."""
PEAK_GFLOPS = {
    "H100": {"vector": 33_500.0, "tensor": 66_900.0},
    "H200": {"vector": 33_500.0, "tensor": 66_900.0},
    "A100": {"vector": 9_700.0, "tensor": 19_500.0},
}
"""Double precision, as the maker states it for the SXM form."""
LAST_BEGIN = 540.0
"""Seconds after which no further step begins."""
ROUTE_UNITS = {"fused": "vector", "pool": "tensor"}


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
def tests(tiny: bool) -> dict[str, Any]:
    """Run what tests/backends/gpu has beside the steps below, in a process of its own: enumerations and sweeps."""
    if tiny:
        return {"skipped": "the tests of tests/backends/gpu need a device"}
    folder = Path(__file__).parent.parent / "tests" / "backends" / "gpu"
    ours = "not (normals or rows or indices)"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", "-k", ours, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return {"passed": done.returncode == 0 and " passed" in done.stdout, "last_lines": done.stdout.splitlines()[-5:]}


def sanitizer(tiny: bool) -> dict[str, Any]:
    """Run every kernel under compute-sanitizer; its exit code is 1 when it finds an error."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"skipped": "compute-sanitizer is not on the path"}
    child = [sys.executable, "-P", __file__, "--kernels-only"]
    found = {}
    # Numba probes for driver functions and asks CuPy's pointers what they are: calls that may fail and are no fault.
    options = {"memcheck": ["--report-api-errors", "no"], "racecheck": [], "synccheck": []}
    for check, more in options.items():
        command = [tool, "--tool", check, *more, "--error-exitcode", "1", *child]
        done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False)
        found[check] = {"passed": done.returncode == 0, "last_lines": done.stdout.splitlines()[-3:]}
    return {"passed": all(result["passed"] for result in found.values()), **found}


def kernels_only() -> None:
    """Run each kernel on a few starts, for the sanitizer; in a narrow pool, since every access is checked.

    The pool takes more starts than it has columns and halves its width: starts are refilled and moved.
    """
    from simcore.backends.cuda import pool_search, probes

    pool_search.WIDTH = 2 * pool_search.NARROWEST
    cuda = backends.get("cuda")
    for landscape in cases(tiny=True):
        for route in routes():
            problem, starts, options = search_problem(landscape, 40 if route == "fused" else 3 * pool_search.NARROWEST)
            cuda.newton(problem, starts, options._replace(max_iterations=20), route=route)
    for network in network_cases()[:2]:
        x = 0.3 * np.ones((3, network.dimension))
        cuda.evaluate(network.draw(seed=SEED, draw=0).problem, x)
    probes.normals(SEED, 1, 0, 0, 33)


def routes() -> list[str]:
    """Return the routes that can run here: the pool needs CuPy."""
    from simcore.backends.cuda.products import problem_with_products
    from simcore.backends.cuda.search import ROUTES

    return [route for route in ROUTES if route != "pool" or problem_with_products() is None]


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
    """Compare rows with a second run's, other shapes', the same starts alone and in another order, bit for bit.

    The fused kernel's rows also with the simulator's. Of a pool: the widths at which cuBLAS kept every column's bits.
    """
    from simcore.backends.cuda.shape import Shape

    cuda = backends.get("cuda")
    result: dict[str, Any] = {}
    for landscape in [*cases(tiny), *([] if tiny else large_cases())]:
        problem, starts, options = search_problem(landscape, 8 if tiny else 2000)
        if landscape.n >= 24:
            options = options._replace(max_iterations=40)
        for route in routes():
            first = cuda.newton(problem, starts, options, route=route)
            order = np.random.default_rng(SEED).permutation(len(starts))
            mixed = cuda.newton(problem, starts[order], options, route=route)
            entry = {
                "again": _equal(first, cuda.newton(problem, starts, options, route=route)),
                "alone": _equal(_part(first, slice(5, 6)), cuda.newton(problem, starts[5:6], options, route=route)),
                "other_order": _equal(_part(first, order), mixed),
            }
            if route == "fused":
                shape = Shape(2, 2, 2) if tiny else Shape(32, 2, 4)
                entry["other_shape"] = _equal(first, cuda.newton(problem, starts, options, shape, route))
                if not tiny and landscape.n <= 4:
                    entry["simulator"] = _equal(_part(first, slice(6)), _in_simulator(problem, starts[:6], options))
            result[f"{landscape!r} {route}"] = entry
    passed = all(value for entry in result.values() for value in entry.values())
    return {"passed": passed, **result, "pool_widths": pool_widths()}


def pool_widths() -> dict[str, list[int]]:
    """Return the widths that pools may have, by the shape of the function; none: the fused kernel serves it."""
    from simcore.backends.cuda import pool_search

    return {f"{family.__name__.split('.')[-1]} {key}": found for (family, key, _), found in pool_search._widths.items()}


def large_cases() -> list[Any]:
    """Return landscapes whose searches take a pool."""
    return [simcore.GaussianField(n=32, features=256), simcore.SphericalSpin(n=24, p=4)]


def _part(outcome: Outcome, which: Any) -> Outcome:
    return Outcome(*(field[which] for field in outcome))


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

    result: dict[str, Any] = {}
    for landscape in [*cases(tiny), *([] if tiny else large_cases())]:
        count = 24 if tiny else 20_000 if landscape.n < 24 else 3_000
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


def network_cases() -> list[Any]:
    """Return networks of every kind: the first two small enough for the sanitizer and the simulator."""
    pixels = {"kind": "gaussian", "spectrum": [1.0] * 9, "samples": 5, "targets": "classes", "outputs": 2}

    def teacher(widths: tuple[int, ...], samples: int) -> dict[str, Any]:
        return {"kind": "teacher", "widths": list(widths), "samples": samples, "noise": 0.1}

    return [
        simcore.MLP(widths=(1, 2, 1), activation="tanh", loss="mse", data=teacher((1, 2, 1), 5)),
        simcore.ConvolutionalNetwork([2, 1], "tanh", "cross_entropy", pixels, l2=0.1, kernel=2, stride=1),
        simcore.RecurrentNetwork(2, 3, samples=6, l2=0.1),
        simcore.MLP(widths=(5, 10, 3), activation="tanh", loss="mse", data=teacher((5, 4, 3), 200), l2=0.01),
        simcore.MLP(widths=(5, 7, 5, 3), activation="softplus", loss="mse", data=teacher((5, 4, 3), 200), l2=0.01),
    ]


def networks(tiny: bool) -> dict[str, Any]:
    """Compare cost, gradient and Hessian of networks with the CPU's, and time the larger ones on both."""
    cuda, cpu = backends.get("cuda"), backends.get("cpu")
    result: dict[str, Any] = {}
    for network in network_cases()[: 2 if tiny else None]:
        problem = network.draw(seed=SEED, draw=0).problem
        x = 0.5 * np.random.default_rng(SEED).normal(size=(3 if tiny else 2048, network.dimension))
        ours, theirs = cuda.evaluate(problem, x), cpu.evaluate(problem, x)
        errors = [float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)) for a, b in zip(ours, theirs, strict=True)]
        entry: dict[str, Any] = {
            "parameters": network.dimension,
            "relative_errors": errors,
            "close": max(errors) < 1e-11,
        }
        if network.dimension > 50:
            entry |= {
                f"{name}_us": 1e6 * timed(partial(backend.evaluate, problem, x)) / len(x)
                for name, backend in (("cuda", cuda), ("cpu", cpu))
            }
        result[f"{network.name} {network.dimension}"] = entry
    return {"passed": all(entry["close"] for entry in result.values()), **result}


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
    """Time the Newton iteration on gaussian_field by each route and state its shares of two ceilings.

    ``share_of_peak``: useful operations against the double-precision peak of the vector units (fused) or of the tensor
    cores (pool), as the maker states it; ``share_of_dgemm``: against cuBLAS's own speed at the Hessian's product here.
    """
    from simcore.backends.cuda.probes import dgemm_gflops

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
        useful = flops.newton_iteration(problem)
        assert useful is not None
        dgemm = dgemm_gflops(n * (n + 1) // 2, features)
        entry: dict[str, Any] = {
            "starts": count,
            "issue_bound": issue_bound(n, features, device["multiprocessors"], 1.75e9),
            "dgemm_gflops": dgemm,
        }
        for route in routes():
            search = partial(backends.get("cuda").newton, problem, starts, options, route=route)
            seconds = timed(search, 1 if tiny else 3)
            rate = count * (options.max_iterations + 1) / seconds
            ceiling = None if peak is None else peak[ROUTE_UNITS[route]]
            entry[route] = {
                "seconds": seconds,
                "iterations_per_second": rate,
                "useful_gflops": rate * useful / 1e9,
                "share_of_peak": None if ceiling is None else rate * useful / 1e9 / ceiling,
                "share_of_dgemm": None if dgemm is None else rate * useful / 1e9 / dgemm,
            }
        result[f"n={n}"] = entry
    return result


# ---- peers ----------------------------------------------------------------------------------------------------------
def peers(tiny: bool) -> dict[str, Any]:
    """Time the iteration of CuPy, PyTorch and JAX, batched on this device, and of simcore on one processor core."""
    contestants = [name for name in library_peers.LIBRARY if name in (*library_peers.BATCHED, "simcore cpu")]
    present, missing = library_peers.installed(on_device=True)
    result: dict[str, Any] = {"not_installed": [name for name in missing if name.partition(" (")[0] in contestants]}
    for n, count in {2: 4}.items() if tiny else {10: 2**14, 50: 2**13, 100: 2**12}.items():
        problem, starts, options = endless_problem(n, count, 16 if tiny else 1024)
        entry: dict[str, Any] = {"starts": count}
        for name in (name for name in contestants if name in present):
            many = count if name in library_peers.BATCHED else min(count, 240)
            given = library_peers.Problem(problem, starts[:many], float(options.step_cap))
            try:
                seconds = timed(library_peers.iteration(name, given, 1, on_device=True), 1 if tiny else 3)
                # as in ``simcore bench``, the evaluation that the final index needs is counted
                entry[name] = many * (library_peers.ITERATIONS + 1) / seconds
            except Exception as error:  # a peer that fails is named with its reason
                entry[name] = f"failed: {type(error).__name__}: {str(error)[:100]}"
        result[f"n={n}"] = entry
    return result


# ---- report ---------------------------------------------------------------------------------------------------------
def markdown(report: dict[str, Any]) -> str:
    """Return the report as a page with one table of speeds."""
    lines = [f"# {report['device']}", ""]
    for step in ("tests", "sanitizer", "draws", "rows", "distributions", "networks"):
        found = report.get(step, {"skipped": "not run"})
        verdict = found.get("error") or found.get("skipped") or ("passed" if found["passed"] else "FAILED")
        lines.append(f"- {step}: {verdict}")
    for shape, widths in report.get("rows", {}).get("pool_widths", {}).items():
        lines.append(f"- pool of {shape}: widths {', '.join(map(str, widths)) or 'none: fused kernel'}")
    names = [name for name in library_peers.LIBRARY if name in (*library_peers.BATCHED, "simcore cpu")]
    lines += ["", "Million start-iterations a second; shares: of the peak, of cuBLAS's DGEMM here.", ""]
    lines.append(f"| n | fused | issue bound | pool | shares, fused | shares, pool | {' | '.join(names)} |")
    lines.append("|---|---|---|---|---|---|" + "---|" * len(names))
    for key, entry in report.get("speed", {}).items():
        if not key.startswith("n="):
            continue
        by_route = [entry.get(route, {}) for route in ("fused", "pool")]
        fused, pool = (_millions(found.get("iterations_per_second")) for found in by_route)
        shares = [f"{_share(found, 'share_of_peak')}, {_share(found, 'share_of_dgemm')}" for found in by_route]
        others = [_millions(report.get("peers", {}).get(key, {}).get(name)) for name in names]
        bound = _millions(entry["issue_bound"])
        lines.append(f"| {key[2:]} | {fused} | {bound} | {pool} | {' | '.join(shares)} | {' | '.join(others)} |")
    return "\n".join([*lines, ""])


def _millions(rate: Any) -> str:
    return f"{rate / 1e6:.3g}" if isinstance(rate, float) else str(rate or "-")


def _share(found: dict[str, Any], name: str) -> str:
    return "-" if found.get(name) is None else f"{found[name]:.3f}"


ALL_STEPS = (tests, sanitizer, draws, rows, distributions, networks, speed, peers)


def main() -> int:
    """Run all steps and write the two files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "results" / "gpu")
    parser.add_argument("--tiny", action="store_true", help="sizes for the simulator")
    parser.add_argument("--steps", nargs="+", choices=[step.__name__ for step in ALL_STEPS], help="only these")
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
    report["versions"] = {"simcore": simcore.__version__, "numpy": np.__version__}
    for library in ("numba", "numba-cuda", "cuda-toolkit", "nvidia-cublas", "cupy-cuda13x", "torch", "jax"):
        try:
            report["versions"][library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            report["versions"][library] = None
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = name.lower().replace(" ", "-")
    earlier = arguments.out / f"{stem}.json"
    if arguments.steps and earlier.is_file():
        report = json.loads(earlier.read_text()) | report
    started = time.perf_counter()
    for step in ALL_STEPS:
        if arguments.steps and step.__name__ not in arguments.steps:
            continue
        begin = time.perf_counter()
        if begin - started > LAST_BEGIN:
            report[step.__name__] = {"passed": False, "skipped": "no time was left"}
            continue
        try:
            report[step.__name__] = step(arguments.tiny)
        except Exception:  # the report says which step failed and where, and the exit code is 1
            report[step.__name__] = {"passed": False, "error": traceback.format_exc(limit=3)}
        report[step.__name__]["step_seconds"] = time.perf_counter() - begin
        print(f"{step.__name__}: {report[step.__name__].get('passed', 'done')}", file=sys.stderr)
        earlier.write_text(json.dumps(report, indent=2) + "\n")
        (arguments.out / f"{stem}.md").write_text(markdown(report))
    failed = [key for key, value in report.items() if isinstance(value, dict) and value.get("passed") is False]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
