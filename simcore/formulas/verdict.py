"""When a start ends, and how: the outcome rule, shared by every compiled backend."""

from __future__ import annotations

from simcore.compilation import jit
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE

GO_ON = -1
SETTLED = 24
"""Evaluations with a small gradient but a long Newton step after which a start has a null direction. More than the
12 or so that Newton steps, shrinking by a third each, need at a quartic minimum."""


@jit
def verdict(finite, outside, small, short, settled, last):
    """Return a status code, or GO_ON.

    ``small``: gradient below tolerance; ``short``: Newton decrement below its limit; ``settled``: evaluations so far
    that were small but not short, this one included; ``last``: no iteration is left. CRITICAL is provisional: the
    spectrum decides (``confirmed``). MAX_ITERATIONS too: a small gradient with null directions is degenerate.
    """
    if not finite:
        return NOT_FINITE
    if outside:
        return LEFT_DOMAIN
    if small and short:
        return CRITICAL
    if last or settled >= SETTLED:
        return MAX_ITERATIONS
    return GO_ON


@jit
def confirmed(status, small, nullity, expected_nullity):
    """Return the final status of a provisional one, given the nullity where the gradient is small."""
    if not small:
        return status
    if nullity > expected_nullity:
        return DEGENERATE
    return status


@jit
def flat(small, hg_square, h_square, g_square, tolerance):
    """Whether a start that ran out of iterations is gradient-flat: |Hg| < tolerance |H| |g| with |g| above its
    limit.
    """
    return not small and hg_square < tolerance * tolerance * h_square * g_square


@jit
def exhausted(is_flat):
    """Return the status of a start that ran out of iterations."""
    return GRADIENT_FLAT if is_flat else MAX_ITERATIONS
