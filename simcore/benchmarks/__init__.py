"""``simcore bench``: how fast the kernels are, how near the machine's limit, and what others need for the same.

A case is a function of ``Settings`` that returns a JSON-safe mapping. Every figure is the median of alternating runs
with its spread; compile time stands apart. What counts as a useful flop is defined in ``flops``, the ceiling in
``ceiling``, the peers in ``peers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from simcore.benchmarks.settings import Settings
from simcore.errors import unknown_name

CASES = {
    "newton": ("newton", "measure"),
    "walk": ("walk", "measure"),
    "network": ("network", "measure"),
    "enumerate": ("enumeration", "measure"),
    "prove": ("enumeration", "proof"),
    "normals": ("formulas", "normals"),
    "sincos": ("formulas", "sincos"),
    "ldlt": ("formulas", "ldlt"),
    "theory": ("laws", "theory"),
    "sweep": ("laws", "sweep"),
}
"""Module and function of each case."""

SIZED = ("newton", "enumerate", "prove", "walk", "ldlt", "theory", "sweep")


def measure(case: str, settings: Settings) -> dict[str, Any]:
    """Return one measurement; ``InputError`` with the choices for an unknown case."""
    if case not in CASES:
        raise unknown_name("benchmark case", case, CASES)
    module, function = CASES[case]
    result: dict[str, Any] = getattr(import_module(f"simcore.benchmarks.{module}"), function)(settings)
    return result


def measure_all(cases: Sequence[str], sizes: Sequence[int | None], base: Settings) -> list[dict[str, Any]]:
    """Return the measurements of every case and size; a case that has no size is measured once."""
    from dataclasses import replace

    for case in cases:
        if case not in CASES:
            raise unknown_name("benchmark case", case, CASES)
    return [measure(case, replace(base, n=n)) for case in cases for n in (sizes if case in SIZED else [None])]
