"""What a user would search networks with: SciPy's root finders and a Levenberg-Marquardt in JAX.

Both take JAX's float64 derivatives of the cost as one would write it down.

``jax lm`` is simcore's own rule with geodesic acceleration (``simcore.steps.LevenbergMarquardt``), jitted and vmapped;
``jax lm gemm`` the same with the Hessian by one matrix product, written by hand for one hidden layer of tanh units and
mean squares of one output. All return where their starts ended, shape (k, n).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Mlp, dense_layers
from simcore.steps import LevenbergMarquardt

Array = NDArray[np.float64]
Derivatives = Callable[[Any], tuple[Any, Any]]
TOGETHER = 16  # starts of one call of ``jax lm``, which lasts as long as its slowest start
TRIALS = 200
RULE = LevenbergMarquardt()


def by_hand(problem: Mlp) -> bool:
    """Whether the form with matrix products knows this network."""
    kind = len(problem.widths), problem.widths[-1], problem.activation, problem.loss
    return kind == (3, 1, "tanh", "mse")


def _jax() -> tuple[Any, Any]:
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax, import_module("jax.numpy")


def cost(jax: Any, jnp: Any, problem: Mlp) -> Callable[[Any], Any]:
    """Return the cost of one point, shape (n,), for JAX."""
    unit = {"tanh": jnp.tanh, "linear": lambda z: z}
    phi = unit.get(problem.activation) or getattr(jax.nn, problem.activation)
    inputs, targets = jnp.asarray(problem.inputs), jnp.asarray(problem.targets)
    layers = dense_layers(problem.widths)

    def value(x: Any) -> Any:
        a = inputs
        for number, layer in enumerate(layers):
            w = x[layer.weights : layer.bias].reshape(layer.filters, -1)
            z = a @ w.T + x[layer.bias : layer.bias + layer.filters]
            a = z if number == len(layers) - 1 else phi(z)
        if problem.loss == "mse":
            loss = 0.5 * jnp.sum((a - targets) ** 2)
        else:
            loss = -jnp.sum(targets * jax.nn.log_softmax(a))
        return loss / len(inputs) + 0.5 * problem.l2 * (x @ x)

    return value


def products(jnp: Any, problem: Mlp) -> Derivatives:
    """Return gradient (n,) and Hessian (n, n) of one point: the Jacobian J of the outputs, J'J, second derivatives unit
    by unit."""
    (d, h, _), samples = problem.widths, len(problem.inputs)
    v, y = jnp.asarray(problem.inputs), jnp.asarray(problem.targets[:, 0])
    e = jnp.concatenate([v, jnp.ones((samples, 1))], axis=1)
    pairs, places = (e[:, :, None] * e[:, None, :]).reshape(samples, -1), jnp.asarray(_places(d, h))

    def both(x: Any) -> tuple[Any, Any]:
        w1, b1, w2 = x[: h * d].reshape(h, d), x[h * d : h * (d + 1)], x[h * (d + 1) : -1]
        a = jnp.tanh(v @ w1.T + b1)
        slope = 1 - a * a
        residual = (a @ w2 + x[-1] - y) / samples
        out = slope * w2
        inner = (out[:, :, None] * v[:, None, :]).reshape(samples, h * d)
        jacobian = jnp.concatenate([inner, out, a, jnp.ones((samples, 1))], axis=1)
        bend, mixed = (-2 * a * out * residual[:, None]).T @ pairs, (slope * residual[:, None]).T @ e
        second = jnp.concatenate([bend.ravel(), mixed.ravel(), jnp.zeros(1)])[places]
        hessian = jacobian.T @ jacobian / samples + second + problem.l2 * jnp.eye(len(x))
        return residual @ jacobian + problem.l2 * x, hessian

    return both


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


def root_finder(name: str, problem: Mlp, starts: Array, tolerance: float) -> Callable[[int], Array]:
    """Return a call that searches from the first k starts by the peer of that name and returns where they ended.

    Every end's eigenvalues are found too, since its index is wanted.
    """
    if name.startswith("scipy"):
        return _scipy(name.removeprefix("scipy "), problem, starts)
    jax, jnp = _jax()
    if name == "jax lm gemm":
        both = products(jnp, problem)
        return _marquardt(jax, jnp, lambda x: both(x)[0], both, starts, tolerance)
    value = cost(jax, jnp, problem)
    gradient, hessian = jax.grad(value), jax.hessian(value)
    return _marquardt(jax, jnp, gradient, lambda x: (gradient(x), hessian(x)), starts, tolerance)


def _scipy(method: str, problem: Mlp, starts: Array) -> Callable[[int], Array]:
    from scipy import optimize

    jax, jnp = _jax()
    value = cost(jax, jnp, problem)
    gradient, hessian = jax.jit(jax.grad(value)), jax.jit(jax.hessian(value))
    options = {"xtol": 1e-12, **({"ftol": 1e-12, "gtol": 0.0} if method == "lm" else {})}

    def run(count: int) -> Array:
        ends = np.empty((min(count, len(starts)), starts.shape[1]))
        for end, start in zip(ends, starts, strict=False):
            solution = optimize.root(
                lambda x: np.asarray(gradient(x)),
                start,
                jac=lambda x: np.asarray(hessian(x)),
                method=method,
                options=options,
            )
            end[:] = solution.x
            np.linalg.eigvalsh(np.asarray(hessian(solution.x)))
        return ends

    return run


def _marquardt(
    jax: Any, jnp: Any, slope: Callable[[Any], Any], both: Derivatives, starts: Array, tolerance: float
) -> Callable[[int], Array]:
    identity = jnp.eye(starts.shape[1])
    enough, poor, rich = RULE.GAINS

    def norm(x: Any) -> Any:
        return jnp.sqrt(x @ x)

    def going(state: Any) -> Any:
        _, g, _, _, trials, flat, rejected = state
        return (norm(g) >= tolerance) & (trials < TRIALS) & (flat < RULE.patience) & (rejected < RULE.REJECTED)

    def trial(state: Any) -> Any:
        x, g, hessian, mu, trials, flat, rejected = state
        factors = jax.scipy.linalg.lu_factor(hessian + 1j * jnp.sqrt(mu) * identity)
        d = -jax.scipy.linalg.lu_solve(factors, g + 0j).real
        along = hessian @ d
        k = 2 / RULE.AHEAD * ((slope(x + RULE.AHEAD * d) - g) / RULE.AHEAD - along)
        bend = -jax.scipy.linalg.lu_solve(factors, k + 0j).real
        step = d + jnp.where(2 * norm(bend) <= RULE.ACCELERATION * norm(d), 0.5 * bend, 0.0)
        new, bent = both(x + step)
        before, after, rest = g @ g, new @ new, g + along
        gain = (before - after) / jnp.maximum(before - rest @ rest, 1e-300)
        good = (after < before) & (gain > enough)
        factor = jnp.where(good, jnp.where(gain > rich, RULE.FALLING, jnp.where(gain < poor, 2.0, 1.0)), RULE.RISING)
        x, g = jnp.where(good, x + step, x), jnp.where(good, new, g)
        hessian = jnp.where(good, bent, hessian)
        level = norm(hessian @ g) < RULE.FLAT * jnp.linalg.norm(hessian) * norm(g)
        flat = jnp.where(good, jnp.where(level, flat + 1, 0), flat)
        return x, g, hessian, jnp.maximum(mu * factor, 1e-30), trials + 1, flat, jnp.where(good, 0, rejected + 1)

    def walk(x: Any) -> Any:
        g, hessian = both(x)
        state = (x, g, hessian, RULE.damping * jnp.sum(hessian * hessian), 0, 0, 0)
        x, _, hessian, *_ = jax.lax.while_loop(going, trial, state)
        return x, (jnp.linalg.eigvalsh(hessian) < 0).sum()

    together = jax.jit(jax.vmap(walk))

    def run(count: int) -> Array:
        ends = []
        for low in range(0, count, TOGETHER):
            rows = np.minimum(np.arange(low, low + TOGETHER), len(starts) - 1)
            ends.append(np.asarray(together(jnp.asarray(starts[rows]))[0])[: count - low])
        return np.concatenate(ends)

    return run
