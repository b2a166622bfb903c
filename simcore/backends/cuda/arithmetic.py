"""The shared formulas' operations as functions of doubles: what kernels, and the simulator's Python threads, can call.

Numba's intrinsics exist inside compiled code alone; in the simulator a kernel is plain Python. Division and square root
are here too, because Python raises where IEEE arithmetic gives an infinity.
"""

from __future__ import annotations

from simcore.compilation import jit
from simcore.formulas import exponential, intrinsics
from simcore.formulas.elementary import log as _log
from simcore.formulas.elementary import sincos as _sincos
from simcore.formulas.step_cap import capped_fraction as _capped_fraction


@jit(inline=True)
def fma(x, y, z):
    """Return x y + z with one rounding."""
    return intrinsics.fma(x, y, z)


@jit(inline=True)
def multiply(x, y):
    """Return x y, infinite or zero where it leaves the range."""
    return x * y


@jit(inline=True)
def divide(x, y):
    """Return x / y, infinite or NaN where y = 0."""
    return x / y


@jit(inline=True)
def sqrt(x):
    """Return the square root, NaN below 0."""
    return intrinsics.sqrt(x)


@jit(inline=True)
def floor(x):
    """Return the largest whole number not above x, as a double."""
    return intrinsics.floor(x)


@jit(inline=True)
def sincos(x):
    """Return (sin x, cos x)."""
    return _sincos(x)


@jit(inline=True)
def capped_fraction(square, cap):
    """Return min(1, cap/|d|) for |d|^2 = square."""
    return _capped_fraction(square, cap)


@jit(inline=True)
def log(x):
    """Return ln x for positive normal x."""
    return _log(x)


@jit(inline=True)
def exp(x):
    """Return exp x for |x| <= 700, beyond as there."""
    return exponential.exponential(x)[0]


@jit
def activation(code, z):
    """Return phi, phi', phi'' of the activation that has the code of ``simcore.formulas.exponential.CODES``."""
    if code == exponential.TANH:
        return exponential.tanh(z)
    if code == exponential.SIGMOID:
        return exponential.sigmoid(z)
    if code == exponential.SOFTPLUS:
        return exponential.softplus(z)
    if code == exponential.RELU and not z > 0.0:
        return 0.0, 0.0, 0.0
    return z, 1.0, 0.0
