"""Whether a user's functions are what they are said to be: tried at a few fixed random points before anything is built.

A curve x(t) starts at a random point in a random direction, a straight line or, on the sphere, a great circle. Along it
a central difference of fourth order, (8 (F(h) - F(-h)) - (F(2h) - F(-2h))) / 12h, is compared with what the derivatives
say: for F the value with grad f . v, for F the (tangential) gradient with Hess f v. A wrong entry anywhere shows, since
no component of v vanishes. So the gradient is judged by differences of the value, and the Hessian by those of a
gradient that has passed. The step h is tried over six decades, and functions pass at the first that agrees: a
function with short waves needs a small one, a function with a large constant a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.custom import FUNCTIONS, batched, checked
from simcore.backends.problems import BATCH, Custom
from simcore.errors import InputError

Array = NDArray[np.float64]
Curve = Callable[[float], Array]

PROBES = 4
STEPS = tuple(10.0**-k for k in range(2, 8))
"""Steps h of the differences, relative to the domain's length."""
AGREEMENT = 1e-6
"""Largest difference allowed, relative to the norm of the derivative. Measured: correct functions agree to 1e-8."""
CLEAR = 1e-3
"""Rounding of a difference, relative to the derivative, above which it tells nothing."""
SYMMETRIC = 1e-8
PERIODIC = 1e-9
ROUNDING = 16 * float(np.finfo(np.float64).eps)


def check_functions(problem: Custom, length: float) -> None:
    """Raise ``InputError``, in one line, for the first thing that is wrong with a user's functions.

    Parameters
    ----------
    problem : Custom
        The functions and their domain.
    length : float
        Size of the region in R^n where searches start; elsewhere the domain has its own.

    Checked at ``PROBES`` points, the same ones in every process: shape and type of what is returned (float32 has its
    own words), finite values (in R^n a function may be undefined at some points, but not at all), symmetry of the
    Hessian, period 2 pi on a torus, gradient and Hessian against differences. Right functions are called some twenty
    times each, on a torus n times more.
    """
    before = [array.copy() for array in problem.arrays]
    with np.errstate(all="ignore"):
        _check(problem, length)
    if any(a.tobytes() != b.tobytes() for a, b in zip(before, problem.arrays, strict=True)):
        raise InputError("value, gradient or hessian writes into its coefficients; let it work on a copy")


def _check(problem: Custom, length: float) -> None:
    random = np.random.default_rng(20_140_610)
    points = _points(problem, length, random)
    directions = [_direction(problem, x, length, random) for x in points]
    defined = [x for x in points if _defined(problem, x)]
    if not defined:
        raise InputError(
            f"value, gradient or hessian is not finite at any of {PROBES} random points of R^n; give finite ones"
        )
    pairs = [(x, v) for x, v in zip(points, directions, strict=True) if any(x is one for one in defined)]
    for x, _ in pairs:
        _check_symmetry(problem, x)
    if problem.batch is not None:
        _check_batch(problem, [x for x, _ in pairs])
    if problem.domain.kind == "torus":
        _check_period(problem, pairs[0][0], random)
    _compare("gradient", "value", problem, pairs, _slope_by_value, _slope)
    _compare("hessian", "gradient", problem, pairs, _turn_by_gradient, _turn)


# ---- where -------------------------------------------------------------------------------------------------------
def _points(problem: Custom, length: float, random: np.random.Generator) -> list[Array]:
    n = problem.domain.n
    if problem.domain.kind == "sphere":
        return list(problem.domain.retract(random.normal(size=(PROBES, n))))
    if problem.domain.kind == "space":
        return list(random.normal(size=(PROBES, n)) * length)
    low, high = problem.domain.sides
    return list(low + (high - low) * random.uniform(0.1, 0.9, size=(PROBES, n)))  # room for the differences


def _direction(problem: Custom, x: Array, length: float, random: np.random.Generator) -> Array:
    """Return a random direction along the domain, as long as what it is natural to measure lengths by there."""
    n = problem.domain.n
    v = random.normal(size=n)
    v = _tangential(problem, x, v)
    v /= np.linalg.norm(v)
    if problem.domain.kind == "box":
        low, high = problem.domain.sides
        return v * (high - low)
    return v * (length if problem.domain.kind == "space" else 1.0)


def _curve(problem: Custom, x: Array, v: Array) -> Curve:
    if problem.domain.kind != "sphere":
        return lambda t: x + t * v
    radius = np.sqrt(problem.domain.n)
    return lambda t: np.cos(t / radius) * x + radius * np.sin(t / radius) * v


