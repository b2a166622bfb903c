"""The one gate through which a user's numbers enter: real numbers become float64, anything else is refused.

NumPy casts much in silence: ``np.asarray("1.5", float)`` is 1.5, a datetime is a count of nanoseconds, a masked entry
is whatever lies under the mask, and ``float64(1 + 2j)`` drops the imaginary part with a mere warning.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError

_REFUSED = {
    "c": "complex numbers",
    "U": "text",
    "S": "bytes",
    "T": "text",
    "M": "dates",
    "m": "time differences",
    "V": "records",
}


def real_array(name: str, value: Any, advice: str = "give real numbers") -> NDArray[np.float64]:
    """Return a user's ``value`` as a float64 array of its own shape (a view where it is one already).

    Parameters
    ----------
    name : str
        What the user calls it; the message begins with it.
    value : array-like
        Integers, booleans and floating-point numbers of any width pass, and objects that are real numbers each
        (``fractions.Fraction``, whole numbers beyond 64 bits).
    advice : str
        What to give instead: the end of the message.

    Raises
    ------
    InputError
        For complex numbers (even with imaginary parts of zero), text, bytes, dates, records, arrays with masked
        entries, nested sequences of unequal lengths, and objects that are not real numbers, such as None.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value
    rows = value if isinstance(value, (list, tuple)) else ()
    if np.ma.is_masked(value) or any(np.ma.is_masked(row) for row in rows):
        raise InputError(f"{name} has masked entries; {advice}, with those filled or left out")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InputError(f"{name} is a {_kind(value)} that makes no array (unequal lengths?); {advice}") from None
    if array.dtype.kind in _REFUSED:
        raise InputError(f"{name} holds {_REFUSED[array.dtype.kind]} ({array.dtype}); {advice}")
    if array.dtype.kind == "O":
        strange = [entry for entry in array.ravel() if not isinstance(entry, Real)]
        if strange:
            raise InputError(f"{name} is or holds {_kind(strange[0])}, no real number; {advice}")
    elif array.dtype.kind not in "fiub":
        raise InputError(f"{name} holds {array.dtype}; {advice}")
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} does not fit float64; {advice}") from None


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def plain(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values as contiguous, writable float64, themselves where they are that: one compiled signature."""
    if values.dtype == np.float64 and values.flags.carray:
        return values
    return np.require(values, np.float64, ["C", "W"])
