"""How a kernel is laid over threads, and how much device memory that takes.

A block holds ``lanes`` starts; each of its ``warps`` rows of threads does a share of the work on all of them, one
thread a start. Shapes change speed, never results: every sum of a start is taken in one order.
"""

from __future__ import annotations

from typing import NamedTuple

from simcore.backends.cuda import device
from simcore.errors import RunError

CHUNK = 64
"""Waves whose sines a block keeps in shared memory at a time: two arrays of 64 x 32 doubles, 32 KiB."""

VECTORS = 6
"""Vectors of a start beside its system: pivots, step and four rows of a search; four of a tridiagonalisation."""

_BLOCKS_A_MULTIPROCESSOR = 8
_SHARE = 0.6  # of the free memory


class Shape(NamedTuple):
    """Threads of a block, and the edge of the square of Hessian entries that a thread keeps in registers."""

    lanes: int
    warps: int
    edge: int


class Space(NamedTuple):
    """Doubles that a family needs per start of a block."""

    hessian: int
    extra: int


class Plan(NamedTuple):
    """A launch: how many blocks, and the scratch of each."""

    blocks: int
    stride: int  # doubles a block


def scratch(n: int, size: int, space: Space, lanes: int) -> int:
    """Return the doubles of scratch of one block; the kernels cut it up in this order.

    x (n), augmented system ((size+1)(size+2)/2), VECTORS vectors (size), Hessian, the family's own; then one full
    system.
    """
    per_start = n + (size + 1) * (size + 2) // 2 + VECTORS * size + space.hessian + space.extra
    return per_start * lanes + size * (size + 1)


def plan(starts: int, n: int, size: int, space: Space, lanes: int) -> Plan:
    """Choose how many blocks share the starts, within the free memory; ``RunError`` with the sizes when none fits."""
    stride = scratch(n, size, space, lanes)
    wanted = min(-(-starts // lanes), _BLOCKS_A_MULTIPROCESSOR * device.multiprocessors())
    free = device.free_memory()
    fitting = int(free * _SHARE) // (stride * 8)
    if fitting < 1:
        raise RunError(
            f"{lanes} starts of dimension {n} need {stride * 8 / 2**20:.0f} MiB of scratch and the device has "
            f"{free / 2**20:.0f} MiB free; use a smaller n, or backend='cpu'"
        )
    blocks = max(1, min(wanted, fitting))
    return Plan(blocks, stride)


def choose(n: int, size: int, edge: int) -> Shape:
    """Return the threads of a block: a warp of starts, and a warp for each square of the Hessian, up to four.

    With about 160 registers a thread, three blocks of four warps fit a multiprocessor.

    In the simulator, where a thread is a Python thread, one thread a block and one block after the other is fastest.
    """
    if device.SIMULATED:
        return Shape(1, 1, min(edge, 4))
    squares = -(-n // edge)
    tasks = squares * (squares + 1) // 2
    return Shape(32, max(2, min(4, tasks)), edge)


def batches(starts: int, n: int, more: int = 0) -> list[tuple[int, int]]:
    """Split the starts into ranges whose arrays take at most a quarter of the free memory; ``more`` doubles a start."""
    each = 8 * (2 * n + 8 + more)
    largest = max(1, int(device.free_memory() * 0.25) // each)
    return [(first, min(first + largest, starts)) for first in range(0, starts, largest)]
