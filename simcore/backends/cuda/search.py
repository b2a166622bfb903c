"""The host's side of a search: choose shapes and batches, copy, launch, read back."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from simcore.backends.cuda import device, loop, network, spin, waves
from simcore.backends.cuda.shape import Plan, Shape, batches, choose, plan
from simcore.backends.geometry import wrap
from simcore.backends.network_problems import Mlp
from simcore.backends.problems import Array, NewtonOptions, Outcome, Spin, Waves
from simcore.errors import InputError, RunError
from simcore.formulas.outcome import CRITICAL, MAX_ITERATIONS

FAMILIES: dict[type, ModuleType] = {Waves: waves, Spin: spin, Mlp: network}
"""The file of kernels of each problem type."""


def family_of(problem: Any) -> ModuleType:
    """Return the file of kernels of a problem; ``InputError`` naming those that have kernels where it has none."""
    family = FAMILIES.get(type(problem))
    if family is None:
        known = ", ".join(kind.__name__ for kind in FAMILIES)
        raise InputError(
            f"backend 'cuda' has no kernel for {type(problem).__name__}; it has kernels for {known}: use backend='cpu'"
        )
    return family


def newton(problem: Any, starts: Array, options: NewtonOptions, shape: Shape | None = None) -> Outcome:
    """See ``simcore.backends.cuda.newton``."""
    family = family_of(problem)
    device.require()
    starts = wrap(np.ascontiguousarray(starts, dtype=np.float64), getattr(problem, "period", 0.0))
    count, n = starts.shape
    outcome = Outcome.empty(count, n)
    if count == 0:
        return outcome
    if shape is None:
        shape = choose(n, problem.dimension, family.best_edge(n))
    for first, end in batches(count, n):
        part = Outcome(*(field[first:end] for field in outcome))
        _batch(problem, family, starts[first:end], options, shape, part)
    return outcome._replace(x=wrap(outcome.x, getattr(problem, "period", 0.0)))


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
    problem: Any, family: ModuleType, starts: Array, options: NewtonOptions, shape: Shape, outcome: Outcome
) -> None:
    """Search from as many starts as the device holds, and fill ``outcome``."""
    count, n = starts.shape
    size = problem.dimension
    space = family.space(problem)
    stream = device.new_stream()
    laid = plan(count, n, size, space, shape.lanes)  # refuses what does not fit before anything is copied
    loaded = family.upload(problem, shape, stream)
    laid, scratch = _scratch(laid, stream)
    threads = (shape.lanes, shape.warps)
    on_device = {name: device.empty(field.size, field.dtype, stream) for name, field in outcome._asdict().items()}
    x = on_device["x"]
    limits = (
        float(options.step_cap),
        float(options.gradient_tolerance),
        float(options.decrement_tolerance),
        float(options.region),
        int(options.max_iterations),
    )
    counter = device.to_device(np.zeros(1, np.int64), stream)
    device.launch(
        loop.search_kernel(family, shape),
        laid.blocks,
        threads,
        (
            loaded, n, size, device.to_device(starts.ravel(), stream), count, limits, counter, scratch, laid.stride,
            *space, *(on_device[name] for name in ("status", "iterations", "cost", "grad_norm", "decrement")), x,
        ),
        stream,
    )  # fmt: skip
    for name in ("status", "iterations", "cost", "grad_norm", "decrement", "x"):
        field = getattr(outcome, name)
        field[...] = device.to_host(on_device[name], stream).reshape(field.shape)
    outcome.index[...] = -1
    outcome.nullity[...] = -1

    rows = np.flatnonzero((outcome.status == CRITICAL) | (outcome.status == MAX_ITERATIONS))
    if len(rows) == 0:
        return
    settled = {name: device.to_device(getattr(outcome, name), stream) for name in ("status", "index", "nullity")}
    chosen = (options.gradient_tolerance, options.zero_tolerance, options.flat_tolerance, options.zero_floor)
    tolerances = tuple(float(limit) for limit in chosen)
    device.launch(
        loop.classify_kernel(family, shape),
        min(laid.blocks, -(-len(rows) // shape.lanes)),
        threads,
        (
            loaded, n, size, device.to_device(rows.astype(np.int64), stream), len(rows), x, tolerances, scratch,
            laid.stride, *space, settled["status"], settled["index"], settled["nullity"],
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
