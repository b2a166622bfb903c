"""Preloaded by the workers of a Dask cluster of our own: a terminal sends Ctrl-C to them too, but the run decides."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Ignore SIGINT from here on; called by Dask in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
