"""The CUDA backend: a pool of starts on the device, refilled there. Nothing of CUDA is imported before it is used.

With NUMBA_ENABLE_CUDASIM=1 set before Numba is imported the same kernels run in Numba's simulator, for tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import cpu
from simcore.backends.network_problems import Chain, Mlp
from simcore.backends.problems import NewtonOptions, Outcome

if TYPE_CHECKING:
    from simcore.backends.cuda.shape import Shape

Array = NDArray[np.float64]

NAME = "cuda"
BLOCK = 2**17
"""Starts that a thread hands over at once at least: a device shares them out itself, and waits for the last of them."""

gaps, flow = cpu.gaps, cpu.flow
"""Certificates of the points found, and the gradient steps of an enumeration, are the CPU's: a fraction of a search."""


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at x of shape (S, n), as ``reference.evaluate``.

    Networks, whose searches decompose Hessians, are evaluated on the device; other problems by the CPU's kernels,
    since their searches evaluate on the device themselves and ask for few points here.
    """
    if not isinstance(problem, (Mlp, Chain)):
        return cpu.evaluate(problem, x)
    from simcore.backends.cuda.search import evaluate as run

    return run(problem, x)


def newton(
    problem: Any, starts: Array, options: NewtonOptions, shape: Shape | None = None, route: str | None = None
) -> Outcome:
    """Run capped Newton from each start, shape (S, n); starts go to the device in batches that its memory holds.

    ``shape`` (threads of a block) is chosen for the device where it is not given; it changes no result. ``route`` is
    "fused" (one kernel), "pool" (matrix products) or, by default, the one that the function's shape suits; rows of the
    two agree as those of two backends do. Raises ``InputError`` where CUDA is not installed or the problem has no
    kernel, ``RunError`` where the device fails or its memory is too small.
    """
    from simcore.backends.cuda.search import newton as run

    return run(problem, starts, options, shape, route)


def regularised_newton(problem: Any, starts: Array, options: NewtonOptions, length: float) -> None:
    """Return None: nothing has been measured here that would be faster than Newton's method."""


def levenberg_marquardt(problem: Any, starts: Array, options: NewtonOptions, rule: tuple[float, ...]) -> None:
    """Return None: the walk of ``simcore.search.dense`` evaluates on the device."""


def require() -> None:
    """Raise a one-line error where no kernel can run: ``InputError`` without CUDA, ``RunError`` without a device."""
    from simcore.backends.cuda import device

    device.require()


def status() -> dict[str, Any]:
    """Return whether kernels run here, and on what: ``simcore.backends.cuda.device.status``, and ``products_error``.

    The latter is one line on why there are no matrix products, which searches in many variables use; None where there
    are, or no device is.
    """
    from simcore.backends.cuda import device, products

    report = device.status()
    return {**report, "products_error": products.problem_with_products() if report["available"] else None}
