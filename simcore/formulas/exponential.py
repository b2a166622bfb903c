"""Exponential and the activations of networks: one body for a double and for eight lanes."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from simcore.compilation import jit
from simcore.formulas.elementary import log
from simcore.formulas.intrinsics import (
    DOUBLE,
    INT64,
    INT_VECTOR,
    VECTOR,
    WIDTH,
    absolute,
    fma,
    lanes,
    product,
    rint,
    select,
    whole,
)

TANH, SIGMOID, SOFTPLUS, RELU, LINEAR = range(5)
CODES = {"tanh": TANH, "sigmoid": SIGMOID, "softplus": SOFTPLUS, "relu": RELU, "linear": LINEAR}
"""The number by which a kernel knows an activation."""


@intrinsic
def power_of_two(typingctx, k):
    """2^k for a whole number k, |k| <= 1022."""
    wide = k == lanes

    def codegen(context, builder, sig, args):
        kind, real = (INT_VECTOR, VECTOR) if wide else (INT64, DOUBLE)

        def constant(value):
            return ir.Constant(kind, [value] * WIDTH if wide else value)

        biased = builder.add(whole(builder, args[0], wide), constant(1023))
        return builder.bitcast(builder.shl(biased, constant(52)), real)

    result = lanes if wide else types.float64
    return result(result), codegen


@jit(inline=True)
def exponential(x):
    """Return (exp x, exp x - 1), each within 2 ulp, for |x| <= 700; arguments beyond are taken as +-700.

    x = k ln 2 + r with |r| <= (ln 2)/2, ln 2 in two parts; p = exp r - 1 by its Taylor sum to r^13 (rest below 5e-18),
    in pairs of pairs, since processors wait for each other's results in Horner's; exp x = 2^k + 2^k p, exp x - 1 =
    (2^k - 1) + 2^k p.
    """
    x = select(x > 700.0, 700.0, x)
    x = select(x < -700.0, -700.0, x)
    k = rint(x * 1.4426950408889634)
    r = fma(k, -6.93147180369123816490e-01, x)
    r = fma(k, -1.90821492927058770002e-10, r)
    r2 = product(r, r)
    r4 = product(r2, r2)
    low = fma(fma(r, 8.333333333333333e-03, 4.1666666666666664e-02), r2, fma(r, 1.6666666666666666e-01, 0.5))
    mid = fma(
        fma(r, 2.7557319223985893e-06, 2.48015873015873e-05), r2, fma(r, 1.984126984126984e-04, 1.388888888888889e-03)
    )
    top = fma(
        fma(r, 1.6059043836821613e-10, 2.08767569878681e-09), r2, fma(r, 2.505210838544172e-08, 2.755731922398589e-07)
    )
    p = fma(fma(fma(top, r4, mid), r4, low), r2, r)
    t = power_of_two(k)
    return fma(t, p, t), fma(t, p, t - 1.0)


@jit(inline=True)
def argument(code, z):
    """Return the x whose ``exponential`` tanh, sigmoid and softplus are made of, 2|z| or -|z|: no overflow."""
    size = absolute(z)
    return 2.0 * size if code == TANH else -size


@jit(inline=True)
def _tanh(z, grown, e):
    """Return phi, phi', phi'' of tanh: e/(e+2), 4(e+1)/(e+2)^2, -2 phi phi' with e = exp(2|z|) - 1."""
    t = 1.0 / (e + 2.0)
    a = select(z < 0.0, -(e * t), e * t)
    slope = 4.0 * (grown * t) * t
    return a, slope, -2.0 * a * slope


@jit(inline=True)
def _sigmoid(z, e):
    """Return phi, phi', phi'' of 1/(1 + exp(-z)), by e = exp(-|z|)."""
    t = 1.0 / (1.0 + e)
    small = product(e, t)
    a = select(z < 0.0, small, t)
    other = select(z < 0.0, t, small)
    slope = small * t
    return a, slope, slope * (other - a)


@jit(inline=True)
def _softplus(z, e):
    """Return phi, phi', phi'' of log(1 + exp z) = max(z, 0) + log(1 + e), e = exp(-|z|), e's lost digits given back."""
    grown = 1.0 + e
    t = 1.0 / grown
    a = select(z < 0.0, 0.0, z) + (log(grown) + product(e - (grown - 1.0), t))
    return a, select(z < 0.0, e * t, t), e * t * t


@jit(inline=True)
def unit(code, z, power, less):
    """Return phi, phi', phi'' of the activation with that number, ``z`` in lanes; relu's kink takes the left side.

    ``power`` and ``less``: exp x and exp x - 1 at its ``argument`` x, where ``code`` <= SOFTPLUS.
    """
    a, slope, second = z, z * 0.0 + 1.0, z * 0.0
    if code == TANH:
        a, slope, second = _tanh(z, power, less)
    elif code == SIGMOID:
        a, slope, second = _sigmoid(z, power)
    elif code == SOFTPLUS:
        a, slope, second = _softplus(z, power)
    elif code == RELU:
        slope = select(z > 0.0, slope, 0.0)
        a = z * slope
    return a, slope, second


@jit(inline=True)
def tanh(z):
    """Return phi, phi', phi'' of tanh."""
    return _tanh(z, *exponential(argument(TANH, z)))


@jit(inline=True)
def sigmoid(z):
    """Return phi, phi', phi'' of 1/(1 + exp(-z))."""
    return _sigmoid(z, exponential(argument(SIGMOID, z))[0])


@jit(inline=True)
def softplus(z):
    """Return phi, phi', phi'' of log(1 + exp z)."""
    return _softplus(z, exponential(argument(SOFTPLUS, z))[0])
