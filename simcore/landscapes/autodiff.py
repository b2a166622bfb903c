"""Functions whose derivatives a library makes: JAX and PyTorch, one batched call for the lanes of a tile.

Neither library is a dependency: each is imported when a landscape is made with it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from simcore.backends.problems import BATCH
from simcore.domains import Domain
from simcore.errors import InputError
from simcore.landscapes.base import Array
from simcore.landscapes.checks import alone
from simcore.landscapes.custom import CustomLandscape, Derived
from simcore.landscapes.drawn import Arrays, trial_arrays

Triple = tuple[Array, Array, Array]


def from_jax(
    value: Callable[..., Any],
    domain: Domain,
    n: int,
    coefficients: Callable[[np.random.Generator], Any] | None = None,
    *,
    length: float | None = None,
    gradient_scale: float | None = None,
) -> CustomLandscape:
    """Return the landscape of a JAX function, whose derivatives are JAX's, compiled and called for 24 points at once.

    Parameters
    ----------
    value : callable of one point x, a float64 JAX array of shape (n,), and of the draw's coefficients
        ``value(x, *arrays)`` returns a scalar; written with ``jax.numpy``, twice differentiable by ``jax.hessian``.
    domain, n, coefficients, length, gradient_scale
        As for ``simcore.CustomLandscape``; ``coefficients`` gets a NumPy generator and returns NumPy arrays.

    Raises
    ------
    InputError
        Where JAX is not installed or computes in float32, where ``value`` can't be differentiated or returns no float64
        scalar, and as ``CustomLandscape``.
    """
    return _landscape(_Jax, value, domain, n, coefficients, length, gradient_scale)


def from_torch(
    value: Callable[..., Any],
    domain: Domain,
    n: int,
    coefficients: Callable[[np.random.Generator], Any] | None = None,
    *,
    length: float | None = None,
    gradient_scale: float | None = None,
) -> CustomLandscape:
    """Return the landscape of a PyTorch function, whose derivatives are ``torch.func``'s, for 24 points at once.

    Parameters
    ----------
    value : callable of one point x, a float64 tensor of shape (n,), and of the draw's coefficients, tensors too
        ``value(x, *arrays)`` returns a tensor of no dimensions; twice differentiable by ``torch.func.hessian`` under
        ``torch.func.vmap``. The parameters of a module go in by ``torch.func.functional_call``.
    domain, n, coefficients, length, gradient_scale
        As for ``simcore.CustomLandscape``; ``coefficients`` gets a NumPy generator and returns NumPy arrays.

    Raises
    ------
    InputError
        Where PyTorch is not installed, where ``value`` computes in float32 or can't be differentiated, and as
        ``CustomLandscape``.
    """
    return _landscape(_Torch, value, domain, n, coefficients, length, gradient_scale)


def _landscape(
    kind: type[_Derived],
    value: Callable[..., Any],
    domain: Domain,
    n: int,
    coefficients: Callable[[np.random.Generator], Any] | None,
    length: float | None,
    gradient_scale: float | None,
) -> CustomLandscape:
    if not callable(value):
        raise InputError(f"value is {value!r}; give a function of one point x of shape (n,)")
    derived = kind(value)
    if callable(coefficients) and isinstance(domain, Domain):
        derived.settle(domain, trial_arrays(coefficients))
    elif coefficients is None and isinstance(domain, Domain):
        derived.settle(domain, ())
    functions = (derived.value, derived.gradient, derived.hessian)
    return CustomLandscape(
        *functions, domain, n, coefficients, batch=derived.batch, length=length, gradient_scale=gradient_scale
    )


class _Derived(Derived, ABC):
    """Value, gradient and Hessian of a function of a library's, one at a time or all for a batch.

    ``by_rows``: point by point within one call, for functions that a library's batches would sum in an order that
    depends on the place among the points.
    """

    library: str

    def __init__(self, function: Callable[..., Any], by_rows: bool = False) -> None:
        super().__init__(function)
        self._by_rows = by_rows
        self._last: tuple[bytes, Arrays, Triple] | None = None
        self._call = self._built()

    def __reduce__(self) -> Any:
        return type(self), (self.function, self._by_rows)

    @abstractmethod
    def _built(self) -> Callable[..., Any]:
        """Return what takes x of shape (24, n) and the arrays, as NumPy's, and returns three of the library's arrays;
        ``InputError`` where the library is not there or not set to double precision."""

    def batch(self, x: Array, *arrays: Any) -> Triple:
        """Return value (24,), gradient (24, n) and Hessian (24, n, n)."""
        try:
            made = self._call(x, *arrays)
        except InputError:
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.library} can't evaluate or differentiate {self._name}: {type(error).__name__}: {words}"
            ) from error
        for part in made:
            kind = str(part.dtype).removeprefix("torch.")
            if kind != "float64":
                raise InputError(f"{self._name} computes in {kind}; {self._advice}")
        value, gradient, hessian = (np.asarray(part) for part in made)
        return value, gradient, hessian

    _advice: str

    @property
    def _name(self) -> str:
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    def _single(self, x: Array, arrays: Arrays) -> Triple:
        """All orders at one point; the last one is kept, since all three are asked for in turn."""
        key, last = x.tobytes(), self._last
        if last is None or last[0] != key or any(a is not b for a, b in zip(last[1], arrays, strict=True)):
            last = self._last = (key, arrays, self.batch(np.repeat(x[np.newaxis], BATCH, axis=0), *arrays))
        return last[2]

    def value(self, x: Array, *arrays: Any) -> Array:
        """Return f(x)."""
        return self._single(x, arrays)[0][0]

    def gradient(self, x: Array, *arrays: Any) -> Array:
        """Return the gradient, (n,)."""
        return self._single(x, arrays)[1][0].copy()

    def hessian(self, x: Array, *arrays: Any) -> Array:
        """Return the Hessian, (n, n)."""
        return self._single(x, arrays)[2][0].copy()

    def settle(self, domain: Domain, arrays: Arrays) -> None:
        """Choose evaluation by rows where a batch's rows are not alone (``checks.alone``)."""
        points = np.random.default_rng(20_140_610).normal(size=(4, domain.n))
        if not alone(self.batch, domain.retract(points), arrays):
            self._by_rows = True
            self._call = self._built()


