"""Where searches of a multilayer perceptron start: at random, along trajectories, below saddles built by symmetry.

- "gaussian": entries N(0, s^2), s = 0.1, 0.3, 0.6, 1 in turn; "gaussian_0.1", ... with one s.
- "gradient_descent", "sgd", "adam", "saddle_free_newton": a point of such a trajectory from a Gaussian start (s in
  turn), after T^u steps, u uniform, plus uniform noise on [-r, r] with log10 r uniform on [-4, -1]. This is the
  protocol of Dauphin et al. (2014), who don't print what we chose: T = 3000 steps of size 0.1 for gradient descent;
  1500 of size 0.1 on batches of at most 50 samples (the same for every start) for sgd; 1500 of size 0.02 for adam; 80
  steps of length at most 0.5 with |eigenvalues| raised to 1e-3 of the largest for saddle-free Newton.
- "descents": hidden units of each layer are tied at random (equal weights; for tanh also some dead, all zero), the
  saddle-free Newton iteration, kept in the tied subspace, finds its minimum, a saddle of the whole network; from there
  j of its k descending modes are followed by 0.1 to 2 times a normal, then 40 steps of eigenvector following at
  index k - j lead close to a saddle without the ties. Costs as much as a search; it reaches what nothing else does.
- "mixed": gaussian_0.3, adam, descents, gaussian_0.6, saddle_free_newton, gradient_descent in turn.

Every start is a function of (seed, draw, its own number, law) alone. Gaussian starts are the same bits everywhere; the
others walk with NumPy and LAPACK, so on another machine or library version they may differ in their last digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import cpu
from simcore.backends.network_problems import Mlp
from simcore.backends.problems import Array
from simcore.backends.reference_network import layers
from simcore.blas import single_threaded_blas
from simcore.networks.base import Network, normal_starts
from simcore.steps import Adam, Descent, Here, Rule, SaddleFree, rotated

SCALES = (0.1, 0.3, 0.6, 1.0)
GAUSSIAN = tuple(f"gaussian_{s:g}" for s in SCALES)
TRAJECTORIES = ("gradient_descent", "sgd", "adam", "saddle_free_newton")
MIXTURE = ("gaussian_0.3", "adam", "descents", "gaussian_0.6", "saddle_free_newton", "gradient_descent")
LAWS = ("gaussian", *GAUSSIAN, *TRAJECTORIES, "descents", "mixed")
_MIXED = {"gaussian": GAUSSIAN, "mixed": MIXTURE}

STEPS = {"gradient_descent": 3000, "sgd": 1500, "adam": 1500, "saddle_free_newton": 80}
LONGEST = 0.5  # step of the saddle-free rules
RULES: dict[str, Rule] = {
    "gradient_descent": Descent(0.1),
    "sgd": Descent(0.1),
    "adam": Adam(0.02),
    "saddle_free_newton": SaddleFree(floor=1e-3, cap=LONGEST),
}
BATCH = 50
TOGETHER = 64  # starts advanced at a time
RUNAWAY = 50.0  # a trajectory or descent that has gone further starts at its beginning instead


def sources(law: str, first: int, count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return codes (count,) and names: the law that each start of a mixture came from."""
    names = _MIXED.get(law, (law,))
    return np.arange(first, first + count) % len(names), names


def starts(network: Network, law: str, seed: int, draw: int, first: int, count: int) -> Array:
    """Return starts first .. first + count - 1 of one draw, shape (count, n)."""
    codes, names = sources(law, first, count)
    result = np.empty((count, network.n))
    with single_threaded_blas():
        for code, name in enumerate(names):
            rows = np.flatnonzero(codes == code)
            for low in range(0, len(rows), TOGETHER):
                part = rows[low : low + TOGETHER]
                result[part] = _one_law(network, name, seed, draw, first + part)
    return result


