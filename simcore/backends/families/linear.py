"""Deep linear networks: population cost. Critical points come in orbits, so none is certified."""

from __future__ import annotations

from simcore.backends.family import Family, Without, add
from simcore.backends.network_problems import Linear
from simcore.backends.reference_network import evaluate_linear

LINEAR = add(
    Family(
        problem=Linear,
        evaluate=evaluate_linear,
        products=Without("simcore.trajectories.networks has them"),
        bounds=Without("critical points are not isolated"),
        flops=Without("searches decompose Hessians: the dense search is not timed by flops"),
        cpu=Without("Hessians of at most a few hundred parameters, decomposed by LAPACK"),
        cuda=Without("searches decompose Hessians on the host"),
        pool=Without("searches decompose Hessians on the host"),
    )
)
