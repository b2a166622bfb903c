"""Sweeps: a configuration becomes a plan of shards, the shards become files, the files become tables.

``run_sweep`` computes what is missing of a run, ``load`` and ``iter_shards`` read one, ``verify_run`` audits one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcore.sweep.config import Configuration as Configuration
    from simcore.sweep.config import read_configuration as read_configuration
    from simcore.sweep.execute import run_sweep as run_sweep
    from simcore.sweep.read import iter_shards as iter_shards
    from simcore.sweep.read import load as load
    from simcore.sweep.read import run_information as run_information
    from simcore.sweep.verify import verify_run as verify_run

_HOME = {
    "Configuration": "config",
    "iter_shards": "read",
    "load": "read",
    "read_configuration": "config",
    "run_information": "read",
    "run_sweep": "execute",
    "verify_run": "verify",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'simcore.sweep' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(import_module(f"simcore.sweep.{_HOME[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value
