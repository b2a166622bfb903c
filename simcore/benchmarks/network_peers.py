"""The peers' side of perceptrons with one hidden layer, one output and mean squares, tanh units.

The forms are what a careful user would write: the Jacobian J of the outputs and one product J'J, the second derivatives
unit by unit; ``jax autodiff`` is the cost alone. ``jax lm`` is simcore's own Levenberg-Marquardt rule, jitted and
vmapped.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Mlp
from simcore.steps import LevenbergMarquardt

Array = NDArray[np.float64]
TOGETHER = 48  # starts of one call of ``jax lm``, which lasts as long as its slowest start
TRIALS = 200
RULE = LevenbergMarquardt()


def supports(problem: Any) -> bool:
    """Whether the peers know this network."""
    if not isinstance(problem, Mlp) or len(problem.widths) != 3 or problem.widths[2] != 1:
        return False
    return problem.activation == "tanh" and problem.loss == "mse"


def _places(d: int, h: int) -> NDArray[np.int64]:
    """Return where each entry of the second-order part stands among (blocks of W_1 and b_1, mixed blocks, 0)."""
    n, e = h * (d + 2) + 1, d + 1
    places = np.full((n, n), h * e * e + h * e)
    for u in range(h):
        side = [*range(u * d, (u + 1) * d), h * d + u]
        out = h * e + u
        for q, i in enumerate(side):
            places[i, side] = u * e * e + q * e + np.arange(e)
            places[i, out] = places[out, i] = h * e * e + u * e + q
    return places


def derivatives(xp: Any, asarray: Callable[[Any], Any], problem: Mlp) -> Callable[[Any], tuple[Any, Any]]:
    """Return gradients (S, n) and Hessians (S, n, n) by matrix products, for arrays of the library ``xp``."""
    (d, h, _), samples = problem.widths, len(problem.inputs)
    v = asarray(np.ascontiguousarray(problem.inputs))
    y = asarray(np.ascontiguousarray(problem.targets[:, 0]))
    e = np.concatenate([problem.inputs, np.ones((samples, 1))], axis=1)
    inputs = asarray(e)
    pairs = asarray(np.ascontiguousarray((e[:, :, None] * e[:, None, :]).reshape(samples, -1)))
    places, identity = asarray(_places(d, h).ravel()), asarray(problem.l2 * np.eye(problem.dimension))

    def both(x: Any) -> tuple[Any, Any]:
        n = x.shape[1]
        w1, b1, w2 = x[:, : h * d].reshape(-1, h, d), x[:, h * d : h * (d + 1)], x[:, h * (d + 1) : n - 1]
        a = xp.tanh(v @ w1.swapaxes(1, 2) + b1[:, None, :])
        slope = 1 - a * a
        residual = ((a @ w2[:, :, None])[:, :, 0] + x[:, n - 1 :] - y) / samples
        out = slope * w2[:, None, :]
        inner = (out[:, :, :, None] * v[:, None, :]).reshape(-1, samples, h * d)
        jacobian = xp.concatenate([inner, out, a, xp.ones_like(a[:, :, :1])], 2)
        gradient = (residual[:, None, :] @ jacobian)[:, 0] + problem.l2 * x
        bend = (-2 * a * out * residual[:, :, None]).swapaxes(1, 2) @ pairs
        mixed = (slope * residual[:, :, None]).swapaxes(1, 2) @ inputs
        parts = [bend.reshape(-1, h * (d + 1) ** 2), mixed.reshape(-1, h * (d + 1)), 0 * x[:, :1]]
        second = xp.concatenate(parts, 1)[:, places].reshape(-1, n, n)
        return gradient, jacobian.swapaxes(1, 2) @ jacobian / samples + second + identity

    return both


def automatic(jax: Any, jnp: Any, problem: Mlp) -> Callable[[Any], tuple[Any, Any]]:
    """Return vmapped ``jax.grad`` and ``jax.hessian`` of the cost as one would write it down."""
    d, h, _ = problem.widths
    v, y = jnp.asarray(problem.inputs), jnp.asarray(problem.targets[:, 0])

    def cost(x: Any) -> Any:
        w1, b1 = x[: h * d].reshape(h, d), x[h * d : h * (d + 1)]
        o = jnp.tanh(v @ w1.T + b1) @ x[h * (d + 1) : -1] + x[-1]
        return 0.5 * jnp.mean((o - y) ** 2) + 0.5 * problem.l2 * (x @ x)

    gradient, hessian = jax.vmap(jax.grad(cost)), jax.vmap(jax.hessian(cost))
    return lambda x: (gradient(x), hessian(x))


def system(problem: Mlp) -> tuple[Callable[[Array], Array], Callable[[Array], Array], Callable[[Array], Array]]:
    """Return the gradient, its Jacobian and the map from a start to the unknowns, for SciPy's root finders."""
    (d, h, _), samples = problem.widths, len(problem.inputs)
    v, y = problem.inputs, problem.targets[:, 0]
    both = derivatives(np, np.asarray, problem)

    def gradient(x: Array) -> Array:
        w2 = x[h * (d + 1) : -1]
        a = np.tanh(v @ x[: h * d].reshape(h, d).T + x[h * d : h * (d + 1)])
        residual = (a @ w2 + x[-1] - y) / samples
        back = residual[:, None] * w2 * (1 - a * a)
        parts = [(back.T @ v).ravel(), back.sum(axis=0), residual @ a, [residual.sum()]]
        found: Array = np.concatenate(parts) + problem.l2 * x
        return found

    return gradient, lambda x: both(x[None])[1][0], lambda start: start


