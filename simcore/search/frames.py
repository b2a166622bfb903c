"""The rows of distinct points, as ``Enumeration.points`` gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError
from simcore.search.certify import derivatives_at, prove
from simcore.search.points import Points
from simcore.search.spectrum import CHUNK, spectra
from simcore.search.target import Target

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

VARIABLES = "variables"
"""Key of ``DataFrame.attrs`` under which rows keep the number of coordinates, for when none is left."""


def points_frame(
    target: Target, points: Points, kept: NDArray[np.bool_], *, polish: bool = True
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return the kept points as a DataFrame, and which are certified.

    Order: by the first ordinary start that reached a point; those that none reached last, as they were found. Each is
    moved by one last Newton step (unless ``polish`` is False and all are certified), and cost, gradient and
    certificate are those of where it then lies.
    """
    import pandas as pd

    chosen = np.flatnonzero(kept)
    order = chosen[np.argsort(points.first[chosen], kind="stable")]
    x = points.table.x[order]
    index = points.table.index[order]
    pieces = [_finished(target, x[b : b + CHUNK], index[b : b + CHUNK], polish) for b in _chunks(len(x))]
    x, value, slope, certified = (np.concatenate(column) for column in zip(*pieces, strict=True))
    columns: dict[str, Any] = {
        "point": np.arange(len(order)),
        "cost": value,
        "morse_index": index.astype(np.int32),
        "nullity": np.zeros(len(order), np.int32),
        "grad_norm": slope,
        "hits": points.hits[order],
        "certified": certified,
    }
    if target.search.positions:
        columns["x"] = list(x)
    if target.search.spectrum:
        columns["eigenvalues"] = list(spectra(target, x))
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs[VARIABLES] = target.search.landscape.n
    return frame, certified


def positions(rows: pd.DataFrame) -> Array:
    """Return the coordinates of starts or points as one array.

    Parameters
    ----------
    rows : DataFrame
        With the column ``x``: rows of ``find_critical_points(positions=True)``, of ``simcore.load``, or points of an
        Enumeration.

    Returns
    -------
    ndarray, shape (rows, n), float64; of no rows (0, n) where a search or enumeration made them, else (0,)

    Raises
    ------
    InputError
        Where there is no column ``x``, or the rows are of functions of different numbers of variables.
    """
    if "x" not in getattr(rows, "columns", ()):
        raise InputError("these rows have no positions; search with positions=True")
    lengths = sorted({len(x) for x in rows["x"]}) or [rows.attrs[VARIABLES]] * (VARIABLES in rows.attrs)
    if len(lengths) > 1:
        raise InputError(
            f"these rows have {', '.join(map(str, lengths))} coordinates; give rows of one number at a time"
        )
    return np.array(rows["x"].to_list(), np.float64).reshape(len(rows), *lengths)


def _chunks(rows: int) -> range:
    return range(0, max(rows, 1), CHUNK)


def _finished(target: Target, x: Array, index: NDArray, polish: bool) -> tuple[Array, Array, Array, NDArray]:
    x = polished(target, x) if polish else x
    at = derivatives_at(target, x)
    certified = prove(target, x, index, at).certified
    if not (polish or certified.all()):
        return _finished(target, x, index, True)
    return x, at.value, at.slope, certified


def polished(target: Target, x: Array) -> Array:
    """Return points one undamped Newton step further: from the square root of rounding error to rounding error."""
    _, gradient, hessian = target.evaluate(x)
    domain = target.domain
    tangent, basis = domain.tangent_hessian(x, hessian), domain.frame(x)
    try:
        step = np.linalg.solve(tangent, np.einsum("sij,si->sj", basis, gradient)[..., np.newaxis])
    except np.linalg.LinAlgError:  # a Hessian singular to the last bit: the points stay where their search ended
        return x
    return domain.retract(x - (basis @ step)[..., 0])
