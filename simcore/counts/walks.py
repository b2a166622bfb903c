"""One count by the arc walk: weights, walkers, moves until the error is reached, the frame that comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from simcore.arcs.chains import LANES, Chains
from simcore.arcs.rule import ARRIVED, arc_rule
from simcore.counts import diagnostics as checks
from simcore.counts.beginnings import Beginning, beginnings, known_minima
from simcore.counts.estimator import Classes, Estimate, jackknife, log_counts
from simcore.counts.records import Minima, Record
from simcore.counts.result import Counts
from simcore.errors import InputError
from simcore.progress import current
from simcore.search.target import Target, Workers

Array = NDArray[np.float64]

PILOT_ROUNDS = 4
"""Rounds in which pilot walkers adapt the weights where no exact law gives them."""
CHUNK = 1000
"""Moves of a walker whose positions are held at a time, at most."""
LOOK, LEAST, MOST = 4, 1000, 4000
"""A run is first looked at after LOOK D^2 moves of each walker, within LEAST and MOST. After 256 moves walkers still
stood near where they began: on torus functions of 4 dimensions ln(saddles/minima) was .05 too small, and z-scores at
that look had an rms of 1.24 to 1.4 where Student's t has 1.07. After 1,000 no bias was left, and the error is mostly
below the target there already, so that few runs end because an error happened to come out small."""
PILOT = (256, 4000)
"""Limits of LOOK D^2 for the moves of a pilot walker."""
GROWTH = (1.3, 2.0)
"""Smallest and largest factor between the looks at which a run may stop."""
FEW, FEW_TOLERANCE, TOLERANCE = 7, 0.08, 0.15
"""Below FEW dimensions curves pass one another more closely, and more careful steps keep arcs from straying."""
LEVEL = 0.95


@dataclass
class Walk:
    """The count of one draw (or, in R^n, of one draw a unit) by the arc walk.

    targets : one target, or in R^n one a unit
    walkers : independent units
    """

    targets: list[Target]
    walkers: int
    threads: int
    workers: Workers
    chains: list[Chains] = field(default_factory=list)
    law: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        first = self.targets[0]
        self.landscape = first.search.landscape
        self.dimension = self.landscape.dimension
        self.free = len(self.targets) > 1
        self.law = exact_law(self.landscape)
        known = None if self.free else known_minima(first)
        self.minima = Minima(first, known)
        self.classes = self.minima.classes(self.dimension)
        if self.free:
            self.classes = Classes(self.dimension, 0, False)
        self.per_unit = LANES if self.free else 1
        starts = [self._beginnings(target, unit) for unit, target in enumerate(self.targets)]
        begin = Beginning(*(np.concatenate(part) for part in zip(*starts, strict=True)))
        self.weight, self.weights_from = self._weights(begin)
        self.chains = self._chains("walk", begin, self.weight)
        units = np.repeat(np.arange(len(self.targets)), self.per_unit) if self.free else np.arange(self.walkers)
        label = np.full(len(begin.index), -1) if self.free else self.minima.labels(*begin)
        self.record = Record(units, begin.index, self.classes, label)

    def _beginnings(self, target: Target, unit: int) -> Beginning:
        return beginnings(target, range(self.per_unit if self.free else self.walkers))

    def _chains(self, purpose: str, begin: Beginning, weight: Array) -> list[Chains]:
        """Return one chain of walkers a target; walker i's random numbers are those of stream ``purpose``:i."""
        chains = []
        share = len(begin.index) // len(self.targets)
        for number, target in enumerate(self.targets):
            rows = slice(number * share, (number + 1) * share)
            scales = self.landscape.scales
            gradient, period = scales.gradient * target.scale, self.landscape.domain.period
            tolerance = FEW_TOLERANCE if self.dimension < FEW else TOLERANCE
            rule = arc_rule(scales.length, gradient, self.dimension, period, tolerance)
            streams = [self.landscape.stream(f"{purpose}:{i}") for i in range(share)]
            address = (target.search.seed, target.draw.number)
            chains.append(
                Chains(
                    target.problem, self.dimension, begin.x[rows], begin.index[rows], begin.cost[rows], rule, weight,
                    address, streams, threads=1 if self.free else self.threads,
                )
            )  # fmt: skip
        return chains

    def _weights(self, begin: Beginning) -> tuple[Array, str]:
        """Return logarithms of Metropolis weights that are flat in the index, and where they come from."""
        if self.law is not None and len(self.law) == self.dimension + 1:
            return -self.law["log_mean_count"].to_numpy(float), "exact law"
        if not self.landscape.domain.compact and not self.free:
            return np.zeros(self.dimension + 1), "none"
        weight = np.zeros(self.dimension + 1)
        chains = self._chains("pilot", begin, weight)
        tally = np.zeros((self.classes.number,) * 2)
        for _ in range(PILOT_ROUNDS):
            for chain in chains:
                chain.reweight(weight)
            moves = [chain.advance(self._look(PILOT) // PILOT_ROUNDS) for chain in chains]
            before = np.concatenate([m.before.ravel() for m in moves])
            after = np.concatenate([np.where(m.status == ARRIVED, m.index, m.before).ravel() for m in moves])
            np.add.at(tally, (before, after), 1.0)
            found = log_counts(tally, self.classes._replace(known=0))
            seen = np.isfinite(found)
            weight = np.where(seen, -found, -found[seen].min())
        return weight, "pilot"

    def first_look(self) -> int:
        """Return the moves of each walker after which a run is first looked at."""
        return self._look(PILOT if self.free else (LEAST, MOST))

    def _look(self, limits: tuple[int, int]) -> int:
        moves = min(max(LOOK * self.dimension**2, limits[0]), limits[1])
        return moves // (4 if self.free else 1)  # in R^n a unit is 24 walkers

    def advance(self, moves: int) -> None:
        """Make ``moves`` more moves with every walker."""
        while moves > 0:
            step = min(moves, CHUNK)
            made = self._advance(step)
            rows = list(made)
            joined = type(rows[0])(*(np.concatenate(part) for part in zip(*rows, strict=True)))
            labels = np.full(joined.status.shape, -1, np.int64)
            if not self.free:
                arrived = joined.status == ARRIVED
                labels[arrived] = self.minima.labels(
                    joined.x[arrived], joined.index[arrived].astype(np.int64), joined.cost[arrived]
                )
            self.record.add(joined, labels)
            current().step(step * len(self.record.units))
            moves -= step

    def _advance(self, moves: int) -> list[Any]:
        if len(self.chains) > 1:
            return self.workers.map(lambda chain: chain.advance(moves), self.chains)
        return [chain.advance(moves, self.workers.map) for chain in self.chains]

    def look(self) -> tuple[Estimate, dict[str, Any]]:
        """Return the estimate and the diagnostics of the moves made so far."""
        tallies = self.record.tallies()
        with np.errstate(invalid="ignore", divide="ignore"):
            estimate = jackknife(tallies, self.classes)
        history = self.record.history()
        series = np.minimum(history, self.dimension - history) if self.classes.mirrored else history
        arrivals, first = checks.minima_arrivals(self.record.visits(), self.minima.table.count)
        new = first[self.minima.known :]
        late = bool((new[new < self.record.moves] >= self.record.moves // 2).any())
        closed = bool((arrivals >= checks.ARRIVALS).all()) and not late and len(arrivals) > 0
        coverage = 1.0 - float((arrivals == 1).sum()) / max(1, int(arrivals.sum()))
        moves = int(self.record.moves * len(self.record.units))
        found = {
            "method": "walk",
            "walkers": self.walkers,
            "moves": moves,
            "round_trips": checks.round_trips(history, self.classes, estimate.log_count),
            "rhat": checks.rank_rhat(series),
            "disagreement": float("nan") if self.free else checks.disagreement(tallies, self.classes),
            "minima_met": int((arrivals > 0).sum()),
            "minima_known": self.minima.known,
            "minima_closed": None if self.free else closed,
            "minima_coverage": coverage if int(arrivals.sum()) else float("nan"),
            "weights": self.weights_from,
            "evaluations": sum(chain.evaluations for chain in self.chains),
            "log_saddles_over_minima": estimate.log_ratio,
            "log_saddles_over_minima_se": estimate.log_ratio_se,
            **self.record.summary(),
            "mean_cost_z": self._cost_z(),
        }
        if self.alone():
            reasons = [] if moves >= 1000 else [f"{moves} moves from the only point found, fewer than 1000"]
        else:
            reasons = checks.judge(found, estimate)
        return estimate, {"trusted": not reasons, "reasons": reasons, **found}

    def alone(self) -> bool:
        """Whether all walkers stand at one and the same point and none ever left it: a function with one point."""
        if self.free or self.record.distinct_moves:
            return False
        places, index, _ = self.chains[0].state()
        return bool(
            (index == index[0]).all() and (np.abs(places - places[0]) < 1e-6 * self.landscape.scales.length).all()
        )

    def _cost_z(self) -> list[float] | None:
        """Return (mean cost of an index - law's)/law's standard deviation, by index; None without a law.

        The mean is over proposals that arrived, one function's: its distance from the law's is of order 1/sqrt(N_k) and
        more, as points of one function are not independent. It shows a walk that stays in one region.
        """
        if self.law is None or len(self.law) != self.dimension + 1:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.record.cost_sum / self.record.cost_number
            z = (mean - self.law["mean_cost"].to_numpy()) / self.law["sd_cost"].to_numpy()
        return [float(v) for v in z]

    def result(self, estimate: Estimate, found: dict[str, Any]) -> Counts:
        """Return the count in the shape that users see."""
        frame, total, total_se = self._alone_counts() if self.alone() else self._counts(estimate)
        arrivals, _ = checks.minima_arrivals(self.record.visits(), self.minima.table.count)
        minima = pd.DataFrame(
            {
                "cost": self.minima.table.cost.copy(),
                "arrivals": arrivals,
                "known": np.arange(len(arrivals)) < self.minima.known,
                "x": [row.copy() for row in self.minima.table.x],
            }
        )
        met = minima[(minima.arrivals > 0) | minima.known].sort_values("cost", ignore_index=True)
        return Counts(frame, total, total_se, met, found)

    def _counts(self, e: Estimate) -> tuple[pd.DataFrame, float, float]:
        absolute = self.classes.known > 0 and not self.free
        with np.errstate(over="ignore", invalid="ignore"):
            count = np.exp(e.log_count) if absolute else np.full(len(e.log_count), np.nan)
            if absolute:
                count = np.where(np.isfinite(e.log_count), count, 0.0)
            se = count * e.log_count_se
            factor = np.exp(stats.t.ppf(0.5 + LEVEL / 2, self.walkers - 1) * e.log_count_se)
            frame = counts_frame(count, se, count / factor, count * factor, e.log_relative, e.log_relative_se)
            total = math.exp(e.log_total) if absolute else math.nan
        return frame, total, total * e.log_total_se

    def _alone_counts(self) -> tuple[pd.DataFrame, float, float]:
        index = int(self.chains[0].state()[1][0])
        count = (np.arange(self.dimension + 1) == index).astype(float)
        zero = np.zeros(self.dimension + 1)
        with np.errstate(divide="ignore"):
            relative = np.log(count) if index == 0 else np.full(len(count), np.nan)
        return counts_frame(count, zero, count, count, relative, np.where(np.isfinite(relative), 0.0, np.nan)), 1.0, 0.0


def counts_frame(count: Array, se: Array, low: Array, high: Array, log_ratio: Array, log_ratio_se: Array) -> Any:
    """Return the DataFrame ``Counts.counts``, a row an index from 0 on."""
    return pd.DataFrame(
        {
            "morse_index": np.arange(len(count), dtype=np.int32),
            "count": count,
            "se": se,
            "low": low,
            "high": high,
            "log_ratio": log_ratio,
            "log_ratio_se": log_ratio_se,
        }
    )


def exact_law(landscape: Any) -> pd.DataFrame | None:
    """Return the landscape's exact law where one is known, else None."""
    try:
        return landscape.expected_counts()
    except InputError:
        return None
