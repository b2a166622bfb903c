"""How a start can end.

The codes are what kernels write; the names, in the same order, are the categories of the column ``status``.
"""

from __future__ import annotations

CRITICAL = 0
DEGENERATE = 1
GRADIENT_FLAT = 2
MAX_ITERATIONS = 3
LEFT_DOMAIN = 4
NOT_FINITE = 5

STATUSES = ("critical", "degenerate", "gradient_flat", "max_iterations", "left_domain", "not_finite")