def jax_marquardt(problem: Mlp, starts: Array, tolerance: float) -> Callable[[int], int]:
    """Return a call that walks from the first k starts by simcore's rule and returns how many |g| < tolerance.

    Each such point gets its index too.
    """
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jnp: Any = import_module("jax.numpy")
    both = derivatives(jnp, jnp.asarray, problem)
    identity = jnp.eye(problem.dimension)
    enough, poor, rich = RULE.GAINS

    def at(x: Any) -> tuple[Any, Any]:
        g, hessian = both(x[None])
        return g[0], hessian[0]

    def going(state: Any) -> Any:
        _, g, _, _, trials, flat, rejected = state
        return (
            (jnp.linalg.norm(g) >= tolerance) & (trials < TRIALS) & (flat < RULE.patience) & (rejected < RULE.REJECTED)
        )

    def trial(state: Any) -> Any:
        x, g, hessian, mu, trials, flat, rejected = state
        step = -jnp.linalg.solve(hessian + 1j * jnp.sqrt(mu) * identity, g + 0j).real
        new, bent = at(x + step)
        before, after, rest = g @ g, new @ new, g + hessian @ step
        gain = (before - after) / jnp.maximum(before - rest @ rest, 1e-300)
        good = (after < before) & (gain > enough)
        factor = jnp.where(good, jnp.where(gain > rich, RULE.FALLING, jnp.where(gain < poor, 2.0, 1.0)), RULE.RISING)
        x, g = jnp.where(good, x + step, x), jnp.where(good, new, g)
        hessian = jnp.where(good, bent, hessian)
        level = jnp.linalg.norm(hessian @ g) < RULE.FLAT * jnp.linalg.norm(hessian) * jnp.linalg.norm(g)
        flat = jnp.where(good, jnp.where(level, flat + 1, 0), flat)
        return x, g, hessian, jnp.maximum(mu * factor, 1e-30), trials + 1, flat, jnp.where(good, 0, rejected + 1)

    def walk(x: Any) -> Any:
        g, hessian = at(x)
        state = (x, g, hessian, RULE.damping * jnp.sum(hessian * hessian), 0, 0, 0)
        _, g, hessian, *_ = jax.lax.while_loop(going, trial, state)
        return jnp.linalg.norm(g) < tolerance, (jnp.linalg.eigvalsh(hessian) < 0).sum()

    together = jax.jit(jax.vmap(walk))

    def run(count: int) -> int:
        found = 0
        for low in range(0, count, TOGETHER):
            rows = np.arange(low, low + TOGETHER)
            settled, index = together(jnp.asarray(starts[np.minimum(rows, len(starts) - 1)]))
            found += int(np.sum(np.asarray(settled) & (np.asarray(index) >= 0) & (rows < count)))
        return found

    return run
