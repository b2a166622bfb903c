"""The family: its coefficients, its slow twin, and what is known of it."""

from typing import NamedTuple

import numpy as np

from simcore.backends.families import Family, Without, add, waves
from simcore.backends.problems import Waves
from simcore.domains import Torus


class Pairs(NamedTuple):
    """f(x) = sum over i >= j of cosine_k cos(x_i + x_j) + sine_k sin(x_i + x_j) on the torus, k = i(i+1)/2 + j."""

    n: int
    cosine: np.ndarray  # (n(n+1)/2,)
    sine: np.ndarray

    @property
    def domain(self) -> Torus:
        return Torus(self.n)

    @property
    def dimension(self) -> int:
        return self.n


def evaluate(problem: Pairs, x):
    """Value, gradient and Hessian from the definition; a pair (i, i) counts twice, as i and as j."""
    value, gradient, hessian = np.zeros(len(x)), np.zeros_like(x), np.zeros((*x.shape, problem.n))
    for a, b, i, j in zip(problem.cosine, problem.sine, *np.tril_indices(problem.n), strict=True):
        cosine, sine = np.cos(x[:, i] + x[:, j]), np.sin(x[:, i] + x[:, j])
        wave, slope = a * cosine + b * sine, b * cosine - a * sine
        value += wave
        for k in (i, j):
            gradient[:, k] += slope
            for m in (i, j):
                hessian[:, k, m] -= wave
    return value, gradient, hessian


def as_waves(problem: Pairs) -> Waves:
    """The same function as a sum of plane waves."""
    frequencies = np.eye(problem.n)[np.tril_indices(problem.n)[0]] + np.eye(problem.n)[np.tril_indices(problem.n)[1]]
    return Waves(frequencies, problem.cosine, problem.sine, 0.0, 2 * np.pi)


def bounds(problem: Pairs):
    """|D^3 f| is at most what it is for the waves."""
    return waves.bounds(as_waves(problem))


def flops(problem: Pairs) -> float:
    """14 a pair (phase, wave, slope, and where they are added), LDL^T and two solves."""
    n = problem.n
    return 7.0 * n * (n + 1) + n**3 / 3.0 + 2.0 * n * n


PAIRS = add(
    Family(
        problem=Pairs,
        evaluate=evaluate,
        products=Without("a Hessian costs no more than a product"),
        sample_gradient=Without("no samples"),
        bounds=bounds,
        flops=flops,
        cpu="cosine_pairs.cpu",
        cuda="cosine_pairs.cuda",
        pool=Without("no part of it is a matrix product"),
    )
)
