"""Coefficients of a user's family: arrays that a function of theirs draws from a generator with an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simcore.errors import InputError

Arrays = tuple[np.ndarray[Any, Any], ...]

_KINDS: dict[str, Any] = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_, "c": np.complex128}


def addressed(seed: int, draw: int, stream: int) -> np.random.Generator:
    """Return the generator of a draw: Philox 4x64 with key (seed, 0) and counter (block, 0, draw, stream).

    Block 0 is the first; as NumPy counts it up, no two addresses ever share numbers.
    """
    word: Any = np.uint64
    key, counter = np.array([seed, 0], dtype=word), np.array([0, 0, draw, stream], dtype=word)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def trial_arrays(coefficients: Callable[[np.random.Generator], Any] | None) -> Arrays:
    """Return arrays to try functions with, drawn twice; ``InputError`` unless both are the same and well formed."""
    if coefficients is None:
        return ()
    first, second = (_checked(_called(coefficients, addressed(20_140_610, 0, 0))) for _ in range(2))
    if len(first) != len(second) or any(map(_differ, first, second)):
        raise InputError(
            "coefficients returned other arrays when it was called again with the same generator; "
            "draw all that is random from the generator that it is given"
        )
    return first


def drawn_arrays(
    coefficients: Callable[[np.random.Generator], Any], generator: np.random.Generator, like: Arrays
) -> Arrays:
    """Return the arrays of one draw; ``InputError`` unless they are of the kinds of ``like``, so that compiled code
    serves them all."""
    arrays = _checked(_called(coefficients, generator))
    kinds, wanted = ([f"{a.dtype} of {a.ndim} dimensions" for a in some] for some in (arrays, like))
    if kinds != wanted:
        raise InputError(
            f"coefficients returned {', '.join(kinds)} for one draw and {', '.join(wanted)} for another; "
            "return arrays of the same kinds for all"
        )
    return arrays


def _called(coefficients: Callable[[np.random.Generator], Any], generator: np.random.Generator) -> Any:
    try:
        return coefficients(generator)
    except InputError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise InputError(
            f"coefficients raised {type(error).__name__} ({words}); give a function of a numpy.random.Generator that "
            "returns a tuple of arrays"
        ) from error


def _checked(returned: Any) -> Arrays:
    """Return what ``coefficients`` returned as contiguous arrays of their own; ``InputError`` for anything else."""
    if isinstance(returned, np.ndarray):
        returned = (returned,)
    if not isinstance(returned, (tuple, list)):
        raise InputError(f"coefficients returned {type(returned).__name__}; return a tuple of arrays")
    arrays = []
    for place, given in enumerate(returned):
        array = np.asarray(given)
        kind = _KINDS.get(array.dtype.kind)
        if kind is None or array.ndim == 0:
            what = f"a {type(given).__name__}" if array.ndim == 0 else f"an array of {array.dtype}"
            raise InputError(f"entry {place} of what coefficients returned is {what}; return arrays of numbers")
        array = np.array(array, dtype=kind, order="C")
        if not np.isfinite(array).all():
            raise InputError(
                f"array {place} of what coefficients returned holds NaN or infinity; return finite numbers"
            )
        arrays.append(array)
    return tuple(arrays)


def _differ(a: Any, b: Any) -> bool:
    return a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes()
