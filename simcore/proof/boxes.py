"""Proof by exclusion, for sums of waves: every box of the domain holds no critical point, or one that is known.

f(x) = (mu/2)|x|^2 + sum_k C_k cos(k.x) + S_k sin(k.x); A_k^2 = C_k^2 + S_k^2. With theta = k.x and p = -C sin + S cos,

    grad f = mu x + sum_k k p(theta_k),    Hess f = H = mu + sum_k k k' p'(theta_k),    p'' = -p,  |p|, |p'| <= A.

On the box |x_j - c_j| <= r_j each phase moves by at most t_k = sum_j |k_j| r_j. From p'' = -p and |p(theta + s)| <=
|p(theta)| + A s follow, by Taylor's formula,

    |p(theta + t) - p - p' t| <= q_k = min(A t^2/2, |p| t^2/2 + A t^3/6),
    |p'(theta + t) - p'|      <= d_k = min(A t, |p| t + A t^2/2).

For any matrix G, G grad f(c + e) = y + (1 + W) e + (remainder), y = G grad f(c), W = G H(c) - 1, so the box holds

* no critical point, if for some i  |y_i| > r_i + sum_j |W_ij| r_j + sum_k |(G k)_i| q_k
  (and, before G is made, if the gradient's own direction shows it: G replaced by one row u' with u = grad f/|grad f|);
* at most one, if for all i  sum_j |W_ij| r_j + sum_k |(G k)_i| t_k d_k < r_i: then |1 - G H'| < 1 in the norm
  max_i |x_i|/r_i for every mean H' of Hessians over a segment, and G(grad f(x) - grad f(z)) = G H' (x - z) is not zero.

The second test is made for the box 5/4 as wide (t grows by 5/4 and d by at most (5/4)^2): if that one holds a known
critical point, the box holds no unknown one. Anything else is cut in two along its widest side.

Domain. A torus is covered by boxes. With confinement every critical point has mu |x| = |sum k p| <= sum A |k|, so the
ball of radius sum A |k| / mu is covered.

Rounding (u = 2^-53, M waves, |x_j| <= X on the domain). A phase errs by (n + 2) u |k|_1 X, and sin and cos by at most
two units in the last place (glibc, LLVM's and Apple's libraries state less than one), so p and p' err by at most A ((n
+ 2) u |k|_1 X + 12 u) =: A e. Sums over waves add (M + 2) u times the sum of absolute values, products with G another
(n + 3) u. So with w_i = sum_k A |k_i| and w_ij = sum_k A |k_i k_j|,

    grad f errs by s_1 = max_i w_i (e + (M + n + 6) u) + (n + 9) u mu X,
    H errs by      s_2 = max_ij w_ij (e + (M + n + 6) u) + (n + 9) u mu,

e the largest over waves; y_i by s_1 sum_j |G_ij|, W_ij by s_2 sum_j |G_ij|: both are added to the right-hand sides. |p|
in q and d is enlarged by 10^-12 A, which must exceed A e (else nothing is proved), and both sides of every test keep
10^-9 to spare for what is left. Halves of boxes are widened by 2^-50 (|c_j| + r_j), so that they cover what they came
from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Waves
from simcore.compilation import jit

Array = NDArray[np.float64]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

SMALLEST = 1e-7
"""Half a side below which a box that is still undecided ends the proof, in vain."""
PROVED, TOO_MANY, TOO_SMALL, IMPRECISE = range(4)
CELLS = 64
"""Cells that one call of the kernel takes: between calls Ctrl-C is heard, and threads share them."""
_DEEPEST = 1024
"""Boxes that wait: one for every time that the one at hand was halved, n log2(cell/SMALLEST) at most."""
_SPARE = 1e-9
_WIDER = 2.0**-50
_FLOOR = 1e-12
_UNIT = 2.0**-53


@jit(inner=True)
def _invert(H, G, n, scratch):
    """G = H^-1 by Gauss-Jordan elimination with row exchanges; False where a pivot vanishes."""
    for i in range(n):
        for j in range(n):
            scratch[i, j] = H[i, j]
            G[i, j] = 1.0 if i == j else 0.0
    for j in range(n):
        best = j
        for i in range(j + 1, n):
            if abs(scratch[i, j]) > abs(scratch[best, j]):
                best = i
        if scratch[best, j] == 0.0:
            return False
        for k in range(n):
            scratch[best, k], scratch[j, k] = scratch[j, k], scratch[best, k]
            G[best, k], G[j, k] = G[j, k], G[best, k]
        q = 1.0 / scratch[j, j]
        for k in range(n):
            scratch[j, k] *= q
            G[j, k] *= q
        for i in range(n):
            m = scratch[i, j]
            if i != j and m != 0.0:
                for k in range(n):
                    scratch[i, k] -= m * scratch[j, k]
                    G[i, k] -= m * G[j, k]
    return True


@jit(inner=True)
def _expand(K, C, S, A, mu, c, r, g, H, p, t, q, d):
    """Set gradient and Hessian at the centre, and p, t, q, d of every wave."""
    waves, n = K.shape
    for i in range(n):
        g[i] = mu * c[i]
        for j in range(n):
            H[i, j] = mu if i == j else 0.0
    for k in range(waves):
        theta, turn = 0.0, 0.0
        for j in range(n):
            theta += K[k, j] * c[j]
            turn += abs(K[k, j]) * r[j]
        sine, cosine = math.sin(theta), math.cos(theta)
        slope = -C[k] * cosine - S[k] * sine
        p[k] = -C[k] * sine + S[k] * cosine
        size = abs(p[k]) + _FLOOR * A[k]
        t[k] = turn
        q[k] = turn * turn * min(0.5 * A[k], 0.5 * size + A[k] * turn / 6.0)
        d[k] = turn * min(A[k], size + 0.5 * A[k] * turn)
        for i in range(n):
            g[i] += K[k, i] * p[k]
            for j in range(i + 1):
                H[i, j] += K[k, i] * K[k, j] * slope
    for i in range(n):
        for j in range(i):
            H[j, i] = H[i, j]


@jit(inner=True)
def _points_away(K, g, H, r, q, slack, second):
    """Whether the gradient keeps a component along its direction at the centre, all over the box."""
    waves, n = K.shape
    length = 0.0
    for i in range(n):
        length += g[i] * g[i]
    length = math.sqrt(length)
    if not length > 0.0:
        return False
    bound = 0.0
    for i in range(n):
        along = 0.0
        for j in range(n):
            along += H[i, j] * g[j]
        bound += abs(along) / length * r[i] + abs(g[i]) / length * slack + math.sqrt(n) * second * r[i]
    if length * (1.0 - _SPARE) <= bound * (1.0 + _SPARE):
        return False
    for k in range(waves):
        along = 0.0
        for j in range(n):
            along += K[k, j] * g[j]
        bound += abs(along) / length * q[k]
    return length * (1.0 - _SPARE) > bound * (1.0 + _SPARE)


@jit(inner=True)
def _preconditioned(K, g, H, G, r, t, q, d, slack, second, single):
    """Return whether the box holds no critical point; single[0] says whether 5/4 of it holds at most one."""
    waves, n = K.shape
    none, alone = False, True
    for i in range(n):
        row, y, reach = 0.0, 0.0, 0.0
        for j in range(n):
            w = -1.0 if i == j else 0.0
            for k in range(n):
                w += G[i, k] * H[k, j]
            y += G[i, j] * g[j]
            row += abs(G[i, j])
            reach += abs(w) * r[j]
        for j in range(n):
            reach += row * second * r[j]
        spread, bend = row * slack, 0.0
        for k in range(waves):
            along = 0.0
            for j in range(n):
                along += G[i, j] * K[k, j]
            spread += abs(along) * q[k]
            bend += abs(along) * t[k] * d[k]
        if abs(y) * (1.0 - _SPARE) > (r[i] + reach + spread) * (1.0 + _SPARE):
            none = True
        # NaN must not pass
        if not (1.25 * reach + 1.25**3 * bend) * (1.0 + _SPARE) < 1.25 * r[i] * (1.0 - _SPARE):
            alone = False
    single[0] = alone
    return none


@jit(inner=True)
def _holds_known(c, r, known, near, period):
    """Whether a known critical point lies in the box 6/5 as wide."""
    for m in range(known.shape[0]):
        inside = True
        for j in range(c.size):
            gap = known[m, j] - c[j]
            if period > 0.0:
                gap -= period * math.floor(gap / period + 0.5)
            if not abs(gap) + near[m] + 1e-13 * (abs(known[m, j]) + abs(c[j])) < 1.2 * r[j]:
                inside = False
                break
        if inside:
            return True
    return False


@jit
def exclude(K, C, S, A, mu, sides, known, near, limits, first, last):
    """Return (status, boxes examined) of cells ``first`` .. ``last - 1`` of a domain.

    ``A`` >= |(C, S)|; ``sides`` = (low, high, cells a side, period, radius of the ball or infinity); ``limits`` = (s_1,
    s_2, most boxes).
    """
    waves, n = K.shape
    low, high, cells, period, radius = sides
    slack, second, most = limits
    stack = np.empty((_DEEPEST, 2 * n))
    c, r, g, single = np.empty(n), np.empty(n), np.empty(n), np.empty(1)
    H, G, scratch = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    p, t, q, d = np.empty(waves), np.empty(waves), np.empty(waves), np.empty(waves)
    side = (high - low) / cells
    boxes = 0
    for cell in range(first, last):
        rest = cell
        for j in range(n):
            stack[0, j] = low + side * (rest % int(cells) + 0.5)
            stack[0, n + j] = 0.5 * side * (1.0 + _FLOOR) + _FLOOR
            rest //= int(cells)
        top = 1
        while top > 0:
            top -= 1
            boxes += 1
            if boxes > most:
                return TOO_MANY, boxes
            widest, outside = 0, 0.0
            for j in range(n):
                c[j], r[j] = stack[top, j], stack[top, n + j]
                if r[j] > r[widest]:
                    widest = j
                outside += max(abs(c[j]) - r[j], 0.0) ** 2
            if math.sqrt(outside) > radius * (1.0 + _SPARE):
                continue
            if r[widest] < SMALLEST:
                return TOO_SMALL, boxes
            _expand(K, C, S, A, mu, c, r, g, H, p, t, q, d)
            if _points_away(K, g, H, r, q, slack, second):
                continue
            if _invert(H, G, n, scratch):
                if _preconditioned(K, g, H, G, r, t, q, d, slack, second, single):
                    continue
                if single[0] > 0.0 and _holds_known(c, r, known, near, period):
                    continue
            if top + 2 > _DEEPEST:
                return TOO_SMALL, boxes
            half = 0.5 * r[widest]
            for way in range(2):
                for j in range(n):
                    stack[top, j], stack[top, n + j] = c[j], r[j]
                stack[top, widest] = c[widest] + (half if way == 1 else -half)
                stack[top, n + widest] = half + _WIDER * (abs(c[widest]) + r[widest])
                top += 1
    return PROVED, boxes


def covered(problem: Waves) -> tuple[float, float, float, float]:
    """Return (low, high, period, radius) of a cube that holds every critical point, and of the ball that does."""
    if problem.period > 0.0:
        return 0.0, problem.period, problem.period, math.inf
    amplitude = np.hypot(problem.cosine, problem.sine)
    slope = float((amplitude * np.linalg.norm(problem.frequencies, axis=1)).sum())
    radius = (1.0 + _SPARE) * slope / problem.confinement
    return -radius, radius, 0.0, radius


def slacks(problem: Waves, extent: float) -> tuple[float, float] | None:
    """Return (s_1, s_2) of the module's docstring; None where |p| may err by more than 10^-12 A."""
    waves, n = problem.frequencies.shape
    size = np.abs(problem.frequencies)
    amplitude = np.hypot(problem.cosine, problem.sine)
    e = (n + 2) * _UNIT * float(size.sum(axis=1).max()) * extent + 12 * _UNIT
    if not e < _FLOOR:
        return None
    relative = e + (waves + n + 6) * _UNIT
    confinement = (n + 9) * _UNIT * problem.confinement
    first = float((amplitude @ size).max()) * relative + confinement * extent
    second = float(np.einsum("k,ki,kj->ij", amplitude, size, size).max()) * relative + confinement
    return (1.0 + _SPARE) * first, (1.0 + _SPARE) * second


