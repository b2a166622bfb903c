"""Symmetries of networks: canonical copies of a point, and the dimension of the orbit through it.

Discrete ones (hidden units may be permuted; a tanh unit's signs flipped; a sigmoid unit reflected, s(-z) = 1 - s(z),
without L2) make copies of a critical point. Continuous ones (a rectified unit rescaled; a linear layer's
basis changed; one vector added to all softmax outputs) make critical points non-isolated: each dimension of the orbit
is a zero eigenvalue of the Hessian that is healthy.
"""

from __future__ import annotations

import math

import numpy as np

from simcore.backends.network_problems import Linear, Mlp
from simcore.backends.problems import Array
from simcore.backends.reference_network import layers, layout, linear_layers

RANK = 1e-6  # singular values below this fraction of the largest are zero when a rank is taken


def generic(rows: int, columns: int) -> Array:
    """Return a fixed matrix that no critical point knows of, to order and to fix bases by."""
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    return np.sin(1.0 + 1.3 * i + 0.7 * (j + 1) ** 2 + 0.11 * i * j)


def rank(matrix: Array) -> int:
    """Return the numerical rank, 0 where every entry is below ``RANK``."""
    if not matrix.size:
        return 0
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > RANK * max(values[0], 1.0)).sum())


# ---- orbits ------------------------------------------------------------------------------------------------------
def linear_orbit_dimension(problem: Linear, x: Array) -> int:
    """Return the dimension of the orbit of x, shape (n,), under W_k -> A_k W_k A_{k-1}^{-1}, A_0 = A_L = 1.

    It is the rank of (a_k) -> (a_k W_k - W_k a_{k-1}). At a critical point of a two-layer network it is 2pr - r^2, r
    the rank of W_2 W_1 and p the number of hidden units.
    """
    weights = [w[0] for w in linear_layers(problem.widths, x[None])]
    return rank(_basis_changes(weights, [None] * len(weights)))


def _basis_changes(weights: list[Array], biases: list[Array | None], antisymmetric: bool = False) -> Array:
    """Return the tangent vectors of all changes of hidden bases as rows, in the order W_1, (b_1,) W_2, ..."""
    rows = []
    for k in range(len(weights) - 1):
        h = len(weights[k])
        for i in range(h):
            for j in range(i if antisymmetric else h):
                a = np.zeros((h, h))
                a[i, j] = 1.0
                if antisymmetric:
                    a[j, i] = -1.0
                parts: list[Array] = []
                for number, (w, b) in enumerate(zip(weights, biases, strict=True)):
                    moved = a @ w if number == k else -w @ a if number == k + 1 else np.zeros_like(w)
                    parts.append(moved.ravel())
                    if b is not None:
                        parts.append(a @ b if number == k else np.zeros_like(b))
                rows.append(np.concatenate(parts))
    return np.array(rows) if rows else np.zeros((0, 1))


def mlp_orbit_dimension(problem: Mlp, x: Array) -> int:
    """Return the dimension of the orbit of x, shape (n,), under the continuous symmetries of a perceptron's cost."""
    pairs = layers(problem.widths, x[None])
    weights, biases = [w[0] for w, _ in pairs], [b[0] for _, b in pairs]
    free = problem.l2 == 0.0
    dimension = problem.widths[-2] + 1 if problem.loss == "cross_entropy" and free else 0
    if problem.activation == "relu" and free:
        # (w, b) -> c (w, b), v -> v/c moves a unit unless both its sides vanish
        for k in range(len(weights) - 1):
            side = np.abs(weights[k]).max(axis=1) + np.abs(biases[k]) + np.abs(weights[k + 1]).max(axis=0)
            dimension += int((side > RANK).sum())
    if problem.activation == "linear":
        changes = _basis_changes(weights, list(biases), antisymmetric=not free)
        if free:  # b_k -> b_k + c, b_{k+1} -> b_{k+1} - W_{k+1} c as well
            changes = np.concatenate([changes, _shifts(problem.widths, weights)])
        dimension += rank(changes)
    return dimension


def _shifts(widths: tuple[int, ...], weights: list[Array]) -> Array:
    n = layout(widths)[-1][1].stop
    rows = []
    for k in range(len(weights) - 1):
        for i in range(len(weights[k])):
            row = np.zeros(n)
            row[layout(widths)[k][1].start + i] = 1.0
            row[layout(widths)[k + 1][1]] = -weights[k + 1][:, i]
            rows.append(row)
    return np.array(rows) if rows else np.zeros((0, n))


# ---- canonical copies --------------------------------------------------------------------------------------------
def canonical_linear(problem: Linear, x: Array) -> Array:
    """Return the copy of x, shape (n,), whose hidden layers carry an orthonormal basis of what passes through them.

    W_k becomes Q_k (orthonormal rows spanning its row space, fixed by a generic matrix; zero rows below its rank) and
    W_{k+1} takes up the rest: W_{k+1} W_k Q_k^T. W_L ... W_1 stays. At a critical point of an autoencoder it is the
    balanced copy W_1 = U_S^T, W_2 = U_S, up to a rotation.
    """
    weights = [w[0].copy() for w in linear_layers(problem.widths, x[None])]
    for k in range(len(weights) - 1):
        weights[k], weights[k + 1] = _orthonormal(weights[k], weights[k + 1])
    return np.concatenate([w.ravel() for w in weights])


