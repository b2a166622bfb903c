"""Backends: the same search on different machinery. ``get`` imports one by name, and nothing else."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from simcore.errors import unknown_name

NAMES = ("cpu", "cuda", "reference")
MEANT = {"gpu": "cuda", "nvidia": "cuda", "device": "cuda", "numba": "cpu", "numpy": "reference", "python": "reference"}
"""Other words for a backend, for messages."""


def get(name: str) -> ModuleType:
    """Return the backend module of that name.

    A backend offers ``newton(problem, starts, options) -> Outcome`` with ``starts`` of shape (S, n), and
    ``evaluate(problem, x) -> (value, gradient, hessian)`` with ``x`` of shape (S, n), all ambient and, on the
    sphere, Riemannian (tangential, embedded in ambient coordinates). Row i of a result depends on row i of the
    input alone. Raises ``InputError`` for an unknown name.
    """
    if name not in NAMES:
        raise unknown_name("backend", name, NAMES, MEANT)
    return import_module(f"simcore.backends.{name}")
