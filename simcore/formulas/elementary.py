"""Sine, cosine and logarithm: one body for a double and for eight lanes, the same bits on every target.

Reductions and polynomials are those of Sun's fdlibm (k_sin.c, k_cos.c, e_log.c), rewritten with explicit fma.
"""

from __future__ import annotations

from simcore.compilation import jit
from simcore.formulas.intrinsics import (
    binary_exponent,
    binary_mantissa,
    cosine_is_negative,
    fma,
    is_odd,
    product,
    rint,
    select,
    sine_is_negative,
)


@jit(inline=True)
def reduced_sincos(x):
    """Return (q, sin r, cos r) with x = q pi/2 + r, q whole, |r| <= pi/4.

    The fused product makes x - q P exact to one rounding for P = pi/2 rounded, so a second part (pi/2 - P) is all that
    the reduction needs. Then a polynomial for each function on r.
    """
    q = rint(x * 0.63661977236758134308)
    r = fma(q, -1.5707963267948966, x)
    r = fma(q, -6.123233995736766e-17, r)
    z = r * r
    s = fma(z, 1.58969099521155010221e-10, -2.50507602534068634195e-08)
    s = fma(s, z, 2.75573137070700676789e-06)
    s = fma(s, z, -1.98412698298579493134e-04)
    s = fma(s, z, 8.33333333332248946124e-03)
    s = fma(s, z, -1.66666666666666324348e-01)
    s = fma(r * z, s, r)
    c = fma(z, -1.13596475577881948265e-11, 2.08757232129817482790e-09)
    c = fma(c, z, -2.75573143513906633035e-07)
    c = fma(c, z, 2.48015872894767294178e-05)
    c = fma(c, z, -1.38888888888741095749e-03)
    c = fma(c, z, 4.16666666666666019037e-02)
    c = fma(z, fma(z, c, -0.5), 1.0)
    return q, s, c


@jit(inline=True)
def _turn(q, s, c):
    """Exchange and sign sin r and cos r by the quarter turns q."""
    swapped = is_odd(q)
    sine = select(swapped, c, s)
    cosine = select(swapped, s, c)
    return select(sine_is_negative(q), -sine, sine), select(cosine_is_negative(q), -cosine, cosine)


@jit(inline=True)
def sincos(x):
    """Return (sin x, cos x), error below 1 ulp of 1 for |x| up to 1e8: those of r, exchanged and signed by q mod 4."""
    q, s, c = reduced_sincos(x)
    return _turn(q, s, c)


@jit(inline=True)
def turned_sincos(t):
    """Return (sin, cos) of t quarter turns, t pi/2, error below 1 ulp of 1.

    Without multiples of pi to take off, the reduction is exact: r = t - q, q whole. sin(r pi/2) = r (pi/2 + r^2 S(r^2))
    with pi/2 in two parts; the coefficients are those of ``reduced_sincos`` times powers of pi/2.
    """
    q = rint(t)
    r = t - q
    z = r * r
    s = fma(z, 5.634704113884751e-08, -3.598649570240692e-06)
    s = fma(s, z, 0.00016044115266738095)
    s = fma(s, z, -0.0046817541326259334)
    s = fma(s, z, 0.07969262624606334)
    s = fma(s, z, -0.645964097506245)
    s = fma(s, z, 6.123233995736766e-17)
    s = fma(r, 1.5707963267948966, r * s)
    c = fma(z, -6.32474667886607e-09, 4.710641505803502e-07)
    c = fma(c, z, -2.520203791691774e-05)
    c = fma(c, z, 0.0009192602743905533)
    c = fma(c, z, -0.02086348076333076)
    c = fma(c, z, 0.25366950790104764)
    c = fma(z, fma(z, c, -1.2337005501361697), 1.0)
    return _turn(q, s, c)


@jit(inline=True)
def log(x):
    """Return ln x for positive normal x, error below 1 ulp.

    x = 2^k m, f = m - 1, s = f/(2+f): ln m = f - f^2/2 + s (f^2/2 + R(s^2)), ln x = k ln 2 + ln m, ln 2 in two parts.
    """
    k = binary_exponent(x)
    f = binary_mantissa(x) - 1.0
    s = f / (f + 2.0)
    z = s * s
    w = z * z
    even = w * fma(w, fma(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01)
    odd = fma(w, fma(w, 1.479819860511658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01)
    rest = fma(z, fma(w, odd, 6.666666666666735130e-01), even)
    half_square = product(0.5 * f, f)
    low = fma(s, half_square + rest, k * 1.90821492927058770002e-10)
    return fma(k, 6.93147180369123816490e-01, f - (half_square - low))
