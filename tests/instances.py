"""Which backends compute in this process, and a small landscape of every family: what ``conftest.py`` runs over."""

from __future__ import annotations

import os

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
BACKENDS = ("cuda",) if SIMULATED else ("reference", "cpu")

SMALL = {
    "torus_field": {"n": 2},
    "gaussian_field": {"n": 2, "features": 24},
    "confined_field": {"n": 2, "m": 0.6},
    "spherical_spin": {"n": 4, "p": 3},
}
"""Instances of the random functions; other families state theirs as ``conformance``."""


def instances() -> dict[str, dict]:
    """Return the parameters of one small instance a family, the registry's names in order."""
    from simcore.landscapes import registry

    found = dict(SMALL)
    for name in () if SIMULATED else registry.names():
        stated = getattr(registry.get_class(name), "conformance", ())
        if name not in found and stated:
            found[name] = dict(stated[0])
    return found
