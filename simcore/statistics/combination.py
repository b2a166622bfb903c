"""The scientific audit of one combination of an ``enumerate`` or ``ball`` run, gathered shard by shard.

Euler sums, and from 30 complete draws up every count and mean cost against the exact law, by the tests of
``simcore.statistics.audit``; ``bound`` is the p-value below which a test of a whole run alarms.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError
from simcore.statistics.audit import AUDIT_DRAWS, FALSE_ALARM, Comparison, compare

if TYPE_CHECKING:
    import pandas as pd

    from simcore.landscapes.base import Landscape

Array = NDArray[np.float64]


@dataclass
class Audit:
    """The audit of one combination."""

    landscape: str
    draws: int
    complete: int
    euler_right: int | None
    certified_fraction: float
    tests: list[Comparison] = field(default_factory=list)
    note: str = ""
    proved: int = 0

    def line(self, bound: float) -> str:
        """Return one line; ``bound`` is the p-value below which a test alarms."""
        euler = "" if self.euler_right is None else f", Euler sum right in {self.euler_right}"
        text = f"{self.landscape}: {self.draws} draws, {self.complete} complete"
        text += (f", {self.proved} proved" if self.proved else "") + euler
        text += f", {100 * self.certified_fraction:.2f} % of points certified"
        if self.tests:
            worst = min(self.tests, key=lambda test: test.p)
            text += f"; {len(self.tests)} tests against the exact law, worst {worst.what}: "
            text += f"{worst.measured:.6g} against {worst.exact:.6g}, z = {worst.z:+.2f}, p = {worst.p:.2g}"
            text += " ALARM" if worst.p < bound else ""
            text += f"; {self.power()}"
        return text + (f"; {self.note}" if self.note else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as a JSON-safe dictionary."""
        return {**self.__dict__, "tests": [asdict(test) for test in self.tests]}

    def power(self) -> str:
        """Return in words what the comparisons of counts would find: the best of them."""
        losses = [test.found for test in self.tests if test.found == test.found]
        if not losses:
            return "so few draws would find no loss of points for sure"
        most = max(test.power_5 for test in self.tests if test.power_5 == test.power_5)
        loss = f"{100 * min(losses):.0f} %" if min(losses) > 0.1 else f"{100 * min(losses):.2g} %"
        chance = f"probability {most:.2g}" if most >= 0.01 else "probability below 0.01"
        return f"a loss of {loss} of points would be found 9 times in 10, of 5 % with {chance}"


@dataclass
class Counts:
    """What the audit needs of one combination, gathered shard by shard: per draw and index, points and summed costs."""

    points: Array
    costs: Array
    audits: list[pd.DataFrame] = field(default_factory=list)
    certified: int = 0
    total: int = 0

    @classmethod
    def empty(cls, draws: int, dimension: int) -> Counts:
        """Return counts of no points."""
        return cls(np.zeros((draws, dimension + 1)), np.zeros((draws, dimension + 1)))

    def add(self, rows: pd.DataFrame) -> None:
        """Add a shard's points: columns draw, index, cost, certified."""
        draws, indices = self.points.shape
        place = rows["draw"].to_numpy() * indices + rows["morse_index"].to_numpy()
        self.points += np.bincount(place, minlength=draws * indices).reshape(draws, indices)
        self.costs += np.bincount(place, rows["cost"].to_numpy(), minlength=draws * indices).reshape(draws, indices)
        self.certified += int(rows["certified"].sum())
        self.total += len(rows)


def audit(landscape: Landscape, counts: Counts, name: str, *, combinations: int = 1) -> Audit:
    """Compare one combination's counts with its exact law; counts that can't be judged say why.

    ``combinations`` : how many of the run share the bound, for the power that is stated.
    """
    import pandas as pd

    audits = pd.concat(counts.audits, ignore_index=True)
    complete = audits["complete"].to_numpy(dtype=bool)
    expected = pd.to_numeric(audits["euler_expected"]).to_numpy(dtype=float)
    euler = None
    if not np.isnan(expected).any():
        euler = int((audits["euler_sum"].to_numpy(dtype=float) == expected).sum())
    result = Audit(name, len(audits), int(complete.sum()), euler, counts.certified / max(counts.total, 1))
    if "proved" in audits:
        result.proved = int(audits["proved"].astype(bool).sum())
    if not complete.all():
        missing = len(audits) - result.complete
        result.note = f"{missing} draws are incomplete, so counts are biased low: they are not judged"
    elif len(audits) < AUDIT_DRAWS:
        result.note = f"too few draws to be judged, {AUDIT_DRAWS} are needed"
    else:
        law = _law(landscape)
        if law is None:
            result.note = "no exact law is known"
        else:
            result.tests = compare(counts.points, counts.costs, law, _volumes(audits), families=combinations)
    return result


def _law(landscape: Landscape) -> pd.DataFrame | None:
    try:
        return landscape.expected_counts(finite_features=landscape.asymptotic)
    except InputError:
        return None


def _volumes(audits: pd.DataFrame) -> Array:
    """Return the volume that each draw's counts belong to: a ball's, or 1 for a whole domain."""
    if "volume" in audits.columns:
        return audits["volume"].to_numpy(dtype=float)
    return np.ones(len(audits))


def bound(audits: list[Audit]) -> float:
    """Return the p-value below which a test of these audits alarms."""
    return FALSE_ALARM / max(1, sum(len(one.tests) for one in audits))
