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

SENTENCES = {
    "critical": "Scaled gradient and Newton decrement are below their limits and the nullity is the expected one.",
    "degenerate": "As critical, but the Hessian has more zero eigenvalues than the symmetry at that point explains.",
    "gradient_flat": "The gradient lies in the Hessian's near-kernel, |Hg| << |H||g|, while |g| is above tolerance.",
    "max_iterations": "The iteration limit was reached before any other verdict.",
    "left_domain": "The iterate left the region that the landscape's docstring states.",
    "not_finite": "The function, its gradient or the step became infinite or NaN.",
}
"""One sentence a status, for reports."""
