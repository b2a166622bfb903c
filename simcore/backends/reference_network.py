"""Value, gradient and exact Hessian of the small networks in plain NumPy, batched over starts.

Every product runs over one start's matrices (NumPy loops over the leading axis), so row i of a result depends on row
i of the input alone.

Symbols: l, m layers (1 .. L); z_l = W_l a_{l-1} + b_l, a_l = phi(z_l), o = z_L; d_l = df/dz_l; H_l = d^2 f / dz_l^2 per
sample, everything later being a function of z_l; J_ml = dz_m/dz_l. From H_L, the loss's own Hessian,

    H_l = D_l W_{l+1}^T H_{l+1} W_{l+1} D_l + diag(phi''(z_l) W_{l+1}^T d_{l+1}),    D_l = diag phi'(z_l),

and with e_l = (a_{l-1}, 1), the input of layer l and its bias, the block of f's Hessian for l <= m is

    d^2 f / d(W_m)_ij d(W_l)_kq = sum over samples of (H_m J_ml)_ik e_mj e_lq + d_mi phi'(z_m-1,j) (J_m-1,l)_jk e_lq,

the second term for l < m and for a true input j only: differentiate df/d(W_m)_ij = sum d_mi e_mj once more.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Chain, Linear, Mlp, Sigmoid
from simcore.backends.problems import Array

_CHUNK = 2**22  # bytes of work space per chunk of starts, about: what a second-level cache holds
Result = tuple[Array, Array, Array]


# ---- pieces ------------------------------------------------------------------------------------------------------
def sigmoid(z: Array) -> Array:
    """Return 1/(1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def activate(name: str, z: Array, derivatives: bool = True) -> tuple[Array, Array, Array]:
    """Return phi(z), phi'(z), phi''(z). At a kink of relu the derivatives are those of the left side."""
    if name == "tanh":
        a = np.tanh(z)
        slope = 1.0 / np.cosh(np.minimum(np.abs(z), 350.0)) ** 2  # 1 - a^2 would cancel where the unit saturates
        return a, slope, -2.0 * a * slope
    if name == "sigmoid":
        a = sigmoid(z)
        slope = a * sigmoid(-z)
        return a, slope, slope * (sigmoid(-z) - a)
    if name == "softplus":
        slope = sigmoid(z)
        return np.logaddexp(0.0, z), slope, slope * sigmoid(-z)
    if name == "relu":
        slope = (z > 0).astype(np.float64)
        return z * slope, slope, np.zeros_like(z)
    return z, np.ones_like(z), np.zeros_like(z)


@lru_cache(maxsize=32)
def layout(widths: tuple[int, ...]) -> tuple[tuple[slice, slice], ...]:
    """Return where W_l and b_l of each layer lie in x."""
    places, at = [], 0
    for inputs, outputs in pairwise(widths):
        places.append((slice(at, at + outputs * inputs), slice(at + outputs * inputs, at + outputs * (inputs + 1))))
        at += outputs * (inputs + 1)
    return tuple(places)


def layers(widths: tuple[int, ...], x: Array) -> list[tuple[Array, Array]]:
    """Return (W_l, b_l) of every layer, shapes (S, outputs, inputs) and (S, outputs), for x of shape (S, n)."""
    return [
        (x[:, w].reshape(len(x), outputs, inputs), x[:, b])
        for (w, b), inputs, outputs in zip(layout(widths), widths[:-1], widths[1:], strict=True)
    ]


def _with_one(a: Array) -> Array:
    return np.concatenate([a, np.ones((*a.shape[:-1], 1))], axis=-1)


def _forward(problem: Mlp, x: Array) -> tuple[list, list, list, Array]:
    """Return the layers' weights, the inputs a_0 .. a_{L-1}, the (phi', phi'') of hidden layers, and o (S, N, C)."""
    weights = layers(problem.widths, x)
    a: Array = problem.inputs[None]
    inputs, slopes = [], []
    for number, (w, b) in enumerate(weights):
        inputs.append(a)
        z = a @ w.swapaxes(1, 2) + b[:, None, :]
        if number < len(weights) - 1:
            a, first, second = activate(problem.activation, z)
            slopes.append((first, second))
    return weights, inputs, slopes, z


def _loss_of(problem: Mlp | Chain, o: Array) -> tuple[Array, Array, Array | None]:
    """Return the data cost (S,), df/do (S, N, C), and the softmax p where the loss is cross-entropy."""
    samples = len(problem.inputs)
    if problem.loss == "mse":
        residual = o - problem.targets
        return np.einsum("snc,snc->s", residual, residual) / (2 * samples), residual / samples, None
    shifted = o - o.max(axis=2, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=2, keepdims=True)
    cost = np.einsum("snc,nc->s", np.log(total) - shifted, problem.targets) / samples
    p = e / total
    return cost, (p - problem.targets) / samples, p


def outputs(problem: Mlp, x: Array) -> Array:
    """Return the network's outputs o on its data, shape (S, N, C)."""
    return _forward(problem, np.atleast_2d(x))[3]


def hidden_inputs(problem: Mlp, x: Array) -> Array:
    """Return z of every hidden unit on every sample, shape (S, N, hidden units)."""
    weights, inputs, _, _ = _forward(problem, x)
    found = [np.zeros((len(x), len(problem.inputs), 0))]
    found += [a @ w.swapaxes(1, 2) + b[:, None, :] for a, (w, b) in zip(inputs[:-1], weights[:-1], strict=True)]
    return np.concatenate(found, axis=2)


def pulled_back(problem: Mlp, x: Array, delta: Array) -> Array:
    """Return the gradient (S, n) of sum over samples and outputs of delta o, delta (S, N, C) held fixed."""
    weights, inputs, slopes, _ = _forward(problem, x)
    return _gradient(problem._replace(l2=0.0), x, weights, inputs, slopes, delta)[0]


# ---- multilayer perceptron ---------------------------------------------------------------------------------------
def _gradient(problem: Mlp, x: Array, weights: list, inputs: list, slopes: list, delta: Array) -> tuple[Array, list]:
    gradient = problem.l2 * x
    deltas = [delta]
    for number in range(len(weights) - 1, -1, -1):
        at_w, at_b = layout(problem.widths)[number]
        gradient[:, at_w] += (delta.swapaxes(1, 2) @ inputs[number]).reshape(len(x), at_w.stop - at_w.start)
        gradient[:, at_b] += delta.sum(axis=1)
        if number:
            delta = (delta @ weights[number][0]) * slopes[number - 1][0]
            deltas.append(delta)
    return gradient, deltas[::-1]


def evaluate_mlp(problem: Mlp, x: Array) -> Result:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n)."""
    starts, n = x.shape
    widest = max((a + 1) * max(problem.widths[1:]) for a in problem.widths)
    size = max(1, _CHUNK // (8 * (len(problem.inputs) * widest + n * n)))
    value, gradient, hessian = np.empty(starts), np.empty((starts, n)), np.empty((starts, n, n))
    for low in range(0, starts, size):
        part = slice(low, low + size)
        value[part], gradient[part], hessian[part] = _evaluate_mlp(problem, x[part])
    return value, gradient, hessian


def _evaluate_mlp(problem: Mlp, x: Array) -> Result:
    weights, inputs, slopes, o = _forward(problem, x)
    cost, delta, p = _loss_of(problem, o)
    value = cost + 0.5 * problem.l2 * np.einsum("si,si->s", x, x)
    gradient, deltas = _gradient(problem, x, weights, inputs, slopes, delta)
    starts, n = x.shape
    hessian = np.zeros((starts, n, n))
    ones = [_with_one(a) for a in inputs]
    curvatures = _curvatures(problem, weights, slopes, deltas, p)
    for m in range(len(weights) - 1, -1, -1):
        jacobian: Array | None = None  # J_{m-1,l}; None stands for the identity
        for source in range(m, -1, -1):
            block = _first_term(m, source, curvatures, weights, slopes, ones, jacobian)
            if source < m:
                _add_second_term(block, deltas[m], slopes[m - 1][0], jacobian, ones[source])
                if source:  # one layer further down: J_{m-1,l-1} = J_{m-1,l} W_l D_{l-1}
                    step = weights[source][0][:, None] * slopes[source - 1][0][:, :, None, :]
                    jacobian = step if jacobian is None else jacobian @ step
            _place(problem.widths, hessian, m, source, block)
    diagonal = np.arange(n)
    hessian[:, diagonal, diagonal] += problem.l2
    return value, gradient, hessian


def _curvatures(problem: Mlp, weights: list, slopes: list, deltas: list, p: Array | None) -> list[Array]:
    """Return H_1 .. H_L, each (S, N, h, h)."""
    shape, outputs = deltas[-1].shape, np.eye(problem.widths[-1])
    last = np.broadcast_to(outputs, (*shape, shape[-1])) if p is None else (outputs - p[..., None]) * p[..., None, :]
    last = last / shape[1]
    found = [last]
    for number in range(len(weights) - 2, -1, -1):
        w = weights[number + 1][0]
        first, second = slopes[number]
        inner = w.swapaxes(1, 2)[:, None] @ last @ w[:, None]
        last = first[..., :, None] * inner * first[..., None, :]
        h = np.arange(w.shape[2])
        last[..., h, h] += second * (deltas[number + 1] @ w)
        found.append(last)
    return found[::-1]


def _contract(b: Array, left: Array, right: Array) -> Array:
    """Return sum over samples of b_ik left_j right_q, shape (S, i, j, k, q).

    ``b`` has shape (S, N, i, k), ``left`` and ``right`` (S or 1, N, .).
    """
    starts, samples, i, k = b.shape
    j, q = left.shape[2], right.shape[2]
    scaled = (b[..., None] * left[:, :, None, None, :]).reshape(starts, samples, i * k * j)
    product = scaled.swapaxes(1, 2) @ right
    return product.reshape(starts, i, k, j, q).swapaxes(2, 3)


def _first_term(m: int, source: int, curvatures: list, weights: list, slopes: list, ones: list, jacobian: Any) -> Array:
    """Return sum over samples of (H_m J_ml)_ik e_mj e_lq, shape (S, i, j, k, q)."""
    through = curvatures[m]
    if source < m:
        through = through @ weights[m][0][:, None] * slopes[m - 1][0][:, :, None, :]
        through = through if jacobian is None else through @ jacobian
    return _contract(through, ones[m], ones[source])


def _add_second_term(block: Array, delta: Array, first: Array, jacobian: Array | None, e: Array) -> None:
    """Add sum over samples of d_mi phi'_j (J_{m-1,l})_jk e_lq to the true inputs j of the block, in place."""
    h = first.shape[2]
    if jacobian is None:
        left = (delta[..., :, None] * first[..., None, :]).reshape(*delta.shape[:2], -1)
        sums = (left.swapaxes(1, 2) @ e).reshape(len(block), delta.shape[2], h, -1)
        j = np.arange(h)
        block[:, :, j, j, :] += sums
        return
    weighted = delta[..., :, None, None] * (first[..., None] * jacobian)[:, :, None]
    k = jacobian.shape[3]
    sums = weighted.reshape(*delta.shape[:2], -1).swapaxes(1, 2) @ e
    block[:, :, :h] += sums.reshape(len(block), delta.shape[2], h, k, -1)


