"""Walkers side by side: their state, their random numbers, and the threads and kernels that advance them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from simcore.arcs import plain
from simcore.arcs.rule import Rule
from simcore.backends import cpu
from simcore.backends.problems import Array
from simcore.progress import share

Item = TypeVar("Item")
Result = TypeVar("Result")
Map = Callable[[Callable[[Item], Result], Iterable[Item]], "list[Result]"]

LANES = 24
GROUP = 8
_WORK = 1_000_000
"""Passes times n^2 of one call of the kernel: a fraction of a second, so that Ctrl-C is heard."""


class Moves(NamedTuple):
    """Moves of W walkers, all (W, M): how the arc ended, the index before, what was proposed and whether it was
    accepted. A move that failed proposes to stay: index and cost are the walker's own, x is not a number."""

    status: NDArray[np.int8]  # codes of simcore.arcs.rule
    before: NDArray[np.int16]
    index: NDArray[np.int16]  # type: ignore[assignment]
    accepted: NDArray[np.bool_]
    cost: Array
    x: Array  # (W, M, n)


class Chains:
    """W independent walkers on the critical points of one function.

    Parameters
    ----------
    problem : a backend's problem (``simcore.backends.problems``)
    dimension : int
        D of the domain.
    x, index, cost : arrays (W, n), (W,), (W,)
        Critical points, to rounding, at which the walkers begin.
    rule : Rule
    log_weight : array (D + 1,)
        Logarithms of the Metropolis weights by index.
    seed, draw : (int, int)
        With ``streams`` they address the random numbers.
    streams : W words of 32 bits, one a walker
    threads : int
    compiled : bool
        Whether a kernel is used where the problem has one; else NumPy.
    """

    def __init__(
        self,
        problem: Any,
        dimension: int,
        x: Array,
        index: NDArray,
        cost: Array,
        rule: Rule,
        log_weight: Array,
        address: tuple[int, int],
        streams: Sequence[int],
        *,
        threads: int = 1,
        compiled: bool = True,
    ) -> None:
        self.moves = 0
        self.evaluations = 0
        self._rule, self._weight = rule, np.ascontiguousarray(log_weight, np.float64)
        self._problem, self._dimension, self._address = problem, dimension, address
        self._streams = [int(word) for word in streams]
        self._states = [
            plain.State(*each) for each in zip(np.array(x, float), index.tolist(), cost.tolist(), strict=True)
        ]
        self._threads = threads
        self._kernel = cpu.in_lanes(problem) if compiled else None
        self._tiles: list[_Tile] = []
        if self._kernel is not None:
            for rows in _shares(len(self._states), threads):
                self._tiles.append(_Tile(self, rows))

    def state(self) -> tuple[Array, NDArray[np.int64], Array]:
        """Return where the walkers are: x (W, n), index (W,), cost (W,)."""
        return (
            np.array([s.x for s in self._states]),
            np.array([s.index for s in self._states]),
            np.array([s.cost for s in self._states]),
        )

    def reweight(self, log_weight: Array) -> None:
        """Use other weights from the next move on."""
        self._weight = np.ascontiguousarray(log_weight, np.float64)

    def advance(self, moves: int, run: Map | None = None) -> Moves:
        """Make ``moves`` more moves with every walker and return them; ``run`` maps calls over threads."""
        walkers, n = len(self._states), len(self._states[0].x)
        before = np.array([s.index for s in self._states], np.int64)
        if self._kernel is None:
            made = self._plain(moves)
        else:
            made = Moves(
                np.empty((walkers, moves), np.int8),
                np.empty((walkers, moves), np.int16),
                np.empty((walkers, moves), np.int16),
                np.empty((walkers, moves), np.bool_),
                np.empty((walkers, moves)),
                np.empty((walkers, moves, n)),
            )
            work = [(tile, made) for tile in self._tiles]
            if run is None and self._threads > 1 and len(work) > 1:
                share(_advance_tile, work, self._threads)
            else:
                (run or _run)(_advance_tile, work)
        self.moves += moves
        index = before
        for m in range(moves):
            made.before[:, m] = index
            index = np.where(made.accepted[:, m], made.index[:, m], index)
        return made

    def _plain(self, moves: int) -> Moves:
        from simcore import backends

        numbers = range(self.moves, self.moves + moves)
        seed, draw = self._address
        walkers = [
            plain.walker(self._problem.domain, state, numbers, self._weight, self._rule, (seed, stream, draw))
            for state, stream in zip(self._states, self._streams, strict=True)
        ]

        def evaluate(x: Array) -> tuple[Array, Array, Array]:
            self.evaluations += len(x)
            return backends.get("cpu").evaluate(self._problem, x)

        results = plain.advance(evaluate, self._problem.domain, walkers)
        self._states = [state for state, _ in results]
        rows = [[tuple(move) for move in done] for _, done in results]
        columns = [np.array([[move[c] for move in done] for done in rows]) for c in range(5)]
        status, index, accepted, cost, x = columns
        return Moves(
            status.astype(np.int8), np.empty(status.shape, np.int16), index.astype(np.int16), accepted, cost, x
        )