# ---- what is returned --------------------------------------------------------------------------------------------
def _returned(what: str, problem: Custom, x: Array) -> Array:
    """Return the raw result of one function as float64, after checking its type and shape."""
    shape = {"value": (), "gradient": (problem.domain.n,), "hessian": (problem.domain.n, problem.domain.n)}[what]
    try:
        raw = getattr(problem, what)(x.copy(), *problem.arrays)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise InputError(f"{what} raised {type(error).__name__} ({words}) at x = {_shown(x)}") from error
    narrow = str(getattr(raw, "dtype", "")).removeprefix("torch.")
    if narrow in ("float32", "float16", "bfloat16"):
        advice = "JAX needs jax_enable_x64, PyTorch torch.float64" if narrow == "float32" else "return float64"
        raise InputError(f"the functions return {narrow} ({what}); {advice}")
    return checked(what, raw, x, shape)


def _defined(problem: Custom, x: Array) -> bool:
    for what in FUNCTIONS:
        if not np.isfinite(_returned(what, problem, x)).all():
            if problem.domain.kind == "space":
                return False
            raise InputError(f"{what} is not finite at x = {_shown(x)}; give functions that are finite on the domain")
    return True


def _check_symmetry(problem: Custom, x: Array) -> None:
    hessian = _returned("hessian", problem, x)
    gap, size = np.abs(hessian - hessian.T), np.linalg.norm(hessian)
    if gap.max() > SYMMETRIC * size:
        i, j = sorted(int(k) for k in np.unravel_index(gap.argmax(), gap.shape))
        raise InputError(
            f"hessian is not symmetric: entries ({i}, {j}) and ({j}, {i}) are {hessian[i, j]:.6g} and "
            f"{hessian[j, i]:.6g} at x = {_shown(x)}; give second derivatives"
        )


def _check_batch(problem: Custom, points: list[Array]) -> None:
    """Check that a batch gives what the functions do, and a row whose bits its place and its neighbours do not change.

    On that rests that threads, shards and resumes change no row.
    """
    assert problem.batch is not None
    made = batched(problem.batch, np.repeat(points[0][np.newaxis], BATCH, axis=0), problem.arrays)
    for what, rows in zip(FUNCTIONS, made, strict=True):
        single = _returned(what, problem, points[0])
        if not np.abs(np.asarray(rows)[0] - single).max() <= 1e-10 * np.abs(single).max() + 1e-300:
            raise InputError(f"batch gives another {what} than the function {what} at x = {_shown(points[0])}")
    if not alone(problem.batch, np.array(points), problem.arrays):
        raise InputError(
            f"last digits of what batch returns depend on a point's place among the {BATCH}; sum in an order that does "
            "not, or leave batch out"
        )


def alone(batch: Callable[..., Any], points: Array, arrays: tuple[Any, ...]) -> bool:
    """Whether a batch's row has the same bits wherever its point stands among the 24, whatever the others are."""
    same = batch(np.repeat(points[:1], BATCH, axis=0), *arrays)
    for shift in range(len(points)):
        which = (np.arange(BATCH) - shift) % len(points)
        for rows, mixed in zip(same, batch(points[which], *arrays), strict=True):
            wanted, found = np.asarray(rows)[:1], np.asarray(mixed)[which == 0]
            if not np.array_equal(np.broadcast_to(wanted, found.shape), found, equal_nan=True):
                return False
    return True


def _check_period(problem: Custom, x: Array, random: np.random.Generator) -> None:
    """Check that value and gradient are the same a period further, and continuous where a period ends."""
    n = problem.domain.n
    gradient, value = _returned("gradient", problem, x), _returned("value", problem, x)
    unit = np.linalg.norm(gradient)
    hessian = np.linalg.norm(_returned("hessian", problem, x))
    for i in range(n):
        there = x + 2 * np.pi * np.eye(n)[i]
        for what, here, scale in (("value", value, np.abs(value) + unit), ("gradient", gradient, unit + hessian)):
            gap = np.abs(_returned(what, problem, there) - here).max()
            if not gap <= PERIODIC * scale:
                raise InputError(
                    f"{what} changes by {gap:.3g} from x to x + 2 pi in coordinate {i}; "
                    "on a torus give functions of period 2 pi in each coordinate, or use Box or Space"
                )
    for _ in range(2):
        seam = np.where(random.random(n) < 0.5, 2 * np.pi, x)
        if not (seam == 2 * np.pi).any():
            seam[:] = 2 * np.pi
        inside, outside = np.where(seam == 2 * np.pi, seam - 1e-9, x), np.where(seam == 2 * np.pi, 1e-9, x)
        gap = float(np.abs(_returned("value", problem, inside) - _returned("value", problem, outside)))
        slope = np.linalg.norm(_returned("gradient", problem, outside))
        if not gap <= 1e-8 * (np.abs(value) + unit + slope) * np.sqrt(n):
            raise InputError(
                f"value jumps by {gap:.3g} where coordinates go from 2 pi to 0; "
                "on a torus give functions that are smooth across the period's end"
            )