def _place(widths: tuple[int, ...], hessian: Array, m: int, source: int, block: Array) -> None:
    """Write a block (S, i, j, k, q) and its transpose; the last j and the last q belong to the biases."""
    starts, i, j, k, q = block.shape
    (wm, bm), (wl, bl) = layout(widths)[m], layout(widths)[source]
    parts = (
        (wm, wl, block[:, :, :-1, :, :-1].reshape(starts, i * (j - 1), k * (q - 1))),
        (wm, bl, block[:, :, :-1, :, -1].reshape(starts, i * (j - 1), k)),
        (bm, wl, block[:, :, -1, :, :-1].reshape(starts, i, k * (q - 1))),
        (bm, bl, block[:, :, -1, :, -1]),
    )
    for rows, columns, part in parts:
        hessian[:, rows, columns] = part
        if source < m:
            hessian[:, columns, rows] = part.swapaxes(1, 2)


# ---- deep linear network -----------------------------------------------------------------------------------------
def linear_layers(widths: tuple[int, ...], x: Array) -> list[Array]:
    """Return W_1 .. W_L, shapes (S, outputs, inputs), for x of shape (S, n)."""
    found, at = [], 0
    for inputs, outputs_ in pairwise(widths):
        found.append(x[:, at : at + outputs_ * inputs].reshape(len(x), outputs_, inputs))
        at += outputs_ * inputs
    return found


