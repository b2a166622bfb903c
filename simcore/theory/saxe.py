"""Learning dynamics of a deep linear network's mode: Saxe, McClelland and Ganguli (2013, arXiv:1312.6120).

A mode of strength u, target s, in a two-layer linear network on whitened inputs from a balanced start obeys

    tau du/dt = 2 u (s - u),   u(t) = s e^{2 s t/tau} / (e^{2 s t/tau} - 1 + s/u0):

a plateau near u0, then a transition of width tau/s at the time of half height, (tau/(2 s)) ln((s - u0)/u0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.errors import InputError


def mode_strength(t: ArrayLike, s: float, u0: float, *, tau: float = 1.0) -> NDArray[np.float64]:
    """Return u(t).

    Parameters
    ----------
    t : array_like
        Times, in the units of tau.
    s : float
        Target strength (singular value of the input-output correlation), positive.
    u0 : float
        Strength at t = 0, positive.
    tau : float
        Time constant, the inverse learning rate; positive.

    Returns
    -------
    float64, the shape of t

    Raises
    ------
    InputError
        If s, u0 or tau is not a positive number.
    """
    _check(s=s, u0=u0, tau=tau)
    # Divided by the exponential, so that long times do not overflow; for t < 0 the other form would be needed.
    decay = np.exp(-2 * s * np.asarray(t, dtype=float) / tau)
    return s / (1 + (s / u0 - 1) * decay)


def half_time(s: float, u0: float, *, tau: float = 1.0) -> float:
    """Return the time at which u reaches s/2: (tau/(2 s)) ln((s - u0)/u0), negative if u0 > s/2.

    Raises InputError if s, u0 or tau is not a positive number or u0 is not below s.
    """
    _check(s=s, u0=u0, tau=tau)
    if u0 >= s:
        raise InputError(
            f"u0 is {u0!r} and s is {s!r}; a mode that starts at or above its target never crosses s/2 upwards"
        )
    return float(tau / (2 * s) * np.log((s - u0) / u0))


def _check(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value!r}; it must be a positive number")
