"""A user's own functions in the tiles of the compiled loop: njit functions by address, Python, JAX and PyTorch by call.

Whatever the functions are, the loop that searches is the one of every family, compiled once. It reaches them through
one call a tile, at an address that ``Own`` holds: ``Compiled`` calls njit functions in machine code, lane by lane or as
one njit batch, with the arrays of the draw; ``Called`` comes back to Python, where functions are called point by point
or, for a library with batches, once. Lanes without a start, and copies of the lane before, are not evaluated; in a
batch the first busy lane stands in their place.

The functions give Euclidean derivatives; ``sphere.py`` makes those of the tangent space.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from simcore.backends import custom
from simcore.backends.cpu import sphere, waves
from simcore.backends.cpu.addresses import address_of, call, flat
from simcore.backends.cpu.dispatch import Service, register, serve
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, store, zeros
from simcore.backends.problems import Array, Custom
from simcore.compilation import jit
from simcore.errors import InputError
from simcore.formulas.intrinsics import fma

T = LANES
_HUGE = 1e300


class Stopped(Exception):
    """Raised by the loop when a function of the user's has raised an error."""


class Own(NamedTuple):
    """What the loop is told of a user's function."""

    code: int  # address of what evaluates a tile
    table: np.ndarray  # int64: where each array of the draw lies, and its shape
    n: int
    period: float
    round: int  # 1 on the sphere
    sides: np.ndarray  # lowest and highest coordinates of a box, (2, n), else (0, n)
    failed: np.ndarray  # (24, n): receives the points of a tile in which an error was raised


class OwnTile(NamedTuple):
    """An evaluated tile; rows have 24 lanes."""

    n: int
    period: float
    round: int
    box: int
    memory: np.ndarray  # scratch of the sphere, then value, gradient [n], packed Hessian, busy, then sides [2 n]


