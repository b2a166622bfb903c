"""The law: how coefficients and starts are drawn."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cosine_pairs.family import Pairs
from simcore import validate
from simcore.domains import Torus
from simcore.landscapes.base import Draw, Landscape, Scales, Symmetry
from simcore.landscapes.starts import box
from simcore.landscapes.step_caps import torus_step_cap


class PairsDraw(Draw):
    """One sum of cosines."""

    def __init__(self, landscape, seed, number):
        self.landscape, self.seed, self.number = landscape, seed, number

    @property
    def problem(self):
        from simcore.formulas.random import normals

        law = self.landscape
        z = normals(self.seed, law.stream("coefficients"), self.number, 0, 2 * law.pairs) / math.sqrt(law.pairs)
        return Pairs(law.n, z[: law.pairs], z[law.pairs :])

    @property
    def symmetries(self):
        return (Symmetry("all coordinates by pi", lambda x: self.landscape.domain.wrap(x + np.pi), 1),)


@dataclass(frozen=True)
class CosinePairs(Landscape):
    """Sums of cosines of two coordinates on the torus, Var f = 1, independent normal amplitudes."""

    name: ClassVar[str] = "cosine_pairs"
    start_laws: ClassVar[tuple[str, ...]] = ("uniform",)
    parameters: ClassVar[tuple[str, ...]] = ("n",)
    example: ClassVar[dict] = {"n": [2, 3]}
    example_method: ClassVar[str] = "enumerate"

    n: int

    def __post_init__(self):
        object.__setattr__(self, "n", validate.whole("n", self.n, 1))

    @property
    def pairs(self) -> int:
        return self.n * (self.n + 1) // 2

    @property
    def domain(self):
        return Torus(self.n)

    @property
    def scales(self):
        variance = (self.n + 3) / self.pairs  # of a gradient's component
        length = 1 / math.sqrt(variance)
        return Scales(length, math.sqrt(self.n * variance), torus_step_cap(self.n) * length, math.inf)

    def draw(self, *, seed, draw=0):
        return PairsDraw(self, *validate.address(seed, draw))

    def starts(self, *, seed, draw, first, count, law=None):
        stream = self.stream(f"starts:{self.check_start_law(law)}")
        return box(stream, seed, draw, first, count, np.zeros(self.n), np.full(self.n, 2 * np.pi))