class _Jax(_Derived):
    library = "JAX"
    _advice = "call jax.config.update('jax_enable_x64', True) first, and keep float64 within the function"

    def _built(self) -> Callable[..., Any]:
        try:
            import jax
        except ImportError:
            raise InputError("JAX is not installed; install it with pip install jax") from None
        if not jax.config.jax_enable_x64:
            raise InputError(
                "JAX computes in float32; call jax.config.update('jax_enable_x64', True) before simcore.from_jax"
            )
        function = self.function

        def orders(x: Any, *arrays: Any) -> Any:
            value, gradient = jax.value_and_grad(function)(x, *arrays)
            return value, gradient, jax.hessian(function)(x, *arrays)

        def mapped(x: Any, *arrays: Any) -> Any:
            if self._by_rows:
                return jax.lax.map(lambda row: orders(row, *arrays), x)
            return jax.vmap(lambda row: orders(row, *arrays))(x)

        return jax.jit(mapped)


_one_thread = threading.Lock()
"""The levels of ``torch.func`` are one for all threads of a process, and searches have several."""


class _Torch(_Derived):
    library = "PyTorch"
    _advice = "build its constants and modules in torch.float64 (model.double())"

    def _built(self) -> Callable[..., Any]:
        try:
            import torch
        except ImportError:
            raise InputError("PyTorch is not installed; install it with pip install torch") from None
        function = self.function

        def orders(x: Any, *arrays: Any) -> Any:
            gradient, value = torch.func.grad_and_value(function)(x, *arrays)
            return value, gradient, torch.func.hessian(function)(x, *arrays)

        def mapped(x: Array, *arrays: Any) -> Any:
            points, given = torch.from_numpy(np.array(x)), [torch.from_numpy(array) for array in arrays]
            with _one_thread:
                if self._by_rows:
                    parts = [orders(row, *given) for row in points]
                    made = [torch.stack(part) for part in zip(*parts, strict=True)]
                else:
                    made = torch.func.vmap(lambda row: orders(row, *given))(points)
            return [part.detach() for part in made]

        return mapped
