"""Checks of what a user gives: each returns the value in its canonical type or raises ``InputError``."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

from simcore.errors import InputError, unknown_name

SEEDS = 2**64
MOST_THREADS = 4096
COUNTERS = 2**32  # draws and starts are 32-bit counter words


def whole(name: str, value: Any, low: int, high: int | None = None, *, advice: str = "") -> int:
    """Return ``value`` as an int in low..high. NumPy integers are fine, booleans and floats are not."""
    allowed = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
    message = f"{name} is {value!r}; give {allowed}{advice}"
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        raise InputError(message)
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(message) from None
    if number < low or (high is not None and number > high):
        raise InputError(message)
    return number


def positive(name: str, value: Any) -> float:
    """Return ``value`` as a finite float above zero."""
    message = f"{name} is {value!r}; give a finite number above 0"
    if isinstance(value, (bool, str, bytes)) or type(value).__name__ == "bool_":
        raise InputError(message)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(message) from None
    if not math.isfinite(number) or number <= 0:
        raise InputError(message)
    return number


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of the choices."""
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise unknown_name(name, value, known)
    return value


def address(seed: Any, draw: Any) -> tuple[int, int]:
    """Return (seed, draw) after checking 0 <= seed < 2^64 and 0 <= draw < 2^32."""
    return whole("seed", seed, 0, SEEDS - 1), whole("draw", draw, 0, COUNTERS - 1)


def start_range(first: Any, count: Any, least: int = 0) -> tuple[int, int]:
    """Return (first, count) after checking that every start's number fits a 32-bit counter word."""
    first, count = whole("first start", first, 0, COUNTERS - 1), whole("starts", count, least, COUNTERS)
    if first + count > COUNTERS:
        raise InputError(f"starts {first} to {first + count - 1} were asked for; start numbers end at {COUNTERS - 1}")
    return first, count
