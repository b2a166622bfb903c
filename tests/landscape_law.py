"""The stated laws of random landscapes at a point, written apart from the code that draws them.

``vectors`` turns draws into vectors (f, gradient, upper triangle of the Hessian); ``stated_law`` gives their mean
and covariance; ``worst_z`` compares, with every entry of mean and covariance as one studentised z.
"""

import numpy as np
from scipy import special


def tangent_frame(landscape, x):
    """Orthonormal basis of the tangent space at x, columns, shape (n, D)."""
    if landscape.dimension == landscape.n:
        return np.eye(landscape.n)
    return np.linalg.svd(x[None, :])[2][1:].T


def vectors(landscape, x, draws, seed):
    frame = tangent_frame(landscape, x)
    upper = np.triu_indices(landscape.dimension)
    rows = []
    for number in range(draws):
        draw = landscape.draw(seed=seed, draw=number)
        value, gradient, hessian = (part[0] for part in draw._all_orders(x[None, :]))
        rows.append(np.concatenate([[value], frame.T @ gradient, (frame.T @ hessian @ frame)[upper]]))
    return np.array(rows)


def assemble(dimension, mean, variance, l2, cross, pair, square):
    """Covariance with Cov(g) = l2 I, Cov(f, H_ij) = -cross d_ij,
    Cov(H_ij, H_kl) = square d_ij d_kl + pair (d_ik d_jl + d_il d_jk)."""
    upper = list(zip(*np.triu_indices(dimension), strict=True))
    size, first = 1 + dimension + len(upper), 1 + dimension
    covariance = np.zeros((size, size))
    covariance[0, 0] = variance
    covariance[1:first, 1:first] = l2 * np.eye(dimension)
    for a, (i, j) in enumerate(upper, first):
        covariance[0, a] = covariance[a, 0] = -cross * float(i == j)
        for b, (k, m) in enumerate(upper, first):
            crossed = float(i == k and j == m) + float(i == m and j == k)
            covariance[a, b] = square * float(i == j and k == m) + pair * crossed
    return np.zeros(size) + mean, covariance


def stated_law(landscape, x):
    n, d = landscape.n, landscape.dimension
    if landscape.name == "spherical_spin":
        p = landscape.p
        return assemble(d, 0.0, 1 / n, p / n**2, p / n**2, p * (p - 1) / n**3, p**2 / n**3)
    # mean number of entries +-1 of a torus frequency, over n: E[k_1^2]
    share = {1: 1, 2: 3 / 5, 3: 1 / 2, 4: 1 / 2, 5: 9 / 20, 6: 3 / 7, 7: 3 / 7}
    if landscape.name == "torus_field":
        return assemble(d, 0.0, 1.0, share[n], share[n], share[n] / 3, share[n] / 3)
    variance = 1 / (3 * share[n]) if landscape.frequencies == "isotropic" else 1.0
    mean = 0.0
    if landscape.name == "confined_field":
        mu = landscape.m * np.sqrt(n)
        mean = np.concatenate([[mu * (x @ x) / 2], mu * x, mu * np.eye(n)[np.triu_indices(n)]])
    return assemble(d, mean, variance, 1.0, 1.0, 1.0, 1.0)


def worst_z(sample, mean, covariance):
    """Return (largest |z| over all entries of mean and covariance, number of entries, largest null component).

    The sample is whitened; directions in which the stated covariance is singular must not vary at all.
    """
    values, axes = np.linalg.eigh(covariance)
    alive = values > 1e-12 * values[-1]
    centred = (sample - mean) @ axes
    white = centred[:, alive] / np.sqrt(values[alive])
    i, j = np.triu_indices(white.shape[1])
    products = white[:, i] * white[:, j]
    errors = np.hstack([white, products - (i == j)])
    z = errors.mean(axis=0) / (errors.std(axis=0, ddof=1) / np.sqrt(len(errors)))
    null = np.abs(centred[:, ~alive]).max(initial=0.0)
    return np.abs(z).max(), len(z), null


def bonferroni(entries, rate=1e-5):
    """Return the |z| that ``entries`` standard normals exceed anywhere with probability at most ``rate``."""
    return -special.ndtri(rate / (2 * entries))
