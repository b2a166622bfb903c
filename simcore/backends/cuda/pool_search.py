"""The host's side of a pooled search: size the pool, check the products, run passes, shrink the pool as starts run out.

What a row depends on. The host launches passes and looks at two counters now and then; which column a start gets, and
with which others, depends on the order in which starts end. That may change no bit of a row, and the kernels see to it:
no sum of theirs crosses columns. A product of cuBLAS gives no such promise, so it is checked: before the first search
of a shape, a pass is made with the same few starts in every column, once for every width that a pool of this shape may
have, and the widths at which every column has the bits of the first ones are those that searches use. The full width
depends on the function's shape alone, never on how many starts there are or on the memory. Where the full width fails
the check, the fused kernel does the search.
"""

from __future__ import annotations

import threading
import time
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from simcore.backends import families
from simcore.backends.cuda import device, loop, pool
from simcore.backends.cuda.products import Products, problem_with_products
from simcore.backends.families import Without
from simcore.backends.problems import Array, NewtonOptions, Outcome
from simcore.errors import RunError

WIDTH = 8 if device.SIMULATED else 2**14
"""Columns of a pool, unless its systems would take more than ``NOMINAL``."""
NARROWEST = 2 if device.SIMULATED else 512
NOMINAL = 2**31
"""Bytes that decide the width; more may be needed beside it."""
THREADS = (1, 1) if device.SIMULATED else (32, 4)
PASSES = 3 if device.SIMULATED else 8
"""Passes between two looks at the counters."""
PERIOD = 4
"""Starts that the check of the products repeats over the columns."""
PATIENCE = 60.0
"""Seconds to wait for memory that other processes hold, where the device has enough of it in all."""
_SHARE = 0.8  # of the memory

_ONE_AT_A_TIME = threading.Lock()  # a pool fills the device; and cuBLAS gives the same bits on one stream only
_widths: dict[Any, list[int]] = {}


def stages_of(problem: Any) -> ModuleType | None:
    """Return the module of a family's pooled route, None where it has none."""
    home = families.of(problem).pool
    return None if isinstance(home, Without) else import_module(home)


def preferred(problem: Any) -> bool:
    """Whether a problem's searches run in a pool here: by its type and shape, and where CuPy can multiply."""
    family = stages_of(problem)
    return family is not None and family.worth_it(problem) and problem_with_products() is None


def _pooled(problem: Any) -> ModuleType:
    found = stages_of(problem)
    assert found is not None, "asked only of problems with a pooled route"
    return found


def width_of(problem: Any) -> int:
    """Return the columns of a pool: a power of two that depends on the function's shape alone."""
    column = 8 * _pooled(problem).layout(problem).a_column
    width = WIDTH
    while width > NARROWEST and width * column > NOMINAL:
        width //= 2
    return width


def bytes_of(problem: Any, starts: int) -> int:
    """Return the device memory of a pooled search."""
    size, width = problem.dimension, width_of(problem)
    laid = _pooled(problem).layout(problem)
    vectors = pool.VECTORS * size + 4
    full = width // THREADS[0] * size * (size + 1)
    return 8 * (width * (laid.a_column + vectors) + laid.once + full + starts * (2 * problem.domain.n + 8))


def search(problem: Any, starts: Array, options: NewtonOptions, outcome: Outcome) -> bool:
    """Search from starts (S, n) and fill the provisional outcome, or return False where products depend on columns.

    ``RunError`` with the sizes where the pool does not fit the device's free memory.
    """
    with _ONE_AT_A_TIME:
        _wait_for_memory(problem, starts)
        try:
            return _Search(problem, starts, options).run(outcome)
        finally:
            device.release()


def _wait_for_memory(problem: Any, starts: Array) -> None:
    """Return when the pool fits; another process may hold the memory for a search of its own."""
    needed = bytes_of(problem, len(starts))
    begin = time.monotonic()
    while needed > _SHARE * (free := device.free_memory()):
        if time.monotonic() - begin >= PATIENCE or needed > _SHARE * device.total_memory():
            raise RunError(
                f"a pool of {width_of(problem)} starts of dimension {starts.shape[1]} needs {needed / 2**20:.0f} MiB "
                f"and the device has {free / 2**20:.0f} MiB free; free some, search a smaller function, or use "
                "backend='cpu'"
            )
        time.sleep(0.1)