@jit(inline=True)
def _busy(n):
    """Where the row begins that says which lanes are to be evaluated."""
    return sphere.SCRATCH * n + (1 + n + n * (n + 1) // 2) * T


@jit
def prepare(problem):
    """Allocate scratch; all lanes are busy until ``claim`` says more."""
    n, box = problem.n, len(problem.sides)
    at = _busy(n)
    memory = np.zeros(at + T + box * n)
    memory[at : at + T] = 1.0
    for k in range(box):
        for i in range(n):
            memory[at + T + k * n + i] = problem.sides[k, i]
    return problem, OwnTile(n, problem.period, problem.round, box, memory)


@jit
def claim(tile, owner):
    """Leave out lanes without a start; they get the values of a point that stays where it is."""
    n, memory = tile.n, tile.memory
    busy, value = _busy(n), sphere.SCRATCH * n
    for lane in range(T):
        if owner[lane] < 0 and memory[busy + lane] == 1.0:
            for k in range(1 + n + n * (n + 1) // 2):
                memory[value + k * T + lane] = 0.0
            for i in range(n):
                memory[value + (1 + n + i * (i + 3) // 2) * T + lane] = 1.0
        memory[busy + lane] = 1.0 if owner[lane] >= 0 else 0.0


@jit
def _busy_points(n, X, flags, points):
    """Fill ``points``, (24, n), with those of the busy lanes, and the first of them in the place of all others."""
    first = 0
    while first < T - 1 and flags[first] != 1.0:
        first += 1
    for lane in range(T):
        source = lane if flags[lane] == 1.0 else first
        for i in range(n):
            points[lane, i] = X[i * T + source]


@jit
def evaluate(tables, tile, X):
    """Fill value, gradient and Hessian of the tile."""
    n, memory = tile.n, tile.memory
    busy, value = _busy(n), sphere.SCRATCH * n
    copied = False
    for lane in range(1, T):
        if memory[busy + lane] == 1.0 and memory[busy + lane - 1] != 0.0:
            same = True
            for i in range(n):
                same = same and X[i * T + lane] == X[i * T + lane - 1]
            if same:
                memory[busy + lane] = 2.0
                copied = True
    status = call(
        tables.code, X.ctypes.data, memory[value:].ctypes.data, memory[busy:].ctypes.data, tables.table.ctypes.data,
        n, 0, 0,
    )  # fmt: skip
    if status != 0:
        _busy_points(n, X, memory[busy:], tables.failed)
        raise Stopped
    if copied:
        for lane in range(1, T):
            if memory[busy + lane] == 2.0:
                memory[busy + lane] = 1.0
                for k in range(1 + n + n * (n + 1) // 2):
                    memory[value + k * T + lane] = memory[value + k * T + lane - 1]


@jit
def system(tile, X, s, A, g):
    """Gradient and packed Hessian of eight lanes, in tangent coordinates; return the value."""
    n, memory = tile.n, tile.memory
    value = sphere.SCRATCH * n + s
    slope, base = value + T, value + (1 + n) * T
    if tile.round:
        sphere.multiply(n, X, s, memory, 0, base)
        radial = zeros()
        for i in range(n):
            radial = fma(load(memory, slope + i * T), load(X, i * T + s), radial)
        sphere.tangent(n, X, s, memory, base, slope, T, 1.0, radial * (1.0 / n), A, g)
    else:
        for i in range(n):
            store(g, i * 8, load(memory, slope + i * T))
        for k in range(n * (n + 1) // 2):
            store(A, k * 8, load(memory, base + k * T))
    return load(memory, value)


@jit
def reach(tile, X, s, furthest):
    """Eight times max |x_i|, beyond any region in lanes that lie outside the box."""
    if tile.box:
        n = tile.n
        low = _busy(n) + T
        for lane in range(8):
            for i in range(n):
                x = X[i * T + s + lane]
                if x < tile.memory[low + i] or x > tile.memory[low + n + i]:
                    furthest[lane] = _HUGE


@jit
def advance(tile, X, s, d, t):
    """x <- x - t d, brought back to the sphere or torus."""
    if tile.round:
        sphere.advance(tile, X, s, d, t)
    else:
        waves.advance(tile, X, s, d, t)


register(Own, OwnTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance, claim=claim, reach=reach)


# ---- njit functions ------------------------------------------------------------------------------------------------
def _unpacker(kinds: tuple[Any, ...]) -> Any:
    """Return a compiled function that makes the arrays of a draw, of types ``kinds``, from the table of them."""

    @intrinsic
    def unpack(typingctx, table):
        def codegen(context, builder, sig, args):
            word = ir.IntType(64)
            words = builder.inttoptr(args[0], word.as_pointer())
            place, made = 0, []

            def take():
                nonlocal place
                place += 1
                return builder.load(builder.gep(words, [ir.Constant(word, place - 1)]))

            for kind in kinds:
                item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
                array = make_array(kind)(context, builder)
                data = builder.inttoptr(take(), array.data.type)
                shape = [take() for _ in range(kind.ndim)]
                strides, step = [], ir.Constant(word, item)
                for length in reversed(shape):
                    strides.insert(0, step)
                    step = builder.mul(step, length)
                size = ir.Constant(word, item)
                populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
                made.append(array._getvalue())
            return context.make_tuple(builder, sig.return_type, made)

        return types.Tuple(kinds)(types.int64), codegen

    return unpack


def _tile_code(value: Any, gradient: Any, hessian: Any, kinds: tuple[Any, ...]) -> Any:
    """Return a compiled function that evaluates the busy lanes of a tile."""
    unpack = _unpacker(kinds)

    def evaluate_tile(points, out, busy, table, n, _, __):
        X, memory, flags = flat(points), flat(out), flat(busy)
        arrays = unpack(table)
        x = np.empty(n)
        for lane in range(T):
            if flags[lane] != 1.0:
                continue
            for i in range(n):
                x[i] = X[i * T + lane]
            memory[lane] = value(x, *arrays)
            for i in range(n):
                x[i] = X[i * T + lane]  # functions may write into their argument
            g = gradient(x, *arrays)
            if g.shape[0] != n:
                raise InputError("gradient has another shape")
            for i in range(n):
                memory[(1 + i) * T + lane] = g[i]
                x[i] = X[i * T + lane]
            h = hessian(x, *arrays)
            if h.shape[0] != n or h.shape[1] != n:
                raise InputError("hessian has another shape")
            k = (1 + n) * T + lane
            for i in range(n):
                for j in range(i + 1):
                    memory[k] = 0.5 * (h[i, j] + h[j, i])
                    k += T

    return jit(evaluate_tile, cache=False, inner=True)


def _batch_code(batch: Any, kinds: tuple[Any, ...]) -> Any:
    """Return a compiled function that evaluates the busy lanes of a tile by one call of an njit batch."""
    unpack = _unpacker(kinds)

    def evaluate_tile(points, out, busy, table, n, _, __):
        memory, flags = flat(out), flat(busy)
        x = np.empty((T, n))
        _busy_points(n, flat(points), flags, x)
        value, g, h = batch(x, *unpack(table))
        if value.shape[0] != T or g.shape != (T, n) or h.shape != (T, n, n):
            raise InputError("batch has another shape")
        for lane in range(T):
            if flags[lane] != 1.0:
                continue
            memory[lane] = value[lane]
            for i in range(n):
                memory[(1 + i) * T + lane] = g[lane, i]
            k = (1 + n) * T + lane
            for i in range(n):
                for j in range(i + 1):
                    memory[k] = 0.5 * (h[lane, i, j] + h[lane, j, i])
                    k += T

    return jit(evaluate_tile, cache=False, inner=True)


class Compiled:
    """njit functions, all three or a batch alone, as one piece of code that evaluates a tile, for arrays of given
    types; shared by all draws."""

    def __init__(self, functions: tuple[Any, ...], kinds: tuple[Any, ...]) -> None:
        code = _batch_code(*functions, kinds) if len(functions) == 1 else _tile_code(*functions, kinds)
        self._alive = (functions, code)
        self.address = address_of(code, *[types.int64] * 7)


_lock = Lock()
_shared = lru_cache(maxsize=64)(Compiled)  # a problem's code, whose address is in use, is held by its caller too


def compiled(problem: Custom) -> Compiled | None:
    """Return the code of a problem's functions, compiled when the first draw asks; None where they are not njit
    functions that return a real number, a vector and a matrix, or those of 24 points where there is a batch."""
    functions = (problem.value, problem.gradient, problem.hessian) if problem.batch is None else (problem.batch,)
    if not all(isinstance(function, Dispatcher) for function in functions):
        return None
    kinds = tuple(numba.typeof(array) for array in problem.arrays)
    with _lock:
        made = [_returned(function, len(functions) == 1, kinds) for function in functions]
        parts = list(made[0]) if problem.batch is not None and isinstance(made[0], types.BaseTuple) else made
        wanted = (0, 1, 2) if problem.batch is None else (1, 2, 3)
        if len(parts) == 3 and all(map(_real, parts, wanted)):
            return _shared(functions, kinds)
    return None


def _returned(function: Any, batch: bool, kinds: tuple[Any, ...]) -> Any:
    """Return the type that an njit function returns for one point, or for a batch of them."""
    given = (types.Array(types.float64, 2 if batch else 1, "C"), *kinds)
    if given not in function.overloads:
        function.compile(given)
    return function.overloads[given].signature.return_type


def _real(made: Any, dimensions: int) -> bool:
    """Whether a type is that of real numbers in so many dimensions."""
    real = (types.Float, types.Integer, types.Boolean)
    if dimensions == 0:
        return isinstance(made, real)
    return isinstance(made, types.Array) and made.ndim == dimensions and isinstance(made.dtype, real)


# ---- functions that Python calls -------------------------------------------------------------------------------------
_WORD = ctypes.c_int64
_CALLED = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *[_WORD] * 7)


class Called:
    """A problem's functions as code that comes back to Python for each tile; ``error`` keeps one of theirs."""

    def __init__(self, problem: Custom) -> None:
        self.error: BaseException | None = None
        self._problem = problem
        self._function = _CALLED(self._evaluate)
        self.address = int(ctypes.cast(self._function, ctypes.c_void_p).value or 0)

    def _evaluate(
        self, _: int, __: int, points: int, out: int, busy: int, table: int, n: int, ___: int, ____: int
    ) -> int:
        try:
            lanes = np.flatnonzero(_at(busy, (T,)) == 1.0)
            memory = _at(out, (1 + n + n * (n + 1) // 2, T))
            value, gradient, hessian = custom.euclidean(self._problem, _at(points, (n, T))[:, lanes].T.copy())
            memory[0, lanes], memory[1 : 1 + n, lanes] = value, gradient.T
            rows, columns = np.tril_indices(n)
            memory[1 + n :, lanes] = hessian[:, rows, columns].T
        except BaseException as error:
            self.error = error
            return 1
        return 0


def _at(address: int, shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape))
    return np.frombuffer((ctypes.c_double * count).from_address(address)).reshape(shape)


# ---- from Python -----------------------------------------------------------------------------------------------------
def run(problem: Custom, kernel: Any, *arguments: Any) -> None:
    """Call a loop of the backend on a user's function: ``kernel(problem, dimension, *arguments)``.

    An error that a function raises comes out as it is: compiled code only says that there was one and at which points,
    where the functions are then called again.
    """
    domain, n = problem.domain, problem.domain.n
    code: Any = compiled(problem) or Called(problem)
    table = [word for array in problem.arrays for word in (array.ctypes.data, *array.shape)]
    sides = np.array(domain.sides) if domain.kind == "box" else np.empty((0, n))
    own = Own(
        code.address, np.array(table, np.int64), n, float(domain.period), int(not domain.flat), sides, np.zeros((T, n))
    )
    try:
        kernel(own, problem.dimension, *arguments)
    except Stopped:
        if isinstance(code, Called) and code.error is not None:
            raise code.error from None
        custom.euclidean(problem, own.failed)  # raises what the compiled code did
        raise InputError(
            f"value, gradient, hessian or batch raised an error near x = {own.failed[0].tolist()}"
        ) from None


serve(Custom, Service(None, run=run, certifies=False))
