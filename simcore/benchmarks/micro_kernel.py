"""The rate of the kernels' own register block, which stands beside the DGEMM ceiling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROWS, COUNT, LANES = 208, 256, 24  # the left factor stays in the second-level cache
REPEATS = 40


def micro_kernel() -> tuple[Callable[[], None], float]:
    """Return a call on one thread that multiplies 208 x 256 by 256 x 24 forty times, compiled, and its flops.

    Useful flops: 2 * 208 * 256 * 24 a product.
    """
    from simcore.backends.cpu.probes import product_panel

    generator = np.random.default_rng(1)
    panel, tile, out = generator.random(ROWS * COUNT), generator.random(COUNT * LANES), np.empty(ROWS * LANES)

    def multiply() -> None:
        for _ in range(REPEATS):
            product_panel(panel, tile, out, ROWS, COUNT)

    multiply()
    return multiply, 2.0 * ROWS * COUNT * LANES * REPEATS