def work(problem: Waves) -> float:
    """Return a measure of the boxes' cost: waves times correlation volumes of the domain."""
    low, high, _, _ = covered(problem)
    n = problem.frequencies.shape[1]
    longest = float(np.linalg.norm(problem.frequencies, axis=1).mean())
    return len(problem.cosine) * max((high - low) * longest, 1.0) ** n


def prove_by_boxes(problem: Waves, known: Array, near: Array, most: int, mapped: Map | None = None) -> tuple[bool, int]:
    """Return (whether the known critical points are all there are, boxes examined).

    ``known`` (K, n) are certified points of different critical points, each within ``near`` (K,) of its own; ``most``
    bounds the boxes. Infinite radii settle nothing.
    """
    low, high, period, radius = covered(problem)
    n = problem.frequencies.shape[1]
    errors = slacks(problem, 1.25 * max(abs(low), abs(high)))
    if errors is None:
        return False, 0
    shortest = math.pi / max(float(np.abs(problem.frequencies).sum(axis=1).max()), 1e-300)
    cells = int(min(max(math.ceil((high - low) / (2.0 * shortest)), 1), 64))
    plain = [np.ascontiguousarray(a, np.float64) for a in (problem.frequencies, problem.cosine, problem.sine)]
    plain.append(np.hypot(plain[1], plain[2]) * (1.0 + _SPARE))
    rest = float(problem.confinement), (low, high, float(cells), float(period), radius)
    points = np.ascontiguousarray(known), np.ascontiguousarray(near), (*errors, float(most))
    total = 0

    def piece(first: int) -> tuple[int, int]:
        return exclude(*plain, *rest, *points, first, min(first + CELLS, cells**n))

    batch = 64 * CELLS
    for begin in range(0, cells**n, batch):
        firsts = range(begin, min(begin + batch, cells**n), CELLS)
        for status, boxes in mapped(piece, firsts) if mapped is not None else map(piece, firsts):
            total += int(boxes)
            if status != PROVED or total > most:
                return False, total
    return True, total
