"""How a path is walked: the methods with their parameters, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from simcore import validate
from simcore.errors import InputError, unknown_name
from simcore.landscapes.base import Landscape
from simcore.steps import Adam, Descent, Newton, Rule, SaddleFree

METHODS = ("gradient_descent", "sgd", "momentum", "adam", "gradient_flow", "newton", "saddle_free_newton")
INTEGRATORS = ("DOP853", "LSODA", "Radau")
BATCH = 32

_TAKEN_BY: dict[str, tuple[str, ...]] = {
    "momentum": ("momentum", "sgd"),
    "batch_size": ("sgd",),
    "betas": ("adam",),
    "epsilon": ("adam",),
    "step_cap": ("newton", "saddle_free_newton"),
    "floor": ("saddle_free_newton",),
    "integrator": ("gradient_flow",),
    "tolerance": ("gradient_flow",),
}


@dataclass(frozen=True)
class Walk:
    """A method and its parameters; see ``simcore.trajectory``."""

    method: str
    step_size: float
    steps: int
    every: int
    momentum: float
    batch_size: int | None
    betas: tuple[float, float]
    epsilon: float
    step_cap: float
    floor: float
    integrator: str
    tolerance: float

    def rule(self) -> Rule:
        """Return the rule of the steps; sgd is descent on the gradient of the step's minibatch."""
        if self.method == "adam":
            return Adam(self.step_size, self.betas, self.epsilon)
        if self.method == "newton":
            return Newton(step_size=self.step_size, cap=self.step_cap)
        if self.method == "saddle_free_newton":
            return SaddleFree(floor=self.floor, step_size=self.step_size, cap=self.step_cap)
        return Descent(self.step_size, self.momentum)

    def recorded(self) -> list[int]:
        """Return the numbers of the recorded steps: multiples of ``every``, and the last."""
        numbers = list(range(0, self.steps + 1, self.every))
        return numbers if numbers[-1] == self.steps else [*numbers, self.steps]


def walk(landscape: Landscape, method: Any, step_size: Any, steps: Any, every: Any, options: dict[str, Any]) -> Walk:
    """Return the checked settings; ``InputError`` names the first bad one. Options that are None take defaults."""
    if not isinstance(method, str) or method not in METHODS:
        raise unknown_name("method of trajectory", method, METHODS)
    for name, value in options.items():
        if value is not None and method not in _TAKEN_BY[name]:
            raise InputError(
                f"{name} was given with method {method!r}; it belongs to {' and '.join(_TAKEN_BY[name])}: leave it out"
            )
    if step_size is None:
        if method not in ("newton", "saddle_free_newton"):
            raise InputError(f"no step_size was given for method {method!r}; give a number above 0, such as 0.1")
        step_size = 1.0
    given = {name: value for name, value in options.items() if value is not None}
    cap = given.get("step_cap", "auto")
    if cap == "auto":
        cap = landscape.scales.step_cap
    elif isinstance(cap, str):
        raise InputError(f"step_cap is {cap!r}; give 'auto', a length above 0, or math.inf for no cap")
    elif cap != math.inf:
        cap = validate.positive("step_cap", cap)
    return Walk(
        method,
        validate.positive("step_size", step_size),
        validate.whole("steps", steps, 1),
        validate.whole("every", every, 1),
        _fraction("momentum", given.get("momentum", 0.9 if method == "momentum" else 0.0), zero=True),
        validate.whole("batch_size", given["batch_size"], 1) if "batch_size" in given else None,
        _betas(given.get("betas", (0.9, 0.999))),
        validate.positive("epsilon", given.get("epsilon", 1e-8)),
        float(cap),
        _fraction("floor", given.get("floor", 1e-4)),
        validate.choice("integrator", given.get("integrator", "DOP853"), INTEGRATORS),
        _fraction("tolerance", given.get("tolerance", 1e-9)),
    )


def _fraction(name: str, value: Any, zero: bool = False) -> float:
    low = value == 0 and zero
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (0 < value < 1 or low):
        raise InputError(f"{name} is {value!r}; give a number between 0 and 1")
    return float(value)


def _betas(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InputError(f"betas is {value!r}; give two numbers between 0 and 1, such as (0.9, 0.999)")
    return _fraction("betas[0]", value[0], zero=True), _fraction("betas[1]", value[1], zero=True)
