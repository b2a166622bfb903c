"""The host's side of a search: choose shapes and batches, copy, launch, read back."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from simcore.backends import reference
from simcore.backends.cuda import device, loop, spin, waves
from simcore.backends.cuda.shape import Plan, Shape, batches, choose, plan
from simcore.backends.problems import Array, NewtonOptions, Outcome, Spin, Waves
from simcore.errors import InputError
from simcore.formulas.outcome import CRITICAL, MAX_ITERATIONS

FAMILIES: dict[type, ModuleType] = {Waves: waves, Spin: spin}
"""The file of kernels of each problem type."""


def newton(problem: Any, starts: Array, options: NewtonOptions, shape: Shape | None = None) -> Outcome:
    """See ``simcore.backends.cuda.newton``."""
    family = FAMILIES.get(type(problem))
    if family is None:
        known = ", ".join(kind.__name__ for kind in FAMILIES)
        raise InputError(
            f"backend 'cuda' has no kernel for {type(problem).__name__}; it has kernels for {known}: use backend='cpu'"
        )
    device.require()
    starts = reference.wrap(np.ascontiguousarray(starts, dtype=np.float64), getattr(problem, "period", 0.0))
    count, n = starts.shape
    outcome = Outcome.empty(count, n)
    if count == 0:
        return outcome
    if shape is None:
        shape = choose(n, problem.dimension, family.best_edge(n))
    for first, end in batches(count, n):
        part = Outcome(*(field[first:end] for field in outcome))
        _batch(problem, family, starts[first:end], options, shape, part)
    return outcome._replace(x=reference.wrap(outcome.x, getattr(problem, "period", 0.0)))


def _batch(
    problem: Any, family: ModuleType, starts: Array, options: NewtonOptions, shape: Shape, outcome: Outcome
) -> None:
    """Search from as many starts as the device holds, and fill ``outcome``."""
    count, n = starts.shape
    size = problem.dimension
    space = family.space(problem)
    stream = device.new_stream()
    laid: Plan = plan(count, n, size, space, shape.lanes)  # refuses what does not fit before anything is copied
    loaded = family.upload(problem, shape, stream)
    scratch = device.empty(laid.blocks * laid.stride, np.float64, stream)
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
    tolerances = (float(options.gradient_tolerance), float(options.zero_tolerance), float(options.flat_tolerance))
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
