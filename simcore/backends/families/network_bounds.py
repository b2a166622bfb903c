"""What the certificate of ``certify.py`` must know of small networks: a bound on D^3 f near a point, and on rounding.

Perceptrons with one hidden layer, mean squares and smooth units.  f = 1/(2N) sum |o - y|^2 + (l2/2)|x|^2, o = W_2 a +
b_2, a = phi(W_1 e), e = (v, 1). For a direction of length 1 with parts p = |dW_1, db_1|, q = |dW_2|, b = |db_2|, with
s_k >= |phi^(k)| everywhere, E = |e| and w >= |W_2| (largest singular value), for each sample

    |D o|   <= w s_1 E p + |a| q + b              <= (w^2 s_1^2 E^2 + |a|^2 + 1)^(1/2)
    |D^2 o| <= w s_2 E^2 p^2 + 2 s_1 E p q        <= (A + (A^2 + 4 B^2)^(1/2))/2,  A = w s_2 E^2, B = s_1 E
    |D^3 o| <= w s_3 E^3 p^3 + 3 s_2 E^2 p^2 q    <= (w^2 s_3^2 E^6 + 9 s_2^2 E^4)^(1/2)

by Cauchy and Schwarz, and |D^3 f| <= mean over samples of 3 |D o| |D^2 o| + |o - y| |D^3 o|, a symmetric form attaining
its norm on the diagonal. On a ball of radius rho: w <= |W_2| + rho, |a| <= |a_0| + s_1 E rho, |o - y| <= |o_0 - y| +
rho sup |D o|.

One sigmoid unit.  f = sum c_i (t_i - s(w.v_i))^2: |D^3 f| <= sum c_i |v_i|^3 (2 s_3 + 6 s_1 s_2) everywhere.

Rounding.  Sums of products as in ``certify.py``, u = 2^-53; an activation is taken to be within 16u of itself, its
derivatives within 16u of their bounds s_k, beside the error that z brings with it. Factors' errors are added to first
order, with 1 % to spare.

No certificate: cross-entropy, deeper networks, relu, and deep linear networks, whose critical points are not isolated.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.family import UNIT, Array, Bound, Derivatives, Terms
from simcore.backends.network_problems import Mlp, Sigmoid
from simcore.backends.reference_network import activate, layers

SPARE = 1.01
REACH = 1e-3  # radius of the ball on which D^3 f is bounded; certified points lie far closer
CLOSE = 16.0  # an activation's own error, in units of rounding
TOGETHER = 64  # points at a time: bounds the memory of their activations

INFLECTION = 1.0 / (6.0 * math.sqrt(3.0))
SLOPES = {
    "tanh": (1.0, 8 * INFLECTION, 2.0),
    "sigmoid": (0.25, INFLECTION, 0.125),
    "softplus": (1.0, 0.25, INFLECTION),
    "linear": (1.0, 0.0, 0.0),
}
"""Bounds on |phi'|, |phi''|, |phi'''| over all z."""


class Bounds(NamedTuple):
    """At K points, all of shape (K,): errors of gradient and Hessian (in norm), and a Lipschitz constant of the Hessian
    within ``REACH``."""

    gradient: Array
    hessian: Array
    lipschitz: Array


def bounded(problem: Any) -> bool:
    """Whether a bound is known for this kind of problem."""
    if isinstance(problem, Sigmoid):
        return True
    if not isinstance(problem, Mlp) or len(problem.widths) != 3:
        return False
    return problem.loss == "mse" and problem.activation in SLOPES


def bounds(problem: Mlp | Sigmoid, x: Array) -> Bounds:
    """Return the bounds at points x, shape (K, n)."""
    if isinstance(problem, Sigmoid):
        return _sigmoid(problem, x)
    parts = [_one_hidden(problem, x[low : low + TOGETHER]) for low in range(0, len(x), TOGETHER)]
    return Bounds(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _norm(rows: Array) -> Array:
    return np.sqrt((rows * rows).sum(axis=-1))


def _one_hidden(problem: Mlp, x: Array) -> Bounds:
    s1, s2, s3 = SLOPES[problem.activation]
    (w1, b1), (w2, b2) = layers(problem.widths, x)
    d, h, c = problem.widths
    samples, n = len(problem.inputs), problem.dimension
    a, _, _ = activate(problem.activation, problem.inputs[None] @ w1.swapaxes(1, 2) + b1[:, None])
    residual = _norm(a @ w2.swapaxes(1, 2) + b2[:, None] - problem.targets)  # (K, N), as everything below
    e = np.sqrt((problem.inputs**2).sum(axis=1) + 1.0)[None]
    rows = np.sqrt((w1**2).sum(axis=2) + b1**2)
    widest, incoming = rows.max(axis=1)[:, None], _norm(rows)[:, None]
    outgoing = np.sqrt((w2**2).sum(axis=(1, 2)))[:, None]  # Frobenius: bounds sums of absolute values as well
    active = np.sqrt((a**2).sum(axis=2) + 1.0)

    # D^3 f on the ball
    w = np.linalg.norm(w2, 2, axis=(1, 2))[:, None] + REACH
    near = active + s1 * e * REACH
    first = np.sqrt((w * s1 * e) ** 2 + near**2)
    bend = w * s2 * e**2
    second = (bend + np.sqrt(bend**2 + 4 * (s1 * e) ** 2)) / 2
    third = np.sqrt((w * s3 * e**3) ** 2 + 9 * (s2 * e**2) ** 2)
    lipschitz = (3 * first * second + (residual + REACH * first) * third).mean(axis=1)

    # rounding, forward
    of_z = (d + 3) * UNIT * e  # times the row's norm: the error of z
    of_a = s1 * of_z * incoming + CLOSE * UNIT * active
    of_o = outgoing * of_a + (h + 3) * UNIT * (outgoing * active + _norm(b2)[:, None]) + 2 * UNIT * residual
    # gradient: d a' and (W_2' d phi') e'
    of_slope = s2 * of_z * widest + CLOSE * UNIT * s1
    sums = (samples + c + 8) * UNIT
    at_outputs = of_o * active + residual * of_a + sums * residual * active
    at_inputs = e * outgoing * (s1 * of_o + residual * of_slope + sums * residual * s1)
    gradient = (at_outputs + at_inputs).mean(axis=1) + 4 * UNIT * problem.l2 * _norm(x)
    # Hessian: J'J, and the second derivatives of o times the residual
    jacobian = (outgoing * s1 * e) ** 2 + c * active**2
    curved = outgoing * s2 * e**2 + 2 * s1 * e * math.sqrt(h)
    steep = max(s2 / s1, s3 / s2 if s2 > 0 else 0.0)
    factor = CLOSE * UNIT + of_z * np.maximum(steep * widest, s1 * incoming)
    every = 2 * factor + (samples + h + c + d + 16) * UNIT
    hessian = (every * (jacobian + residual * curved) + of_o * curved).mean(axis=1)
    hessian += 4 * UNIT * problem.l2 * math.sqrt(n)
    return Bounds(SPARE * gradient, SPARE * hessian, SPARE * lipschitz)


def _sigmoid(problem: Sigmoid, x: Array) -> Bounds:
    s1, s2, s3 = SLOPES["sigmoid"]
    samples, d = problem.inputs.shape
    weight, v = problem.multiplicity[None], _norm(problem.inputs)[None]
    of_z = (d + 3) * UNIT * v * _norm(x)[:, None]
    sums = (samples + CLOSE + 8) * UNIT  # |t - s| <= 1
    of_slope = s1 * (s1 * of_z + CLOSE * UNIT) + s2 * of_z + CLOSE * UNIT * s1 + sums * s1
    of_curve = (3 * s1 * s2 + s3) * of_z + 3 * sums * (s1**2 + s2)
    lipschitz = (weight * v**3).sum() * (2 * s3 + 6 * s1 * s2)
    return Bounds(
        SPARE * (2 * weight * v * of_slope).sum(axis=1),
        SPARE * (2 * weight * v**2 * of_curve).sum(axis=1),
        np.full(len(x), SPARE * lipschitz),
    )


def terms_of(problem: Any) -> Bound | None:
    """Return the function that gives the certificate's terms at points x; None for a problem without a bound."""
    return (lambda x, at: terms(problem, x, at)) if bounded(problem) else None


def terms(problem: Any, x: Array, at: Derivatives) -> Terms:
    """Return the certificate's terms at x, rounding included."""
    found = bounds(problem, x)
    return Terms(
        residual=at.slope + found.gradient,
        sigma=at.gap - 10 * x.shape[1] * UNIT * at.size - found.hessian,
        lipschitz=found.lipschitz,
        reach=REACH,
        shrink=1.0,
    )
