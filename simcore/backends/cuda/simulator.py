"""Numba's CUDA simulator with two of its habits mended: for tests, installed by ``device.py`` alone.

The simulator runs a block's threads as Python threads, one block after the other. As it comes

- it *polls* its threads for barriers: on a busy machine the poller and the threads fight for Python's lock, and a test
  of seconds takes minutes;
- it makes a shared array for the first thread that asks for one, without a lock: of two threads that ask at the same
  moment each may get an array of its own, and they then wait for each other's writes for ever.

Here barriers block, a barrier that one thread never reaches is an error, and a shared array is made once.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
from numba.cuda.simulator import kernel, kernelapi
from numba.np import numpy_support

PATIENCE = 120.0
"""Seconds that a thread waits at a barrier before the kernel counts as stuck."""


class Barrier:
    """A barrier of a block's threads. As on a device, threads that have ended are not waited for."""

    def __init__(self, threads: int, patience: float = PATIENCE) -> None:
        self._changed = threading.Condition()
        self._alive = threads
        self._waiting = 0
        self._round = 0
        self._broken = False
        self._patience = patience

    def wait(self) -> None:
        """Return when every living thread has come here; ``BarrierError`` when one failed or does not come."""
        with self._changed:
            self._waiting += 1
            mine = self._round
            self._open_when_all_are_here()
            while self._round == mine and not self._broken:
                if not self._changed.wait(self._patience):
                    self._broken = True
                    self._changed.notify_all()
            if self._broken:
                raise BarrierError("a thread of the block never came to the barrier where the others wait")

    def leave(self, failed: bool) -> None:
        """Count out a thread that has ended; where it failed, wake the others with an error."""
        with self._changed:
            self._alive -= 1
            if failed:
                self._broken = True
                self._changed.notify_all()
            self._open_when_all_are_here()

    def _open_when_all_are_here(self) -> None:
        if self._waiting == self._alive:
            self._waiting = 0
            self._round += 1
            self._changed.notify_all()


class BarrierError(RuntimeError):
    """A barrier that was not reached by all threads of its block."""


class BlockThread(kernel.BlockThread):
    """A thread of a block, whose barrier is its manager's."""

    def run(self) -> None:
        """Run the kernel; the exception it ends with, if any, is kept for the manager."""
        try:
            super().run()
        finally:
            self._manager.barrier.leave(failed=self.exception is not None)

    def syncthreads(self) -> None:
        """Wait for the other threads of the block."""
        self._manager.barrier.wait()


class BlockManager(kernel.BlockManager):
    """Runs one block: starts its threads, joins them, raises the first failure that is not a consequence of another."""

    def run(self, grid_point: tuple[int, ...], *args: Any) -> None:
        """Run the block at a place of the grid."""
        places = list(np.ndindex(*self._block_dim))
        self.barrier = Barrier(len(places))
        threads = [BlockThread(lambda: self._f(*args), self, grid_point, place, self._debug) for place in places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        failures = [thread.exception for thread in threads if thread.exception]
        if failures:
            kind, trace = next((f for f in failures if not isinstance(f[0], BarrierError)), failures[0])
            raise kind.with_traceback(trace)


def _shared_array(self: Any, shape: Any, dtype: Any) -> Any:
    """Return the block's array of the calling line; made once, whichever thread comes first."""
    frame = sys._getframe(1)
    kind = numpy_support.as_dtype(dtype)
    return self._allocations.setdefault((frame.f_code.co_filename, frame.f_lineno), np.empty(shape, kind))


def install() -> None:
    """Give the simulator these barriers and shared arrays."""
    kernel.BlockManager = BlockManager
    kernelapi.FakeCUDAShared.array = _shared_array


def barrier() -> None:
    """Wait for the other threads of the block, from a device function."""
    thread: Any = threading.current_thread()
    thread.syncthreads()


def local_array(count: int, kind: Any) -> list[float]:
    """Return a thread's own array: a list, whose items are plain Python numbers."""
    return [0.0] * count
