"""Forking while another thread compiles: the child would wait for ever for a lock whose owner it does not have.

``os.fork`` copies the one thread that calls it, and every lock as it stands. Numba compiles under one global lock, so a
child forked meanwhile hangs at its first compilation. Here a fork takes that lock first: it waits until the compilation
has ended, and the child begins with the lock free.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

_held: list[Any] = []


def _take() -> None:
    compiler = sys.modules.get("numba.core.compiler_lock")
    if compiler is not None:
        compiler.global_compiler_lock.acquire()
        _held.append(compiler.global_compiler_lock)


def _give_back() -> None:
    if _held:
        _held.pop().release()


@functools.cache
def guard() -> None:
    """Make forks of this process wait for compilations, from now on; called by the rooms that compile."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_give_back)
