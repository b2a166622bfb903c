"""The rules of the arc walk that its compiled form and its readable twin share.

For a vector u the critical points of f(x) - s u.x form smooth curves in (x, s). From a critical point c of f the curve
is followed into s > 0 until s first returns to 0: T_u(c). For almost every u this is an involution on the critical
points of f, an arc in s > 0 pairing its two ends. With u drawn independently of c, c -> T_u(c) is a symmetric proposal:
the chain's stationary law is uniform on the critical points that it can reach, or any Metropolis weight of them. A move
counts only if the arc, followed back from its end, ends where it began; so errors of the tracing cost moves, never
symmetry. A fold of the curve changes the index by one, hence every arc changes its parity; an end of the same parity is
an error of the tracing and not made either.

Between two points of the curve s is taken for the cubic that has their values and slopes. Two critical points that are
nearer to each other than a step are joined by an arc whose s rises and returns within it, and a curve may dip below
s = 0 between two points above; so a step is refused unless the cubic's Bernstein coefficients change sign at most once
(Descartes: then it has that many zeros), and an arc ends at the cubic's zero. Without that a pair a quarter of a step
apart sent a tenth of all arcs astray.
"""

from __future__ import annotations

from typing import NamedTuple

ARRIVED, ESCAPED, TOO_MANY_STEPS, SHRUNK, UNSETTLED, IRREVERSIBLE = range(6)
"""How a move's arc ended: at a critical point and back again; beyond the largest s; after too many steps; with steps
too short; in no critical point; followed back, it ended elsewhere, or the index kept its parity."""

OUTCOMES = ("arrived", "escaped", "too_many_steps", "shrunk", "unsettled", "irreversible")

REVERSIBLE = 1e-6
"""Distance, in correlation lengths, within which the arc followed back must meet its beginning."""
SETTLED = 1e-9
"""Length of the last Newton step at an arc's end, in correlation lengths."""
POLISHES = 12
"""Newton steps at an arc's end, at most."""
TURN = 0.25
"""1/cos of the angle between successive tangents is below 1 + TURN."""


LARGEST = 5.0
"""s beyond which an arc has escaped, in typical gradients. Of the arcs that go beyond it none of a thousand of 3-spins
came back; in a parabola of m = 0.5, n = 4, two of a hundred arcs do, and waiting for them took half of all time."""


class Rule(NamedTuple):
    """How arcs are followed; lengths in the units of x, s without unit, since u carries the gradient's."""

    unit: float  # correlation length
    first: float  # first step
    longest: float  # longest step
    tolerance: float  # longest correction, relative to the step
    largest: float  # s at which an arc has escaped
    steps: float  # steps of an arc, at most
    sigma: float  # standard deviation of the components of u
    period: float  # of every coordinate, 0 for none


def arc_rule(length: float, gradient: float, dimension: int, period: float, tolerance: float = 0.15) -> Rule:
    """Return the rule for a function of correlation length ``length`` and typical gradient norm ``gradient``.

    u is as large as a typical gradient, so that s of order 1 tilts the function as much as it varies.
    """
    return Rule(length, 0.1 * length, 0.5 * length, tolerance, LARGEST, 1000.0, gradient / dimension**0.5, period)