class _Search:
    def __init__(self, problem: Any, starts: Array, options: NewtonOptions) -> None:
        self.problem, self.family = problem, _pooled(problem)
        self.count, self.n = starts.shape
        self.size, self.width = problem.dimension, width_of(problem)
        self.starts = starts
        self.products = Products()
        self.stage = self.family.Stage(problem, self.width, self.products)
        self.limits = loop.limits_of(options)

    # ---- the check of the products -----------------------------------------------------------------------------------
    def widths(self) -> list[int]:
        """Return the widths, widest first, at which a column's bits depend on its start alone; checked once a shape."""
        known = (self.family, self.family.key(self.problem), self.width)
        if known not in _widths:
            _widths[known] = self._check()
        return _widths[known]

    def _check(self) -> list[int]:
        array, rows = self.stage.checked
        period = min(PERIOD, self.count, self.width)
        kept = device.empty(rows * period, np.float64, self.products.stream)
        self._put(np.resize(self.starts[:period], (self.width, self.n)))
        found = []
        width = self.width
        while width >= NARROWEST and width >= THREADS[0]:
            self.stage.evaluate(width, THREADS)
            if width == self.width:
                self._flat(pool.keep, rows, (array, rows, self.width, kept, period))
            different = self._to_device(np.zeros(1, np.int64))
            self._flat(pool.compare, width, (array, rows, self.width, width, kept, period, different))
            if device.to_host(different, self.products.stream)[0] == 0:
                found.append(width)
            elif width == self.width:
                return []
            width //= 2
        return found

    # ---- the search --------------------------------------------------------------------------------------------------
    def run(self, outcome: Outcome) -> bool:
        """Run every start and fill the outcome; False where the products can't be used."""
        widths = self.widths()
        if not widths:
            return False
        width, n, size, stream = self.width, self.n, self.size, self.products.stream
        placed = np.arange(width)
        self._put(self.starts[np.minimum(placed, self.count - 1)])
        owner = np.where(placed < self.count, placed, pool.FREE).astype(np.int64)
        self.columns = [self._to_device(array) for array in (owner, *np.zeros((3, width), np.int32))]
        counters = self._to_device(np.array([min(width, self.count), 0], np.int64))
        on_device = {name: device.empty(field.size, field.dtype, stream) for name, field in outcome._asdict().items()}
        written = ("status", "iterations", "cost", "grad_norm", "decrement", "x")
        stage = self.stage
        arguments = (
            stage.loaded, n, size, self._to_device(self.starts.ravel()), self.count, self.limits, counters, stage.X,
            stage.A, stage.H, stage.extra, stage.value, device.empty(pool.VECTORS * size * width, np.float64, stream),
            device.empty(width // THREADS[0] * size * (size + 1), np.float64, stream),
            device.empty(width, np.float64, stream), *self.columns, *(on_device[name] for name in written),
        )  # fmt: skip
        step = pool.step_kernel(self.family, *THREADS, self.width)
        taken, ended = min(width, self.count), 0
        while True:
            if taken >= self.count:
                width = self._shrink(width, next(w for w in reversed(widths) if w >= self.count - ended))
            for _ in range(PASSES):
                stage.evaluate(width, THREADS)
                device.launch(step, width // THREADS[0], THREADS, arguments, stream)
            taken, ended = (int(number) for number in device.to_host(counters, stream))
            if ended == self.count:
                break
        for name in written:
            field = getattr(outcome, name)
            field[...] = device.to_host(on_device[name], stream).reshape(field.shape)
        return True

    def _shrink(self, width: int, fitting: int) -> int:
        """Move the starts that are left into the first ``fitting`` columns."""
        if fitting == width:
            return width
        owner = self.columns[0]
        holes, movers = (self._to_device(np.zeros(fitting, np.int64)) for _ in range(2))
        counters = self._to_device(np.zeros(2, np.int64))
        self._flat(pool.list_moves, width, (owner, width, fitting, holes, movers, counters))
        self._flat(pool.move, fitting, (self.stage.X, self.n, self.width, *self.columns, holes, movers, counters))
        return fitting

    def _put(self, x: Array) -> None:
        """Set the points of all columns, x of shape (width, n)."""
        device.copy_into(self.stage.X, x.T.ravel(), self.products.stream)

    def _to_device(self, array: Any) -> Any:
        return device.to_device(array, self.products.stream)

    def _flat(self, compiled: Any, items: int, arguments: tuple[Any, ...]) -> None:
        """Launch a kernel that takes an item a thread."""
        lanes = 1 if device.SIMULATED else 128
        device.launch(compiled, -(-items // lanes), (lanes, 1), arguments, self.products.stream)