# ---- differences -------------------------------------------------------------------------------------------------
def _slope(problem: Custom, x: Array, v: Array) -> tuple[Array, float]:
    """Return v . grad f and the norm that its error is relative to."""
    gradient = _tangential(problem, x, _returned("gradient", problem, x))
    return np.atleast_1d(gradient @ v), float(np.linalg.norm(gradient) * np.linalg.norm(v))


def _turn(problem: Custom, x: Array, v: Array) -> tuple[Array, float]:
    """Return Hess f v, on the sphere the Riemannian one, and the norm that its error is relative to."""
    hessian = _returned("hessian", problem, x)
    radial = (_returned("gradient", problem, x) @ x) / problem.domain.n if problem.domain.kind == "sphere" else 0.0
    along = _tangential(problem, x, hessian @ v - radial * v)
    return along, float(max(np.linalg.norm(along), np.linalg.norm(hessian) * np.linalg.norm(v)))


def _slope_by_value(problem: Custom, x: Array, v: Array) -> Callable[[float], Array]:
    curve = _curve(problem, x, v)
    return lambda t: np.atleast_1d(_returned("value", problem, curve(t)))


def _turn_by_gradient(problem: Custom, x: Array, v: Array) -> Callable[[float], Array]:
    curve = _curve(problem, x, v)

    def along(t: float) -> Array:
        there = curve(t)
        return _tangential(problem, x, _tangential(problem, there, _returned("gradient", problem, there)))

    return along


def _tangential(problem: Custom, x: Array, vector: Array) -> Array:
    return problem.domain.tangent(x[np.newaxis], vector[np.newaxis])[0]


def _differences(function: Callable[[float], Array]) -> Iterator[tuple[Array, float]]:
    """Yield the derivative at 0 by steps of falling length, each with a bound on its rounding."""
    for h in STEPS:
        near, far = (function(h), function(-h)), (function(2 * h), function(-2 * h))
        largest = max(float(np.abs(side).max()) for side in (*near, *far))
        yield (8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * h), ROUNDING * largest / h


def _compare(what: str, of: str, problem: Custom, pairs: Any, make: Any, stated: Any) -> None:
    """Refuse ``what`` unless it is the derivative of ``of`` along every pair (point, direction)."""
    failures, ratios = [], []
    for x, v in pairs:
        said, size = stated(problem, x, v)
        best = np.inf
        for found, rounding in _differences(make(problem, x, v)):
            scale = max(size, float(np.linalg.norm(found)))
            error = float(np.linalg.norm(found - said))
            if not np.isfinite(error) or rounding > CLEAR * scale:
                continue  # beyond the domain of definition, or a large constant drowns the difference
            if error <= AGREEMENT * scale + rounding:
                best = 0.0
                break
            if error / scale < best:
                best = error / scale
                ratio = float(found @ said) / float(said @ said) if said.any() else np.inf
                exact = np.linalg.norm(found - ratio * said) <= 1e-3 * np.linalg.norm(found) if said.any() else False
        if 0 < best < np.inf:
            failures.append((best, x))
            ratios.append(ratio if exact else np.nan)
    if not failures:
        return
    worst, x = max(failures, key=lambda pair: pair[0])
    raise InputError(
        f"{what} is not the derivative of {of}: differences of {of} disagree with it by a relative error of "
        f"{worst:.2g} at x = {_shown(x)}{_hint(what, ratios, len(pairs))}"
    )


def _hint(what: str, ratios: list[float], probes: int) -> str:
    """Say what would fit, where one factor fits all points."""
    tight = 1e-2 * min((abs(r - 1) for r in ratios), default=0.0)
    same = len(ratios) == probes > 1 and np.isfinite(ratios).all() and np.ptp(ratios) <= tight
    if not same:
        return "; give the derivatives of one function"
    if abs(ratios[0] + 1) < 1e-3:
        return "; one of the two has the wrong sign"
    return f"; {ratios[0]:.4g} times {what} would agree"


def _shown(x: Array) -> str:
    return f"[{', '.join(f'{v:.4g}' for v in x[:4])}{', ...' if len(x) > 4 else ''}]"
