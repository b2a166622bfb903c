"""``simcore.trajectory``: paths of descent, flow and Newton iterations on any landscape, a row a recorded step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.arrays import real_array
from simcore.backends.problems import Array
from simcore.blas import single_threaded_blas
from simcore.errors import InputError
from simcore.landscapes.base import Draw, Landscape
from simcore.progress import current, long_call, share
from simcore.search.search import check_draws, split_target, thread_count
from simcore.trajectories import derivatives
from simcore.trajectories.flow import flow
from simcore.trajectories.paths import Record, follow
from simcore.trajectories.settings import BATCH, Walk, walk
from simcore.validate import SEEDS, start_range, whole

if TYPE_CHECKING:
    import pandas as pd

TOGETHER = 128  # starts advanced together at most
WORK = 2**18  # numbers of samples of minibatches held at a time, about: they should stay in the cache


def trajectory(
    target: Landscape | Draw,
    *,
    method: str,
    step_size: float | None = None,
    steps: int = 1000,
    draws: int | None = None,
    first_draw: int | None = None,
    starts: int | None = None,
    first_start: int = 0,
    seed: int | None = None,
    start: ArrayLike | None = None,
    start_law: str | None = None,
    every: int = 1,
    index: bool = False,
    positions: bool = False,
    momentum: float | None = None,
    batch_size: int | None = None,
    betas: Sequence[float] | None = None,
    epsilon: float | None = None,
    step_cap: float | str | None = None,
    floor: float | None = None,
    integrator: str | None = None,
    tolerance: float | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Walk from many starts on each of several draws and return a row a recorded step.

    Parameters
    ----------
    target : Landscape or Draw
        The family, or one function of it (then give neither ``draws`` nor ``first_draw``).
    method : str
        With g the gradient, H the Hessian, x <- x + d at each step:

        - "gradient_descent": d = -step_size g.
        - "momentum": d <- momentum d - step_size g (default 0.9).
        - "adam": Kingma & Ba (2015), ``betas`` (0.9, 0.999), ``epsilon`` 1e-8.
        - "sgd": gradient descent on minibatches of ``batch_size`` samples (default 32, or all where there are fewer),
          each start in an order of its own, new in every epoch, whose left-over samples are skipped; ``momentum``
          (default 0). For networks with data (``MLP``, ``SigmoidUnit``).
        - "gradient_flow": dx/dt = -g; a step is the time interval ``step_size`` between records. ``integrator`` is one
          of SciPy's adaptive ones, DOP853 (default), LSODA or Radau, with relative error ``tolerance`` (1e-9). Records
          between its own steps are interpolated: where these are long, near a minimum, they are less accurate than
          that; ask for a smaller tolerance where it matters.
        - "newton": d = -step_size H^+ g, at most ``step_cap`` long ("auto": the landscape's); eigenvalues within 1e-10
          of the largest are left out.
        - "saddle_free_newton": d = -step_size |H|^-1 g, as long; |eigenvalues| raised to ``floor`` (1e-4) of the
          largest. Dauphin et al. (2014).
    step_size : float
        Above 0; 1 for the Newton methods where none is given.
    steps : int
        Steps walked; the rows are those of steps 0, every, 2 every, ... and of the last.
    draws, first_draw : int
        Functions first_draw .. first_draw + draws - 1; default the one function 0.
    starts : int
        How many starts of each draw; default 64.
    first_start : int
        The first of them: starts first_start .. first_start + starts - 1.
    seed : int
        0 .. 2^64 - 1; default 0, or the seed of the draw given. With draw, start and step it determines a row.
    start : array (n,) or (starts, n), optional
        Points of your own, in place of the landscape's; the same for every draw. Scaled to the sphere, wrapped on the
        torus.
    start_law : str
        One of ``target.start_laws``; default the first.
    every : int
        Record every so many steps.
    index, positions : bool
        Add the columns ``morse_index`` and ``x``.
    threads : int
        Default NUMBA_NUM_THREADS, else the processors this process may use. The rows do not depend on it.
    progress : bool
        As for ``find_critical_points``.

    Returns
    -------
    DataFrame
        Ordered by draw, start, step: ``draw``, ``start``, ``step`` int64; ``time`` = step * step_size; ``cost`` f(x);
        ``grad_norm`` |g|; ``curvature`` g'Hg, by exact Hessian-vector products; ``predicted_change`` g'd + d'Hd/2, the
        change of cost that the second-order expansion predicts for the step d that follows the row (for a step of
        gradient descent -step_size g'g + step_size^2 g'Hg/2; for the flow over one interval -step_size g'g +
        step_size^2 g'Hg). With ``index=True`` ``morse_index`` int32, the eigenvalues of H below -1e-10 |H|, -1
        where H is not finite. With ``positions=True`` ``x``, n float64.
        All refer to the full cost, also for sgd. On the sphere gradient, Hessian and steps are Riemannian, each step
        followed by scaling back to the sphere (momentum is projected; Adam works by ambient coordinates); on the torus
        points are wrapped; a box does not stop a path. A path that runs away keeps its rows, with inf and nan.

    Raises
    ------
    InputError
        For an unknown method, start law or integrator, an argument out of range or of another method, ``start`` of the
        wrong shape, sgd on a landscape without data.

    Source
    ------
    Predicted change: Goodfellow, Bengio & Courville (2016), equation 8.10.
    """
    landscape, only, seed = split_target(target, seed, draws=draws, first_draw=first_draw)
    options = {
        "momentum": momentum, "batch_size": batch_size, "betas": betas, "epsilon": epsilon, "step_cap": step_cap,
        "floor": floor, "integrator": integrator, "tolerance": tolerance,
    }  # fmt: skip
    chosen = walk(landscape, method, step_size, steps, every, options)
    seed = whole("seed", 0 if seed is None else seed, 0, SEEDS - 1)
    law = landscape.check_start_law(start_law)
    points = None if start is None else _own(landscape, start)
    if points is not None and starts is not None and starts != len(points):
        raise InputError(f"starts is {starts} and start has {len(points)} points; leave starts out")
    if points is not None and start_law is not None:
        raise InputError("start_law was given together with start; leave one of them out")
    first_start, starts = start_range(
        first_start, len(points) if points is not None else 64 if starts is None else starts
    )
    if starts == 0:
        raise InputError("starts is 0; give a whole number of at least 1")
    if only is None:
        first_draw, draws = check_draws(landscape, first_draw or 0, 1 if draws is None else draws)
        numbers = range(first_draw, first_draw + draws)
        functions = [landscape.draw(seed=seed, draw=number) for number in numbers]
    else:
        functions = [only]
    chosen = _batched(chosen, functions[0])
    prepared = [derivatives.Function(draw.problem) for draw in functions]
    record = Record(len(functions) * starts, len(chosen.recorded()), landscape.n, index, positions)
    workers_wanted = thread_count(threads)
    size = _block(chosen, starts, -(-starts * len(functions) // (2 * workers_wanted)))
    items = [(i, low) for i in range(len(functions)) for low in range(0, starts, size)]

    def work(item: tuple[int, int]) -> None:
        i, low = item
        count = min(size, starts - low)
        draw = functions[i]
        if points is None:
            x = landscape.starts(seed=seed, draw=draw.number, first=first_start + low, count=count, law=law)
        else:
            x = points[low : low + count].copy()
        part = record.part(slice(i * starts + low, i * starts + low + count))
        if chosen.method == "gradient_flow":
            flow(prepared[i], chosen, x, part)
        else:
            follow(draw, prepared[i], chosen, seed, first_start + low, x, part)

    def everything() -> None:
        current().plan(len(functions) * starts * (chosen.steps + 1), "steps")
        with single_threaded_blas():
            share(work, items, workers_wanted)

    long_call("trajectory", everything, progress)
    return _frame([f.number for f in functions], first_start, starts, chosen, record)


def _own(landscape: Landscape, start: ArrayLike) -> Array:
    """Return the user's starting points, (count, n), on the domain."""
    n = landscape.n
    points = np.array(real_array("start", start, f"give numbers of shape ({n},) or (starts, {n})"))
    if points.ndim not in (1, 2) or points.shape[-1] != n or not points.size:
        raise InputError(f"start has shape {points.shape}; give shape ({n},) or (starts, {n})")
    if not np.isfinite(points).all():
        raise InputError("start holds NaN or infinity; give finite numbers")
    points = np.atleast_2d(points)
    if not landscape.domain.flat and not points.any(axis=1).all():
        raise InputError("start holds the origin, which has no nearest point on the sphere; give another point")
    return landscape.domain.retract(points)


def _batched(chosen: Walk, draw: Draw) -> Walk:
    """Return the settings with the batch size of sgd, which must fit the data."""
    if chosen.method != "sgd":
        return chosen
    samples = derivatives.samples(draw.problem)
    if samples == 0:
        raise InputError(f"{draw.landscape.name} has no data for sgd; take a network with data, or gradient_descent")
    if chosen.batch_size is None:
        return replace(chosen, batch_size=min(BATCH, samples))
    if chosen.batch_size > samples:
        raise InputError(f"batch_size is {chosen.batch_size}; the data have {samples} samples, give at most that")
    return chosen


def _block(chosen: Walk, starts: int, fair: int) -> int:
    """Return how many starts go together, whole groups of lanes, about ``fair``; it changes the speed, never a row."""
    return min(starts, TOGETHER, -(-fair // 8) * 8, max(8, WORK // (chosen.batch_size or 1) // 8 * 8))


def _frame(numbers: list[int], first_start: int, starts: int, chosen: Walk, record: Record) -> pd.DataFrame:
    import pandas as pd

    recorded = np.array(chosen.recorded(), np.int64)
    each = len(recorded)
    step: NDArray[np.int64] = np.tile(recorded, len(numbers) * starts)
    columns: dict[str, Any] = {
        "draw": np.repeat(np.array(numbers, np.int64), starts * each),
        "start": np.tile(np.repeat(np.arange(first_start, first_start + starts, dtype=np.int64), each), len(numbers)),
        "step": step,
        "time": step * chosen.step_size,
        "cost": record.cost.ravel(),
        "grad_norm": record.grad_norm.ravel(),
        "curvature": record.curvature.ravel(),
        "predicted_change": record.predicted_change.ravel(),
    }
    if record.index is not None:
        columns["morse_index"] = record.index.ravel()
    if record.x is not None:
        columns["x"] = list(record.x.reshape(len(step), -1))
    return pd.DataFrame(columns)
