"""Which samples a minibatch holds: a function of (seed, draw, start, step) alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.landscapes.base import Landscape


class Batches:
    """Minibatches of several starts: each start goes through the samples in an order of its own, new in every epoch.

    An epoch has floor(samples / size) batches; the samples left over at its end are not used in it.
    """

    def __init__(
        self, landscape: Landscape, seed: int, draw: int, first: int, count: int, samples: int, size: int
    ) -> None:
        self.landscape, self.seed, self.draw = landscape, seed, draw
        self.first, self.count, self.samples, self.size = first, count, samples, size
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty((0, 0), np.int64)

    def at(self, step: int) -> NDArray[np.int64]:
        """Return the sample numbers of each start's batch of one step, shape (count, size)."""
        from simcore.formulas.random import start_uniforms

        epoch, place = divmod(step, self.samples // self.size)
        if epoch != self._epoch:
            stream = self.landscape.stream(f"minibatches:{epoch}")
            u = start_uniforms(self.seed, stream, self.draw, self.first, self.count, self.samples)
            self._order, self._epoch = np.argsort(u, axis=1, kind="stable"), epoch
        return self._order[:, place * self.size : (place + 1) * self.size]
