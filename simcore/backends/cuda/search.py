"""The host's side of a search: choose shapes and batches, copy, launch, read back."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from simcore.backends import families
from simcore.backends.cuda import device, loop, pool_search
from simcore.backends.cuda.shape import Plan, Shape, Space, batches, choose, plan
from simcore.backends.families import Without
from simcore.backends.problems import Array, NewtonOptions, Outcome
from simcore.errors import InputError, RunError
from simcore.formulas.outcome import CRITICAL, MAX_ITERATIONS


def family_of(problem: Any) -> ModuleType:
    """Return the file of kernels of a problem; ``InputError`` naming those that have kernels where it has none."""
    home = families.of(problem).cuda
    if isinstance(home, Without):
        known = ", ".join(f.problem.__name__ for f in families.known() if not isinstance(f.cuda, Without))
        raise InputError(
            f"backend 'cuda' has no kernel for {type(problem).__name__}; it has kernels for {known}: use backend='cpu'"
        )
    return import_module(home)


ROUTES = ("fused", "pool")


def newton(
    problem: Any, starts: Array, options: NewtonOptions, shape: Shape | None = None, route: str | None = None
) -> Outcome:
    """See ``simcore.backends.cuda.newton``."""
    family = family_of(problem)
    if route not in (None, *ROUTES) or (route == "pool" and isinstance(families.of(problem).pool, Without)):
        raise InputError(
            f"route {route!r} is not for {type(problem).__name__}; give 'fused', 'pool' for waves and spins"
        )
    device.require()
    starts = problem.domain.wrap(np.ascontiguousarray(starts, dtype=np.float64))
    count, n = starts.shape
    outcome = Outcome.empty(count, n)
    if count == 0:
        return outcome
    if shape is None:
        shape = choose(n, problem.dimension, family.best_edge(n))
    pooled = pool_search.preferred(problem) if route is None else route == "pool"
    for first, end in batches(count, n):
        part = Outcome(*(field[first:end] for field in outcome))
        _batch(problem, family, starts[first:end], options, shape, part, pooled)
    return outcome._replace(x=problem.domain.wrap(outcome.x))


def _scratch(laid: Plan, stream: Any) -> tuple[Plan, Any]:
    """Allocate the scratch of a launch, with fewer blocks where other host threads have taken the memory meanwhile."""
    while True:
        try:
            return laid, device.empty(laid.blocks * laid.stride, np.float64, stream)
        except RunError:
            if laid.blocks == 1:
                raise
            laid = laid._replace(blocks=laid.blocks // 2)


def _batch(
    problem: Any,
    family: ModuleType,
    starts: Array,
    options: NewtonOptions,
    shape: Shape,
    outcome: Outcome,
    pooled: bool,
) -> None:
    """Search from as many starts as the device holds, and fill ``outcome``."""
    count, n = starts.shape
    searched = pooled and pool_search.search(problem, starts, options, outcome)
    space = family.space(problem)
    stream = device.new_stream()
    laid = plan(count, n, problem.dimension, space, shape.lanes)  # refuses what does not fit before anything is copied
    loaded = family.upload(problem, shape, stream)
    laid, scratch = _scratch(laid, stream)
    launch = _Launch(loaded, n, problem.dimension, shape, laid, scratch, space, stream)
    if not searched:
        launch.search(family, starts, options, outcome)
    outcome.index[...] = -1
    outcome.nullity[...] = -1
    rows = np.flatnonzero((outcome.status == CRITICAL) | (outcome.status == MAX_ITERATIONS))
    if len(rows) > 0:
        launch.classify(family, rows, options, outcome)


class _Launch(NamedTuple):
    """What the two kernels of a search share."""

    loaded: Any
    n: int
    size: int
    shape: Shape
    laid: Plan
    scratch: Any
    space: Space
    stream: Any

    def search(self, family: ModuleType, starts: Array, options: NewtonOptions, outcome: Outcome) -> None:
        """Run every start and fill the provisional outcome."""
        stream = self.stream
        on_device = {name: device.empty(field.size, field.dtype, stream) for name, field in outcome._asdict().items()}
        written = ("status", "iterations", "cost", "grad_norm", "decrement", "x")
        counter = device.to_device(np.zeros(1, np.int64), stream)
        device.launch(
            loop.search_kernel(family, self.shape),
            self.laid.blocks,
            (self.shape.lanes, self.shape.warps),
            (
                self.loaded, self.n, self.size, device.to_device(starts.ravel(), stream), len(starts),
                loop.limits_of(options), counter, self.scratch, self.laid.stride, *self.space,
                *(on_device[name] for name in written),
            ),
            stream,
        )  # fmt: skip
        for name in written:
            field = getattr(outcome, name)
            field[...] = device.to_host(on_device[name], stream).reshape(field.shape)

    def classify(self, family: ModuleType, rows: Any, options: NewtonOptions, outcome: Outcome) -> None:
        """Settle status, index and nullity of the rows."""
        stream = self.stream
        settled = {name: device.to_device(getattr(outcome, name), stream) for name in ("status", "index", "nullity")}
        x = device.to_device(outcome.x.ravel(), stream)
        device.launch(
            loop.classify_kernel(family, self.shape),
            min(self.laid.blocks, -(-len(rows) // self.shape.lanes)),
            (self.shape.lanes, self.shape.warps),
            (
                self.loaded, self.n, self.size, device.to_device(rows.astype(np.int64), stream), len(rows), x,
                loop.tolerances_of(options), self.scratch, self.laid.stride, *self.space, *settled.values(),
            ),
            stream,
        )  # fmt: skip
        for name, array in settled.items():
            getattr(outcome, name)[...] = device.to_host(array, stream)


def evaluate(problem: Any, x: Array, shape: Shape | None = None) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) of a problem in R^n or on a torus, by its kernels."""
    family = family_of(problem)
    device.require()
    x = np.ascontiguousarray(x, dtype=np.float64)
    count, n = x.shape
    value, gradient, hessian = np.empty(count), np.empty((count, n)), np.empty((count, n, n))
    if shape is None:
        shape = choose(n, n, family.best_edge(n))
    packed = n * (n + 1) // 2
    rows, columns = np.tril_indices(n)
    space = family.space(problem)
    stream = device.new_stream()
    for first, end in batches(count, n, packed):
        part = end - first
        laid, scratch = _scratch(plan(part, n, n, space, shape.lanes), stream)
        loaded = family.upload(problem, shape, stream)
        out = [device.empty(part * each, np.float64, stream) for each in (1, n, packed)]
        points = device.to_device(x[first:end].ravel(), stream)
        arguments = (loaded, n, points, part, scratch, laid.stride, *space, *out)
        device.launch(loop.derive_kernel(family, shape), laid.blocks, (shape.lanes, shape.warps), arguments, stream)
        value[first:end] = device.to_host(out[0], stream)
        gradient[first:end] = device.to_host(out[1], stream).reshape(part, n)
        triangle = device.to_host(out[2], stream).reshape(part, packed)
        hessian[first:end, rows, columns] = triangle
        hessian[first:end, columns, rows] = triangle
    return value, gradient, hessian