def _orthonormal(incoming: Array, outgoing: Array) -> tuple[Array, Array]:
    left, values, right = np.linalg.svd(incoming, full_matrices=False)
    r = int((values > RANK * max(values[0], 1.0)).sum())
    row_space = right[:r].T @ right[:r]
    q, upper = np.linalg.qr(row_space @ generic(r, incoming.shape[1]).T)
    q = q * np.where(np.diag(upper) < 0, -1.0, 1.0)
    new_in, new_out = np.zeros_like(incoming), np.zeros_like(outgoing)
    new_in[:r] = q.T
    new_out[:, :r] = outgoing @ (left[:, :r] * values[:r] @ right[:r]) @ q
    return new_in, new_out


def canonical_mlp(problem: Mlp, x: Array) -> Array:
    """Return the canonical copy of x, shape (n,): equal, to rounding, for all symmetric copies of a generic point.

    Layer by layer from the input, so that a layer's own choice is not disturbed by the next: signs, scales or
    basis of its units first, then their order, by a generic projection of (w, b).
    """
    pairs = layers(problem.widths, x[None])
    weights, biases = [w[0].copy() for w, _ in pairs], [b[0].copy() for _, b in pairs]
    free = problem.l2 == 0.0
    for k in range(len(weights) - 1):
        if problem.activation == "linear":
            _linear_units(weights, biases, k, free)
            continue
        if problem.activation == "relu" and free:
            _rescale(weights, biases, k)
        if problem.activation == "tanh" or (problem.activation == "sigmoid" and free):
            _flip(weights, biases, k, reflect=problem.activation == "sigmoid")
        order = np.argsort(_keys(weights[k], biases[k]), kind="stable")
        weights[k], biases[k] = weights[k][order], biases[k][order]
        weights[k + 1] = weights[k + 1][:, order]
    if problem.loss == "cross_entropy" and free:
        weights[-1] = weights[-1] - weights[-1].mean(axis=0)
        biases[-1] = biases[-1] - biases[-1].mean()
    return np.concatenate([part.ravel() for pair in zip(weights, biases, strict=True) for part in pair])


def _keys(w: Array, b: Array) -> Array:
    side = np.concatenate([w, b[:, None]], axis=1)
    return side @ generic(1, side.shape[1])[0]


def _flip(weights: list[Array], biases: list[Array], k: int, reflect: bool) -> None:
    turn = _keys(weights[k], biases[k]) < 0
    if reflect:
        biases[k + 1] = biases[k + 1] + weights[k + 1][:, turn].sum(axis=1)
    sign = np.where(turn, -1.0, 1.0)
    weights[k], biases[k] = weights[k] * sign[:, None], biases[k] * sign
    weights[k + 1] = weights[k + 1] * sign


def _rescale(weights: list[Array], biases: list[Array], k: int) -> None:
    incoming = np.sqrt((weights[k] ** 2).sum(axis=1) + biases[k] ** 2)
    outgoing = np.sqrt((weights[k + 1] ** 2).sum(axis=0))
    alive = (incoming > RANK) & (outgoing > RANK)
    scale = np.where(alive, np.sqrt(np.where(alive, outgoing, 1.0) / np.where(alive, incoming, 1.0)), 1.0)
    weights[k], biases[k] = weights[k] * scale[:, None], biases[k] * scale
    weights[k + 1] = weights[k + 1] / scale


def _linear_units(weights: list[Array], biases: list[Array], k: int, free: bool) -> None:
    if free:
        biases[k + 1] = biases[k + 1] + weights[k + 1] @ biases[k]
        biases[k] = np.zeros_like(biases[k])
        weights[k], weights[k + 1] = _orthonormal(weights[k], weights[k + 1])
        return
    side = np.concatenate([weights[k], biases[k][:, None]], axis=1)
    q, upper = np.linalg.qr(side @ generic(len(side), side.shape[1]).T)
    q = q * np.where(np.diag(upper) < 0, -1.0, 1.0)
    weights[k], biases[k], weights[k + 1] = q.T @ weights[k], q.T @ biases[k], weights[k + 1] @ q


def orbit_size(problem: Mlp, x: Array) -> int:
    """Return how many images x, shape (n,), has under permutations and signs of the units of one hidden layer.

    The group has h! elements, times 2^h for tanh; an orbit is as large as the group over the elements that keep x.
    Equal units (up to a sign for tanh) may be exchanged, and a unit that is zero may also change its sign: h! 2^h over
    the product of m! over groups of m equal units, times m! 2^m for the m units that are zero.
    """
    if len(problem.widths) != 3:
        raise ValueError("orbit_size knows networks with one hidden layer")
    pairs = layers(problem.widths, x[None])
    side = np.concatenate([pairs[0][0][0], pairs[0][1][0][:, None], pairs[1][0][0].T], axis=1)
    signed = problem.activation == "tanh"
    count = len(side)
    size = math.factorial(count) * (2**count if signed else 1)
    close = RANK * max(1.0, float(np.abs(side).max()))
    left = list(range(count))
    while left:
        first = side[left[0]]
        group = [
            i
            for i in left
            if np.abs(side[i] - first).max() < close or (signed and np.abs(side[i] + first).max() < close)
        ]
        size //= math.factorial(len(group)) * (2 ** len(group) if signed and np.abs(first).max() < close else 1)
        left = [i for i in left if i not in group]
    return size