def _run(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    return [function(item) for item in items]


def _advance_tile(work: tuple[_Tile, Moves]) -> None:
    tile, made = work
    tile.advance(made)


def _shares(walkers: int, threads: int) -> list[slice]:
    """Cut the walkers into tiles: as few as hold them, but one a thread where each has a group of lanes."""
    tiles = max(-(-walkers // LANES), min(threads, -(-walkers // GROUP)))
    size = -(-walkers // tiles)
    size = min(LANES, -(-size // GROUP) * GROUP)
    return [slice(begin, min(begin + size, walkers)) for begin in range(0, walkers, size)]


class _Tile:
    """Up to 24 walkers of ``Chains`` as the kernel keeps them."""

    def __init__(self, chains: Chains, rows: slice) -> None:
        from simcore.arcs import walk

        states = chains._states[rows]
        n = len(states[0].x)
        self._chains, self._rows, self._n = chains, rows, n
        self._points = np.zeros((walk.VECTORS, n * LANES))
        self._numbers = np.zeros((walk.NUMBERS, LANES))
        self._counts = np.zeros((walk.COUNTS, LANES), np.int64)
        self._counts[walk.MODE] = walk.IDLE
        self._counts[walk.MOVE, len(states) :] = 2**62  # lanes without a walker
        for lane in range(LANES):
            state = states[min(lane, len(states) - 1)]
            for row in (walk.POINT, walk.BASE, walk.ORIGIN):
                self._points[row, lane::LANES] = state.x
            self._counts[walk.INDEX, lane] = state.index
            self._numbers[walk.COST, lane] = state.cost
        streams = chains._streams[rows]
        self._streams = np.array(streams + [0] * (LANES - len(streams)), np.uint32)

    def advance(self, made: Moves) -> None:
        """Make the moves of ``made`` and fill its rows."""
        from simcore.arcs import walk

        chains, rows = self._chains, self._rows
        count, moves = made.status[rows].shape
        out: tuple[Any, ...] = (
            np.empty((LANES, moves), np.int8),
            np.empty((LANES, moves), np.int16),
            np.empty((LANES, moves), np.bool_),
            np.empty((LANES, moves)),
            np.empty((LANES, moves, self._n)),
        )
        word: Any = np.uint32
        seed, draw = chains._address
        address = (word(seed % 2**32), word(seed // 2**32), word(draw))
        passes = max(64, _WORK // self._n**2)
        rule = tuple(float(number) for number in chains._rule)
        left = 0
        while left == 0:
            left, evaluated = walk.walk(
                chains._kernel, chains._dimension, passes, chains.moves + moves, chains.moves, chains._weight, rule,
                address, self._streams, self._points, self._numbers, self._counts, out,
            )  # fmt: skip
            chains.evaluations += evaluated
        targets: tuple[Any, ...] = (made.status, made.index, made.accepted, made.cost, made.x)
        for target, source in zip(targets, out, strict=True):
            target[rows] = source[:count]
        for lane in range(count):
            chains._states[rows.start + lane] = plain.State(
                self._points[walk.ORIGIN, lane::LANES].copy(),
                int(self._counts[walk.INDEX, lane]),
                float(self._numbers[walk.COST, lane]),
            )