def _one_law(network: Network, name: str, seed: int, draw: int, numbers: NDArray) -> Array:
    if name in GAUSSIAN:
        scale = SCALES[GAUSSIAN.index(name)]
        return _gaussian(network, name, seed, draw, numbers, np.full(len(numbers), scale))
    problem = network.draw(seed=seed, draw=draw).problem
    begin = _gaussian(network, name, seed, draw, numbers, np.array(SCALES)[numbers // len(MIXTURE) % 4])
    if name == "descents":
        return _descents(network, problem, seed, draw, numbers)
    u = _uniforms(network, name, seed, draw, numbers, network.n + 2)
    steps = np.floor(STEPS[name] ** u[:, 0]).astype(int)
    end = _trajectory(network, problem, name, seed, draw, begin, steps)
    return end + _amplitude(u[:, 1:2]) * (2.0 * u[:, 2:] - 1.0)


def _amplitude(u: Array) -> Array:
    return 10.0 ** (-4.0 + 3.0 * u)


def noise_amplitudes(network: Network, name: str, seed: int, draw: int, numbers: NDArray) -> Array:
    """Return the amplitude r of the noise added to trajectory starts of these numbers, shape (S,)."""
    return _amplitude(_uniforms(network, name, seed, draw, numbers, 2)[:, 1])


def _rows_of(numbers: NDArray, block: Callable[[int, int], Array]) -> Array:
    """Gather one row a start number from a function of (first, count), without making those between."""
    return np.concatenate([block(int(number), 1) for number in numbers])


def _gaussian(network: Network, name: str, seed: int, draw: int, numbers: NDArray, scale: Array) -> Array:
    return _rows_of(numbers, lambda i, c: normal_starts(network, name, seed, draw, i, c, 1.0)) * scale[:, None]


def _uniforms(network: Network, name: str, seed: int, draw: int, numbers: NDArray, count: int) -> Array:
    from simcore.formulas.random import start_uniforms

    stream = network.stream(f"starts:{name}:choices")
    return _rows_of(numbers, lambda i, c: start_uniforms(seed, stream, draw, i, c, count))


# ---- trajectories ------------------------------------------------------------------------------------------------
def _trajectory(network: Network, problem: Mlp, name: str, seed: int, draw: int, begin: Array, steps: NDArray) -> Array:
    """Return each start's point after its own number of steps; back at its beginning where it ran away."""
    from simcore.backends.cpu import network_points

    x, rows = begin.copy(), np.arange(len(begin))
    rule = RULES[name]
    state = rule.init(x)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(int(steps.max(initial=0))):
            going = (steps[rows] > step) & (np.abs(x[rows]) < RUNAWAY).all(axis=1)
            rows, state = rows[going], tuple(part[going] for part in state)
            if not len(rows):
                break
            if rule.second:
                x[rows] += _step(rule, problem, x[rows])
                continue
            some = np.tile(_batch(network, problem, seed, draw, step), (len(rows), 1)) if name == "sgd" else None
            slope = network_points.products(problem, x[rows], order=1, chosen=some)[1]
            d, state = rule.step(state, step, Here(slope))
            x[rows] += d
    lost = ~(np.abs(x) < RUNAWAY).all(axis=1)
    x[lost] = begin[lost]
    return x


def _batch(network: Network, problem: Mlp, seed: int, draw: int, step: int) -> NDArray[np.int64]:
    """Return the numbers of the samples of a step."""
    from simcore.formulas.random import uniforms

    samples = len(problem.inputs)
    size = min(BATCH, samples)
    return np.argsort(uniforms(seed, network.stream("batches"), draw, step, samples), kind="stable")[:size]


def _step(rule: Rule, problem: Mlp, x: Array) -> Array:
    """Return the step of a rule without memory that needs Hessians."""
    return rule.step((), 0, Here(*cpu.evaluate(problem, x)[1:]))[0]


# ---- descents from tied saddles ----------------------------------------------------------------------------------
def _descents(network: Network, problem: Mlp, seed: int, draw: int, numbers: NDArray) -> Array:
    hidden = sum(problem.widths[1:-1])
    u = _uniforms(network, "descents", seed, draw, numbers, hidden + 3 + 2 * network.n)
    z = _gaussian(network, "descents", seed, draw, numbers, np.ones(len(numbers)))
    ties = [_ties(problem, row[:hidden]) for row in u]
    x = np.array([_tied(problem.widths, t, row) for t, row in zip(ties, 0.5 * z, strict=True)])
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(60):
            x = x + _step(SaddleFree(cap=LONGEST), problem, x)
            x = np.array([_tied(problem.widths, t, row) for t, row in zip(ties, x, strict=True)])
        x = np.where(np.isfinite(x), x, 0.0)
        _, _, hessian = cpu.evaluate(problem, x)
        w, q = np.linalg.eigh(hessian)
        down = (w < -1e-9).sum(axis=1)
        followed = np.ceil(u[:, hidden] * down).astype(int)
        length = 10.0 ** (-1.0 + 1.3 * u[:, hidden + 1])
        order = np.argsort(
            np.where(np.arange(network.n) < down[:, None], u[:, hidden + 3 : hidden + 3 + network.n], 2.0), axis=1
        )
        chosen = np.argsort(order, axis=1) < followed[:, None]
        push = rotated(q, np.where(chosen, z[:, ::-1], 0.0)) * length[:, None]
        below = x + push
        for keep in np.unique(down - followed):
            rows = np.flatnonzero((down - followed == keep) & (followed > 0))
            if len(rows):
                below[rows] = _followed(problem, below[rows], int(keep))
    return below


def _followed(problem: Mlp, x: Array, index: int) -> Array:
    """Return x after 40 steps of eigenvector following at a fixed index, or x itself where that ran away."""
    y, rule = x.copy(), SaddleFree(index, cap=LONGEST)
    for _ in range(40):
        y = np.where(np.abs(y) < RUNAWAY, y, 0.0)
        y = y + _step(rule, problem, y)
    lost = ~(np.abs(y) < RUNAWAY).all(axis=1)
    y[lost] = x[lost]
    return y


def _ties(problem: Mlp, u: Array) -> list[NDArray[np.int64]]:
    """Return a group number for each unit of each hidden layer, -1 for dead; one tie at least where possible."""
    groups, at = [], 0
    for h in problem.widths[1:-1]:
        lowest = -1 if problem.activation == "tanh" else 0
        label = np.floor(u[at : at + h] * (h - lowest)).astype(np.int64) + lowest
        if len(np.unique(label)) == h and (label >= 0).all() and h > 1:
            label[0] = label[1]
        groups.append(label)
        at += h
    return groups


def _tied(widths: tuple[int, ...], groups: list[NDArray[np.int64]], x: Array) -> Array:
    """Return x, shape (n,), projected on the subspace where the units of a group are equal and dead ones zero."""
    pairs = layers(widths, x[None])
    weights, biases = [w[0].copy() for w, _ in pairs], [b[0].copy() for _, b in pairs]
    for k, label in enumerate(groups):
        mean = np.where(label[:, None] == label[None, :], 1.0, 0.0)
        mean /= mean.sum(axis=1, keepdims=True)
        mean[label < 0] = 0.0
        weights[k], biases[k], weights[k + 1] = mean @ weights[k], mean @ biases[k], weights[k + 1] @ mean.T
    parts: list[Any] = [part.ravel() for pair in zip(weights, biases, strict=True) for part in pair]
    return np.concatenate(parts)
