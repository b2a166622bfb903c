"""The plan: which shards a sweep consists of.

A shard is (configuration hash, combination, draw range, start range). Blocks of draws are aligned: block k of a
combination holds draws k b .. (k+1) b - 1, with b a power of two from a fixed cost model. The plan depends on the
configuration alone: not on how fast this machine is, not on how many workers there are, not on ``draws`` except for
where it ends. So raising ``draws`` appends shards. A block that an earlier limit cut short keeps its shard, and what is
missing of it becomes a further one: shards are whatever of a block's draws the run does not hold yet (``missing``), and
rows know nothing of shards.

A draw whose starts alone would take long (a landscape with one draw and many starts) is split into aligned blocks of
starts; its rows then get their column ``point`` in a merge once all of them are there (``simcore.sweep.merge``).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from simcore.errors import InputError
from simcore.sweep.config import ESTIMATED, MOST_COMBINATIONS, Configuration

if TYPE_CHECKING:
    from simcore.landscapes.base import Landscape

SHARD_SECONDS = 4.0
"""What the cost model aims at for a shard; it may be off by several times, which only moves shard boundaries."""

SPLIT_SECONDS = 30.0
"""A draw that the model puts beyond this is split over its starts."""

SHARD_ROWS = 1 << 17  # bounds the memory of a worker that holds one shard: about 90 MB without positions
_NAME = re.compile(r"c(\d{5})-d(\d{10})-(\d{10})-s(\d{10})-(\d{10})", re.ASCII)
SHARD_VALUES = 1 << 22  # numbers in the columns x and eigenvalues of one shard: 32 MiB


class Shard(NamedTuple):
    """Draws ``first_draw .. last_draw - 1`` and starts ``first_start .. last_start - 1`` of one combination.

    A tuple, since runs of 100,000 shards make, hash and sort them.
    """

    combination: int
    first_draw: int
    last_draw: int
    first_start: int
    last_start: int

    @property
    def name(self) -> str:
        """File name without its ending; sorts by combination, draw and start."""
        return (
            f"c{self.combination:05d}-d{self.first_draw:010d}-{self.last_draw:010d}"
            f"-s{self.first_start:010d}-{self.last_start:010d}"
        )

    @property
    def draws(self) -> int:
        """Number of draws."""
        return self.last_draw - self.first_draw

    @property
    def starts(self) -> int:
        """Number of starts of each draw."""
        return self.last_start - self.first_start

    @classmethod
    def from_name(cls, name: str) -> Shard | None:
        """Undo ``name``; None where the text is not one."""
        found = _NAME.fullmatch(name)
        return cls(*map(int, found.groups())) if found else None


@dataclass(frozen=True)
class Layout:
    """How a combination is cut: blocks of ``draw_block`` draws by ``start_block`` starts."""

    draw_block: int
    start_block: int
    starts: int

    @property
    def split(self) -> bool:
        """Whether the starts of a draw lie in several shards."""
        return self.start_block < self.starts


# ---- the fixed cost model ----------------------------------------------------------------------------------------
def seconds_per_draw(configuration: Configuration, landscape: Landscape) -> float:
    """Return the model's time of one draw, all its starts.

    A landscape knows the model of a start, and of how many an enumeration needs. Measured, model over truth: 0.4 to 3
    for torus fields n = 1..6, 3-spin models n = 3..12, balls n = 2..6 and Newton searches n = 1..50, on one processor
    with AVX-512.
    """
    starts = float(configuration.starts)
    if (
        configuration.method in ESTIMATED
    ):  # measured for 3-spin n = 8 to 30: moves for 10 % grow as n^3, a move as n^2.2
        return 0.5 + 2e-7 * landscape.n**5.2 * (1.0 if configuration.moves is None else configuration.moves / 1e5)
    if configuration.method == "ball":
        starts *= 3
    elif configuration.method == "enumerate":
        hits = landscape.starts_to_enumerate
        starts = max(starts, min(hits, float(configuration.max_starts or hits)))
    return 2e-3 + 20e-9 * landscape.coefficients + starts * landscape.seconds_per_start


@lru_cache(maxsize=2 * MOST_COMBINATIONS)
def layout(configuration: Configuration, combination: int) -> Layout:
    """Return how a combination is cut into shards."""
    landscape = configuration.landscape(combination)
    starts = configuration.starts
    if configuration.method in ESTIMATED:
        return Layout(1, starts, starts)  # a draw takes seconds to hours: each is kept as soon as it is done
    per_draw = seconds_per_draw(configuration, landscape)
    rows = SHARD_ROWS
    if configuration.method == "newton":
        values = landscape.n * (int(configuration.positions) + int(configuration.spectrum))
        rows = max(1, min(rows, SHARD_VALUES // values if values else rows))
        per_start = landscape.seconds_per_start
        if starts > rows or per_draw > SPLIT_SECONDS:
            block = _power_of_two(min(rows, SHARD_SECONDS / per_start), least=64)
            if block < starts:
                return Layout(1, block, starts)
    most = rows / starts if configuration.method == "newton" else float(1 << 14)
    starts = max(starts, 1)  # with a proof there may be none: a shard still is one block
    return Layout(_power_of_two(min(SHARD_SECONDS / per_draw, most)), starts, starts)


def _power_of_two(value: float, least: int = 1) -> int:
    return max(least, 1 << max(0, math.floor(math.log2(max(value, 1.0)))))


# ---- shards ------------------------------------------------------------------------------------------------------
def shard_count(configuration: Configuration, combination: int, draws: int) -> int:
    """Return how many shards an undisturbed run of the first ``draws`` draws has, without listing them."""
    cut = layout(configuration, combination)
    return -(-draws // cut.draw_block) * -(-cut.starts // cut.start_block)


def missing(configuration: Configuration, combination: int, draws: int, held: Iterable[Shard]) -> Iterator[Shard]:
    """Yield shards that cover what ``held`` lacks of a combination's first ``draws`` draws, in order.

    Shards never cross a block boundary, so however often a run was extended, each block is one shard or a few.
    """
    cut = layout(configuration, combination)
    have: dict[int, list[tuple[int, int]]] = {}  # by block of starts: ranges of draws
    for shard in held:
        have.setdefault(shard.first_start, []).append((shard.first_draw, shard.last_draw))
    ranges = {first: _merged(have.get(first, [])) for first in range(0, cut.starts, cut.start_block)}
    places = dict.fromkeys(ranges, 0)
    for first in range(0, draws, cut.draw_block):
        last = min(first + cut.draw_block, draws)
        for start, done in ranges.items():
            while places[start] < len(done) and done[places[start]][1] <= first:
                places[start] += 1
            for low, high in _gaps(first, last, done, places[start]):
                yield Shard(combination, low, high, start, min(start + cut.start_block, cut.starts))


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def _gaps(first: int, last: int, done: list[tuple[int, int]], place: int) -> Iterator[tuple[int, int]]:
    """Yield what the ranges from ``place`` on leave of first .. last; no slice of them, which may be many."""
    at = first
    for number in range(place, len(done)):
        low, high = done[number]
        if low >= last:
            break
        if low > at:
            yield at, low
        at = max(at, high)
    if at < last:
        yield at, last


def by_combination(shards: Iterable[Shard]) -> dict[int, list[Shard]]:
    """Return the shards of each combination, in order; an empty list for a combination that has none."""
    found: dict[int, list[Shard]] = defaultdict(list)
    for shard in sorted(shards):
        found[shard.combination].append(shard)
    return found


def overlapping(shards: Iterable[Shard]) -> list[tuple[Shard, Shard]]:
    """Return pairs of shards that hold the same rows."""
    pairs = []
    ordered = sorted(shards, key=lambda s: (s.combination, s.first_start, s.first_draw, s.last_draw))
    for one, two in pairwise(ordered):
        if (one.combination, one.first_start) == (two.combination, two.first_start) and two.first_draw < one.last_draw:
            pairs.append((one, two))
    return pairs


def part_of(shard: Shard, configuration: Configuration, part: tuple[int, int] | None) -> bool:
    """Whether job i of k (``part``) computes this shard: blocks are dealt in turn, whatever of them is missing."""
    if part is None:
        return True
    cut = layout(configuration, shard.combination)
    start_blocks = -(-cut.starts // cut.start_block)
    number = (
        shard.first_draw // cut.draw_block * start_blocks + shard.first_start // cut.start_block + shard.combination
    )
    return number % part[1] == part[0] - 1


def check_part(part: tuple[int, int] | str | None) -> tuple[int, int] | None:
    """Return (i, k) of ``--shard i/k``; raise ``InputError`` unless 1 <= i <= k."""
    if part is None:
        return None
    text = part if isinstance(part, str) else "/".join(map(str, part))
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"shard is {text[:40]!r}; give i/k with 1 <= i <= k, such as 2/8")
    return int(found[1]), int(found[2])


def require_shards(count: int) -> None:
    """Raise ``InputError`` for more shards than a directory should hold."""
    if count > MOST_SHARDS:
        raise InputError(
            f"the sweep has {count} shards, more than the {MOST_SHARDS} that one run directory holds; divide it"
        )


MOST_SHARDS = 1_000_000
