"""Standard normal numbers by Box and Muller's transform, one body for every width."""

from __future__ import annotations

from simcore.compilation import jit
from simcore.formulas.elementary import log, sincos
from simcore.formulas.intrinsics import sqrt


@jit(inline=True)
def normal_pair(u, v):
    """Return two independent standard normals of two independent uniforms on (0, 1).

    z0 = sqrt(-2 ln u) cos(2 pi v), z1 = sqrt(-2 ln u) sin(2 pi v); u >= 2^-53, so |z| < 8.6.

    Source: Box and Muller, Annals of Mathematical Statistics 29 (1958) 610.
    """
    radius = sqrt(-2.0 * log(u))
    sine, cosine = sincos(v * 6.283185307179586)
    return radius * cosine, radius * sine
