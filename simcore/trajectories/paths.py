"""Paths from many starts of one draw, as arrays: the loop behind ``simcore.trajectory``."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore import steps
from simcore.backends.problems import Array
from simcore.landscapes.base import Draw
from simcore.progress import current
from simcore.trajectories.batches import Batches
from simcore.trajectories.derivatives import Function, Local, batch_gradient, samples
from simcore.trajectories.settings import Walk


class Record:
    """Recorded columns of S starts at R steps, each of shape (S, R); ``x`` (S, R, n), and None where not wanted."""

    def __init__(self, starts: int, steps: int, n: int, index: bool, positions: bool) -> None:
        self.cost, self.grad_norm = np.empty((starts, steps)), np.empty((starts, steps))
        self.curvature, self.predicted_change = np.empty((starts, steps)), np.empty((starts, steps))
        self.index = np.empty((starts, steps), np.int32) if index else None
        self.x = np.empty((starts, steps, n)) if positions else None

    def part(self, rows: slice) -> Record:
        """Return a view of some starts."""
        view = Record.__new__(Record)
        for name, array in vars(self).items():
            setattr(view, name, None if array is None else array[rows])
        return view

    def store(
        self, place: int, function: Function, x: Array, here: Local, bent: Array, change: Array, hessian: Any = None
    ) -> None:
        """Fill in one recorded step of all starts; ``bent`` is H g."""
        self.cost[:, place] = here.value
        self.grad_norm[:, place] = np.sqrt((here.gradient * here.gradient).sum(axis=1))
        self.curvature[:, place] = (here.gradient * bent).sum(axis=1)
        self.predicted_change[:, place] = change
        if self.index is not None:
            self.index[:, place] = index_of(function.hessian(x, here) if hessian is None else hessian)
        if self.x is not None:
            self.x[:, place] = x


def index_of(hessian: Array) -> NDArray[np.int32]:
    """Return the number of eigenvalues below -1e-10 |H|_F of each Hessian, -1 where one is not finite."""
    finite = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    w = np.linalg.eigvalsh(np.where(finite[:, None, None], hessian, 0.0))
    scale = np.sqrt((w * w).sum(axis=1, keepdims=True))
    return np.where(finite, (w < -steps.NULL * scale).sum(axis=1), -1).astype(np.int32)


def follow(draw: Draw, function: Function, walk: Walk, seed: int, first: int, x: Array, record: Record) -> None:
    """Walk from points x, shape (S, n), starts first .. first + S - 1, and fill the record."""
    domain, rule, batches = function.problem.domain, walk.rule(), None
    if walk.method == "sgd":
        size = walk.batch_size
        assert size is not None
        batches = Batches(draw.landscape, seed, draw.number, first, len(x), samples(function.problem), size)
    meter = current()
    places = {number: place for place, number in enumerate(walk.recorded())}
    state = rule.init(x)
    with np.errstate(all="ignore"):  # a path that runs away says so in its rows: inf, then nan
        for number in range(walk.steps + 1):
            place = places.get(number)
            here = function.at(x, place is not None) if place is not None or batches is None else None
            hessian = function.hessian(x, here) if rule.second else None
            if batches is not None:
                slope = batch_gradient(function, x, batches.at(number))
            else:
                assert here is not None
                slope = here.gradient
            d, state = rule.step(state, number, steps.Here(slope, hessian, partial(domain.tangent, x)))
            if place is not None:
                assert here is not None
                bent = here.times(here.gradient)
                parallel = walk.method == "gradient_descent"
                step_bent = -walk.step_size * bent if parallel else here.times(d)
                change = ((here.gradient + 0.5 * step_bent) * d).sum(axis=1)
                record.store(place, function, x, here, bent, change, hessian)
            if number < walk.steps:
                x = domain.retract(x + d)
            meter.step(len(x))
