"""A user's own functions: njit, plain, or a library's."""

from __future__ import annotations

from simcore.backends.custom import evaluate
from simcore.backends.family import Family, Without, add
from simcore.backends.problems import Custom

_UNKNOWN = "nothing is known of the user's functions but their values"

CUSTOM = add(
    Family(
        problem=Custom,
        evaluate=evaluate,
        products=Without(_UNKNOWN),
        sample_gradient=Without(_UNKNOWN),
        bounds=Without(_UNKNOWN),
        flops=Without(_UNKNOWN),
        cpu="simcore.backends.cpu.own",
        cuda=Without("the user's functions run in this process"),
        pool=Without("the user's functions run in this process"),
    )
)
