"""The rows of distinct points, as ``Enumeration.points`` gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.search.certify import prove
from simcore.search.points import Points
from simcore.search.spectrum import CHUNK, tangent_hessians, to_ambient
from simcore.search.target import Target

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def points_frame(
    target: Target, points: Points, kept: NDArray[np.bool_], *, positions: bool, spectrum: bool
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return the kept points as a DataFrame, and which are certified.

    Order: by the first ordinary start that reached a point; those that none reached last, as they were found. Each is
    moved by one last Newton step, and cost, gradient and certificate are those of where it then lies.
    """
    import pandas as pd

    chosen = np.flatnonzero(kept)
    order = chosen[np.argsort(points.first[chosen], kind="stable")]
    x = points.table.x[order]
    pieces = [_finished(target, x[b : b + CHUNK], points.table.index[order[b : b + CHUNK]]) for b in _chunks(len(x))]
    x, value, slope, eigenvalues, certified = (np.concatenate(column) for column in zip(*pieces, strict=True))
    columns: dict[str, Any] = {
        "point": np.arange(len(order)),
        "cost": value,
        "index": points.table.index[order].astype(np.int32),
        "nullity": np.zeros(len(order), np.int32),
        "grad_norm": slope,
        "hits": points.hits[order],
        "certified": certified,
    }
    if positions:
        columns["x"] = list(x)
    if spectrum:
        columns["eigenvalues"] = list(eigenvalues)
    return pd.DataFrame(columns), certified


def _chunks(rows: int) -> range:
    return range(0, max(rows, 1), CHUNK)


def _finished(target: Target, x: Array, index: NDArray) -> tuple[Array, Array, Array, Array, NDArray]:
    x = _polished(target, x)
    value, gradient, hessian = target.evaluate(x)
    eigenvalues: Any = np.linalg.eigvalsh(tangent_hessians(target, x, hessian))
    proof = prove(target, x, index, value, gradient, eigenvalues)
    return x, value, np.linalg.norm(gradient, axis=1), eigenvalues, proof.certified


def _polished(target: Target, x: Array) -> Array:
    """Return points one undamped Newton step further: from the square root of rounding error to rounding error."""
    _, gradient, hessian = target.evaluate(x)
    eigenvalues, vectors = np.linalg.eigh(tangent_hessians(target, x, hessian))
    ambient = to_ambient(target, x, vectors)
    along = np.einsum("sij,si->sj", ambient, gradient)
    return target.on_domain(x - np.einsum("sij,sj->si", ambient, along / eigenvalues))
