"""Exact laws as rows for the command line, and the ratio of saddles to minima, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from simcore.errors import InputError, unknown_name
from simcore.theory import frames

if TYPE_CHECKING:
    import pandas as pd

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "coin_flip": ("n",),
    "confined_field": ("n", "m"),
    "gaussian_field": ("n",),
    "goe": ("n",),
    "spherical_spin": ("n", "p"),
    "torus_field": ("n",),
}
_DEFAULTS: dict[str, int | float] = {"p": 3}

JSON_KEYS = ("n", "morse_index", "fraction", "mean_count", "mean_cost", "sd_cost", "log_saddles_over_minima")
"""What ``simcore theory --json`` gives of each row; the text shows all of ``theory_rows``."""


def theory_laws() -> dict[str, tuple[str, ...]]:
    """Return the names of the exact laws and the parameters that each takes."""
    return dict(_PARAMETERS)


def law(name: str, n: int, *, p: int | None = None, m: float | None = None) -> pd.DataFrame:
    """Return an exact law by name.

    Parameters
    ----------
    name : str
        One of ``theory_laws()``.
    n : int
        Size: dimension, number of spins, order of the matrix or number of coins.
    p : int, optional
        Order of the interaction, for ``spherical_spin`` only (default 3).
    m : float, optional
        Strength of the confinement, for ``confined_field`` only (no default).

    Returns
    -------
    DataFrame
        As ``simcore.theory.frames.law_frame``.

    Raises
    ------
    InputError
        For an unknown name, a parameter that the law does not take, a missing one, or a value out of range.
    """
    if name not in _PARAMETERS:
        raise unknown_name("law", name, _PARAMETERS)
    takes = _PARAMETERS[name]
    given: dict[str, Any] = {"p": p, "m": m}
    for key, value in given.items():
        if value is not None and key not in takes:
            raise InputError(f"{key} = {value!r} was given for {name}, which takes {', '.join(takes)}; leave {key} out")
        if value is None and key in takes:
            if key not in _DEFAULTS:
                raise InputError(f"no {key} was given for {name}, which takes {', '.join(takes)}; give {key}")
            given[key] = _DEFAULTS[key]
    return _function(name)(n, **{key: given[key] for key in takes if key != "n"})


def _function(name: str) -> Callable[..., pd.DataFrame]:
    from simcore.theory import coin_flip, confined, gaussian, goe, spin

    functions: dict[str, Callable[..., pd.DataFrame]] = {
        "coin_flip": coin_flip.coin_flip_law,
        "confined_field": confined.confined_field_law,
        "gaussian_field": gaussian.gaussian_field_law,
        "goe": goe.goe_law,
        "spherical_spin": spin.spherical_spin_law,
        "torus_field": gaussian.torus_field_law,
    }
    return functions[name]


def log_saddles_over_minima(name: str, n: int, p: int | None = None, m: float | None = None) -> float | None:
    """Return ln(mean number of saddles / mean number of minima), saddles being 0 < index < D; None where D < 2.

    The annealed ratio: mean over mean. Parameters and errors as for ``law``; any n up to 200 (coin flips: any).
    """
    return frames.log_saddles_over_minima(law(name, n, p=p, m=m))


def theory_rows(
    name: str, n: int | Iterable[int], p: int | None = None, m: float | None = None
) -> list[dict[str, Any]]:
    """Return the rows of ``simcore theory``: a dict for each n and index, JSON-safe (None where no value exists).

    Keys: ``n, index, fraction, mean_count, mean_cost, sd_cost, log_saddles_over_minima`` (natural logarithm of the
    annealed ratio; None where there are no saddles), then ``log_fraction``, ``log_mean_count``, the law's other
    parameters, ``unit`` of mean_count (None for coin flips and plain GOE, which count eigenvalues, not points) and
    ``listed``, which says which indices have rows: "all" up to D = 50 (any D for coin flips), beyond that the lowest
    and highest six, or the lowest six.

    Parameters
    ----------
    name : str
        One of ``theory_laws()``.
    n : int or iterable of int
        Sizes.
    p, m : optional
        As for ``law``.

    Raises
    ------
    InputError
        As for ``law``.
    """
    sizes = [n] if isinstance(n, int) else list(n)
    return [row for size in sizes for row in _rows(name, law(name, size, p=p, m=m))]


def _rows(name: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    attrs = frame.attrs
    ratio = frames.log_saddles_over_minima(frame)
    counts_points = attrs["unit"] != "probability"
    shared = {key: attrs[key] for key in _PARAMETERS[name] if key != "n"}
    shared["unit"] = attrs["unit"] if counts_points else None
    shared["listed"] = _listed(frame)
    rows = []
    for record in frame.to_dict("records"):
        rows.append(
            {
                "n": attrs["n"],
                "morse_index": int(record["morse_index"]),
                "fraction": _finite(record["fraction"]),
                "mean_count": _finite(record["mean_count"]) if counts_points else None,
                "mean_cost": _finite(record["mean_cost"]),
                "sd_cost": _finite(record["sd_cost"]),
                "log_saddles_over_minima": ratio,
                "log_fraction": _finite(record["log_fraction"]),
                "log_mean_count": _finite(record["log_mean_count"]) if counts_points else None,
                **shared,
            }
        )
    return rows


def _listed(frame: pd.DataFrame) -> str:
    if frame.attrs["complete"]:
        return "all"
    both = frame["morse_index"].iloc[-1] == frame.attrs["dimension"]
    return f"lowest and highest {len(frame) // 2}" if both else f"lowest {len(frame)}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