def evaluate_linear(problem: Linear, x: Array) -> Result:
    """Return value, gradient and Hessian: with A_k = W_L .. W_{k+1}, B_k = W_{k-1} .. W_1 and G = (W - T) S,

    df/dW_k = A_k^T G B_k^T, and for k > l the block [ij, ab] is (A_k^T A_l)_ia (B_k S B_l^T)_jb
    + (A_k^T G B_l^T)_ib M_ja, M = W_{k-1} .. W_{l+1}; the diagonal blocks have the first term alone.
    """
    w = linear_layers(problem.widths, x)
    starts, depth = len(x), len(w)
    below: list[Array] = [np.broadcast_to(np.eye(problem.widths[0]), (starts, problem.widths[0], problem.widths[0]))]
    for matrix in w:
        below.append(matrix @ below[-1])
    above: list[Array] = [np.broadcast_to(np.eye(problem.widths[-1]), (starts, problem.widths[-1], problem.widths[-1]))]
    for matrix in reversed(w[1:]):
        above.append(above[-1] @ matrix)
    above.reverse()
    error = below[depth] - problem.target
    slope = error @ problem.covariance
    value = 0.5 * np.einsum("sij,sij->s", slope, error)
    gradient = np.concatenate(
        [
            (a.swapaxes(1, 2) @ slope @ b.swapaxes(1, 2)).reshape(starts, -1)
            for a, b in zip(above, below[:-1], strict=True)
        ],
        axis=1,
    )
    hessian = np.empty((starts, x.shape[1], x.shape[1]))
    ends = np.cumsum([0] + [m.shape[1] * m.shape[2] for m in w])
    for k in range(depth):
        between: Array | None = None  # M; None stands for the identity
        for low in range(k, -1, -1):
            first = above[k].swapaxes(1, 2) @ above[low]
            second = below[k] @ problem.covariance @ below[low].swapaxes(1, 2)
            block = first[:, :, None, :, None] * second[:, None, :, None, :]
            if low < k:
                cross = above[k].swapaxes(1, 2) @ slope @ below[low].swapaxes(1, 2)
                middle = np.eye(w[k].shape[2])[None] if between is None else between
                block = block + cross[:, :, None, None, :] * middle[:, None, :, :, None]
                between = w[low] if between is None else between @ w[low]
            flat = block.reshape(starts, ends[k + 1] - ends[k], ends[low + 1] - ends[low])
            hessian[:, ends[k] : ends[k + 1], ends[low] : ends[low + 1]] = flat
            if low < k:
                hessian[:, ends[low] : ends[low + 1], ends[k] : ends[k + 1]] = flat.swapaxes(1, 2)
    return value, gradient, hessian


