"""Throughput of ``simcore.trajectory`` on networks of about 100 parameters against JAX (jit, vmap), 256 starts at once.

Both walk the same gradient descent from the same starts in double precision, in one process, by turns, each with its
own default threads; every step they note cost, |g| and g'Hg ("steps"), or nothing before the last ("bare"); and
stochastic gradient descent on minibatches of 32, without notes ("minibatches"). JAX runs the whole path in one jitted
``lax.scan`` over vmapped starts, with H g by ``jax.linearize`` of the gradient, so that the gradient is computed once.
Its minibatches are simcore's, drawn beforehand outside its time; simcore draws them in its own. Compilation is outside
the timed runs. End points must agree. Elapsed and processor time are both given: the second hardly depends on what else
the machine does.

    python -m benchmarks.trajectory --json results/trajectory/throughput.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import simcore
from simcore.trajectories.batches import Batches

NETWORKS: dict[str, dict[str, Any]] = {
    "8-8-3 tanh, mean squares, 200 samples of a teacher": {
        "widths": [8, 8, 3], "activation": "tanh", "loss": "mse",
        "data": {"kind": "teacher", "widths": [8, 4, 3], "samples": 200, "noise": 0.1},
    },
    "10-5-10 tanh, cross-entropy, 300 digits, weight decay": {
        "widths": [10, 5, 10], "activation": "tanh", "loss": "cross_entropy", "l2": 1e-3,
        "data": {"kind": "digits", "pca": 10, "samples": 300},
    },
}  # fmt: skip
STEP, BATCH = 0.05, 32
MODES = {"steps": "gradient_descent", "bare": "gradient_descent", "minibatches": "sgd"}


def simcore_run(network: Any, starts: np.ndarray, steps: int, mode: str) -> Callable[[], np.ndarray]:
    """Return a call that walks with simcore and returns the last costs."""
    options = {"batch_size": BATCH} if mode == "minibatches" else {}
    every = 1 if mode == "steps" else steps

    def run() -> np.ndarray:
        frame = simcore.trajectory(
            network, method=MODES[mode], step_size=STEP, steps=steps, every=every, start=starts, seed=1, **options
        )
        return frame.loc[frame["step"] == steps, "cost"].to_numpy()

    return run


def jax_run(network: Any, starts: np.ndarray, steps: int, mode: str) -> Callable[[], np.ndarray]:
    """Return a call that walks with JAX and returns the last costs."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    problem = network.draw(seed=1).problem
    inputs, targets = jnp.asarray(problem.inputs), jnp.asarray(problem.targets)
    widths = problem.widths

    def cost(x: Any, inputs: Any = inputs, targets: Any = targets) -> Any:
        a, place, samples = inputs, 0, len(inputs)
        for layer, (i, o) in enumerate(pairwise(widths)):
            w = x[place : place + i * o].reshape(o, i)
            a = a @ w.T + x[place + i * o : place + (i + 1) * o]
            place += (i + 1) * o
            if layer < len(widths) - 2:
                a = jnp.tanh(a)
        if problem.loss == "mse":
            loss = ((a - targets) ** 2).sum() / (2 * samples)
        else:
            loss = -(jax.nn.log_softmax(a) * targets).sum() / samples
        return loss + 0.5 * problem.l2 * (x * x).sum()

    def noted(x: Any) -> Any:
        gradient, product = jax.linearize(jax.grad(cost), x)
        return gradient, (cost(x), jnp.sqrt(gradient @ gradient), gradient @ product(gradient))

    def walk(x: Any, chosen: Any) -> Any:
        if mode == "minibatches":
            return x - STEP * jax.vmap(jax.grad(cost))(x, inputs[chosen], targets[chosen]), None
        if mode == "bare":
            return x - STEP * jax.vmap(jax.grad(cost))(x), None
        gradient, row = jax.vmap(noted)(x)
        return x - STEP * gradient, row

    @jax.jit
    def path(x: Any, batches: Any) -> Any:
        x, rows = jax.lax.scan(walk, x, batches, length=steps)
        return rows, jax.vmap(noted)(x)[1]

    batches = None
    if mode == "minibatches":
        drawn = Batches(network, 1, 0, 0, len(starts), len(problem.inputs), BATCH)
        batches = jnp.asarray(np.stack([drawn.at(step) for step in range(steps)]))

    def run() -> np.ndarray:
        return np.asarray(jax.block_until_ready(path(starts, batches))[1][0])

    return run


def measure(name: str, count: int, steps: int, repeats: int) -> dict[str, Any]:
    """Return the throughputs on one network, in starts x steps per second: medians of alternating runs."""
    network = simcore.MLP(**NETWORKS[name])
    starts = network.starts(seed=1, draw=0, first=0, count=count, law="gaussian_0.3")
    result: dict[str, Any] = {"network": name, "parameters": network.n, "starts": count, "steps": steps}
    for words in MODES:
        runs = {"simcore": simcore_run(network, starts, steps, words), "jax": jax_run(network, starts, steps, words)}
        first, costs = {}, {}
        for peer, run in runs.items():
            begin = time.perf_counter()
            costs[peer] = run()
            first[peer] = time.perf_counter() - begin
        difference = float(np.abs(costs["simcore"] - costs["jax"]).max())
        assert difference < 1e-9, f"the paths differ by {difference}"
        seconds: dict[str, list[float]] = {peer: [] for peer in runs}
        processor: dict[str, list[float]] = {peer: [] for peer in runs}
        for _ in range(repeats):
            for peer, run in runs.items():
                begin, used = time.perf_counter(), time.process_time()
                run()
                seconds[peer].append(time.perf_counter() - begin)
                processor[peer].append(time.process_time() - used)
        middle = {peer: statistics.median(s) for peer, s in seconds.items()}
        ratios = [b / a for a, b in zip(seconds["simcore"], seconds["jax"], strict=True)]
        result[words] = {
            "simcore_per_second": count * steps / middle["simcore"],
            "jax_per_second": count * steps / middle["jax"],
            "ratio_of_medians": middle["jax"] / middle["simcore"],
            "ratio_lowest": min(ratios),
            "ratio_highest": max(ratios),
            "ratio_of_processor_time": statistics.median(processor["jax"]) / statistics.median(processor["simcore"]),
            "jax_first_call_seconds": first["jax"],
            "largest_difference_of_cost": difference,
            "seconds": seconds,
            "processor_seconds": processor,
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    try:
        peer = metadata.version("jax")
    except metadata.PackageNotFoundError:
        raise SystemExit("jax is not installed; install the extra 'bench' to compare") from None
    results = [measure(name, given.starts, given.steps, given.repeats) for name in NETWORKS]
    for r in results:
        for words in MODES:
            m = r[words]
            print(
                f"{r['network']} ({r['parameters']} parameters), {words}: simcore {m['simcore_per_second']:.3g}, "
                f"JAX {m['jax_per_second']:.3g} starts x steps a second; ratio {m['ratio_of_medians']:.2f} "
                f"({m['ratio_lowest']:.2f} to {m['ratio_highest']:.2f}), "
                f"of processor time {m['ratio_of_processor_time']:.2f}"
            )
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "simcore": simcore.__version__, "jax": peer, "numpy": np.__version__, "machine": platform.machine(),
            "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        }  # fmt: skip
        given.json.write_text(json.dumps({"environment": about, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
