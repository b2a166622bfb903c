"""Two right-hand sides at once for eight factorised matrices."""

from __future__ import annotations

from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import fma


@jit(inner=True)
def substitute_two(U, n, pivots, x, y, scratch):
    """Overwrite x and y (n 8 each) with the solutions for factors from ``ldlt.factor``; scratch holds 2 n 8 doubles.

    As ``ldlt.substitute``, each entry of U being read once for both.
    """
    other = n * 8
    for i in range(n):
        row = (i * (i + 1) // 2) * 8
        a0, a1, b0, b1 = load(x, i * 8), zeros(), load(y, i * 8), zeros()
        k = 0
        while k + 2 <= i:
            u0, u1 = -load(U, row + k * 8), -load(U, row + k * 8 + 8)
            a0, b0 = fma(u0, load(x, k * 8), a0), fma(u0, load(y, k * 8), b0)
            a1, b1 = fma(u1, load(x, k * 8 + 8), a1), fma(u1, load(y, k * 8 + 8), b1)
            k += 2
        if k < i:
            u0 = -load(U, row + k * 8)
            a0, b0 = fma(u0, load(x, k * 8), a0), fma(u0, load(y, k * 8), b0)
        r = load(pivots, i * 8)
        store(x, i * 8, (a0 + a1) * r)
        store(y, i * 8, (b0 + b1) * r)
        store(scratch, i * 8, 0.0)
        store(scratch, other + i * 8, 0.0)
    for i in range(n - 1, -1, -1):
        row = (i * (i + 1) // 2) * 8
        r = -load(pivots, i * 8)
        xi = fma(r, load(scratch, i * 8), load(x, i * 8))
        yi = fma(r, load(scratch, other + i * 8), load(y, i * 8))
        store(x, i * 8, xi)
        store(y, i * 8, yi)
        for k in range(0, i * 8, 8):
            u = load(U, row + k)
            store(scratch, k, fma(u, xi, load(scratch, k)))
            store(scratch, other + k, fma(u, yi, load(scratch, other + k)))