# ---- one sigmoid unit --------------------------------------------------------------------------------------------
def evaluate_sigmoid(problem: Sigmoid, x: Array) -> Result:
    """Return value, gradient and Hessian of sum_i c_i (t_i - s(z_i))^2, z = inputs w."""
    inputs, weight = problem.inputs, problem.multiplicity
    z = (inputs[None] @ x[:, :, None])[:, :, 0]
    s, slope, second = activate("sigmoid", z)
    residual = s - problem.targets
    value = (weight * residual * residual).sum(axis=1)
    gradient = ((2 * weight * residual * slope)[:, None, :] @ inputs[None])[:, 0]
    curvature = 2 * weight * (slope * slope + residual * second)
    hessian = (inputs.T[None] * curvature[:, None, :]) @ inputs[None]
    return value, gradient, 0.5 * (hessian + hessian.swapaxes(1, 2))


# ---- chains: shared weights --------------------------------------------------------------------------------------
def evaluate_chain(problem: Chain, x: Array) -> Result:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n), one start at a time.

    Column k is R{grad f} = d/de grad f(x + e unit vector k) at e = 0, sent through both passes (Pearlmutter 1994):
    another way than the compiled kernel's, and unit by unit.
    """
    n = problem.dimension
    value, gradient, hessian = np.empty(len(x)), np.empty((len(x), n)), np.empty((len(x), n, n))
    for row, point in enumerate(x):
        value[row], gradient[row], columns = _chain_columns(problem, point)
        hessian[row] = columns.T
    return value, gradient, hessian


def chain_numbers(problem: Chain, x: Array) -> tuple[Array, Array]:
    """Return z of every hidden unit (S, N, units) and the outputs (S, N, C) at x of shape (S, n)."""
    numbers = np.broadcast_to(problem.inputs[None], (len(x), *problem.inputs.shape))
    found = [np.zeros((len(x), len(problem.inputs), 0))]
    for layer in problem.layers:
        places, fan = layer.sources.shape
        w = x[:, layer.weights : layer.weights + layer.filters * fan].reshape(len(x), 1, 1, layer.filters, fan)
        b = x[:, layer.bias : layer.bias + layer.filters].reshape(len(x), 1, layer.filters, 1)
        z = (w @ numbers[:, :, layer.sources, None])[..., 0].swapaxes(2, 3) + b  # (S, N, filters, places)
        z = z.reshape(len(x), len(problem.inputs), layer.filters * places)
        numbers = np.concatenate([numbers, activate(problem.activation, z)[0]], axis=2)
        found.append(z)
    return np.concatenate(found[:-1], axis=2), found[-1]


def _chain_columns(problem: Chain, x: Array) -> tuple[float, Array, Array]:
    """Return f, its gradient and the columns of its Hessian, one a row, at one point.

    What is moved, bent or turned has a row for each direction v, the unit vectors.
    """
    samples, d = problem.inputs.shape
    v = np.eye(len(x))
    still = np.zeros((len(x), samples))
    a, moved = list(problem.inputs.T), [still] * d  # a number and its R of every input and unit
    units: list[tuple[int, NDArray, int, Array, Array, Array]] = []  # weights, sources, bias, phi', phi'', R z
    for number, layer in enumerate(problem.layers):
        fan = layer.sources.shape[1]
        made: list[tuple[Array, Array]] = []
        for f in range(layer.filters):
            w = layer.weights + f * fan
            for sources in layer.sources:
                z = x[layer.bias + f] + sum((x[w + q] * a[s] for q, s in enumerate(sources)), np.zeros(samples))
                bent = v[:, layer.bias + f, None] + sum(
                    (v[:, w + q, None] * a[s] + x[w + q] * moved[s] for q, s in enumerate(sources)), still
                )
                last = number == len(problem.layers) - 1
                phi, first, second = activate("linear" if last else problem.activation, z)
                units.append((w, sources, layer.bias + f, first, second, bent))
                made.append((phi, first * bent))
        a += [one for one, _ in made]
        moved += [other for _, other in made]
    outputs = problem.layers[-1].filters
    o, turned = np.stack(a[-outputs:], axis=-1), np.stack(moved[-outputs:], axis=-1)
    cost, slope, p = _loss_of(problem, o[None])
    curve = turned if p is None else p[0] * (turned - (p[0] * turned).sum(axis=-1, keepdims=True))
    delta, bent_delta = [np.zeros(samples) for _ in a], [still for _ in a]
    delta[-outputs:], bent_delta[-outputs:] = list(slope[0].T), list(np.moveaxis(curve, -1, 0) / samples)
    gradient, columns = problem.l2 * x, problem.l2 * v
    for at in range(len(units) - 1, -1, -1):
        w, sources, bias, first, second, bent = units[at]
        pulled, turned_back = delta[d + at], bent_delta[d + at]
        e, r = first * pulled, first * turned_back + second * bent * pulled
        gradient[bias] += e.sum()
        columns[:, bias] += r.sum(axis=1)
        for q, s in enumerate(sources):
            gradient[w + q] += e @ a[s]
            columns[:, w + q] += r @ a[s] + moved[s] @ e
            delta[s] = delta[s] + x[w + q] * e
            bent_delta[s] = bent_delta[s] + x[w + q] * r + v[:, w + q, None] * e
    return float(cost[0]) + 0.5 * problem.l2 * float(x @ x), gradient, columns
