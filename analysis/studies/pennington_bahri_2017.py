"""Index against energy at critical points of small index of tanh networks: does it follow (E - E_c)^{3/2}?

Pennington and Bahri (2017): random-matrix theory of a network's Hessian, the free sum of a Wishart and a Wigner matrix
(``simcore.theory.wishart_wigner``), predicts that for critical points of small index the index fraction rises as
(E - E_c)^{3/2} above a critical energy E_c, and they observe minimisers at about E = (1 - phi)^2 / 2, phi = parameters
/ (samples times outputs). Their networks have one hidden layer of tanh units and equal widths n = 16, random normal
inputs and random normal targets; E = 1/2 is the energy of a network that says 0.

The law is one of the onset. So only points of index fraction above 0 and up to ``LOW`` are fitted, and the reference is
what the same fit finds on the theory's own curve at the same index fractions: there the exponent is 3/2 only as the
range shrinks (1.49 at a hundredth of E_c above it), and well below it over this one, the more so the larger phi is. The
rival is 3/2 beyond the onset.

Here E = 1/(2 N n) sum |o - y|^2 over N samples, n = 5 (quick) or 16 (full), and every function is a new draw of inputs
and targets. The draw is the statistical unit. Energies fluctuate from draw to draw at these sizes, which would smear
the onset, so index fractions are fitted against E - e_d, where e_d is the mean energy of the draw's own minimisers,
found by descents apart; figures and E_c are moved back by the mean of e_d. That minimisers lie at about
(1 - phi)^2 / 2 is an observation at n = 16, so it is judged there and only measured at n = 5. Networks have biases and
a small L2 penalty (0.001, not counted in E): without it hardly any start ends at a critical point. At n = 16 a network
has 544 parameters and a start takes some 300 eigendecompositions: the 900 starts of the full size are more than a day
of one core.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import least_squares

from simcore.networks.mlp import MLP
from simcore.statistics.intervals import of_draws
from simcore.theory.wishart_wigner import critical_energy, index_fraction

from .. import canvas
from ..estimates import Estimate, mean
from ..writers import Column, Table
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("pennington_bahri_2017")
PAPER_SIZE = 16
SIZE = {False: 5, True: PAPER_SIZE}
RATIOS = (0.25, 0.5, 0.75)
DRAWS = {False: 24, True: 50}
STARTS = {False: 24, True: 6}
MINIMA = {False: 4, True: 2}
"""Descents per draw."""
L2 = 1e-3
LOW = 0.1
"""Index fraction up to which points are fitted: the law is one of small index."""
ONSET = 1e-3
"""(E - E_c)/E_c at which the theory's own exponent is taken."""
SOURCE = "Pennington & Bahri (2017)"
SMALL = "simcore's networks are small, their points are hits of a search, not counts"


def measure(full: bool, out: Path) -> Result:
    """Search networks of each ratio phi for critical points and, apart, for minimisers."""
    found = {phi: Found(phi, *points(SIZE[full], phi, full, out / "runs")) for phi in RATIOS}
    claims = [claim for f in found.values() for claim in ratio_claims(f, full)]
    return Result(ratio_table(found, SIZE[full]), ratio_figure(found), claims)


def network(n: int, phi: float) -> dict[str, Any]:
    """Return the network whose number of parameters is phi times samples times outputs, to rounding."""
    samples = round(2 * (n + 1) / phi)
    data = {"kind": "gaussian", "spectrum": [1.0] * n, "samples": samples, "targets": "normal", "outputs": n}
    return {"name": "mlp", "widths": [n, n, n], "activation": "tanh", "loss": "mse", "data": data, "l2": L2}


def points(n: int, phi: float, full: bool, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return distinct critical points of any index and minimisers: draw, index fraction, energy."""
    from simcore import load

    table = network(n, phi)
    landscape = MLP(**{k: v for k, v in table.items() if k != "name"})
    frames = []
    for name, starts, law, method in (
        ("saddles", STARTS[full], "mixed", "levenberg_marquardt"),
        ("minima", MINIMA[full], "gaussian_0.3", "saddle_free_newton"),
    ):
        run = compute(
            out / f"{name}-{phi:g}", [table], seed=SEED, draws=DRAWS[full], method="newton", starts=starts,
            start_law=law, positions=True, solver={"method": method, "max_iterations": 300},
        )  # fmt: skip
        rows = load(run)
        kept = rows[rows.status == "critical"].drop_duplicates(["draw", "point"]).reset_index(drop=True)
        energy = np.zeros(len(kept))
        for draw in kept.draw.unique():
            mine = np.flatnonzero(kept.draw == draw)
            function = landscape.draw(seed=SEED, draw=int(draw))
            energy[mine] = function.data_cost(np.array(list(kept.x.iloc[mine]))) / n
        frames.append(kept.assign(energy=energy, fraction=kept["morse_index"] / landscape.n))
        frames[-1].attrs["statuses"] = rows.status.astype(str).value_counts().to_dict()
    return frames[0], frames[1]


class Found:
    """One ratio: critical points and minimisers, and both as tables of one row a draw, which intervals go over."""

    def __init__(self, phi: float, saddles: pd.DataFrame, minima: pd.DataFrame) -> None:
        self.phi, self.saddles, self.minima = phi, saddles, minima
        floor = minima[minima["morse_index"] == 0].groupby("draw").energy.mean()
        small = saddles[(saddles.fraction > 0) & (saddles.fraction <= LOW)]
        self.left_out = int((~small.draw.isin(floor.index)).sum())
        floor = floor[floor.index.isin(small.draw)]
        draws = [int(draw) for draw in floor.index]
        self.floor = floor.to_numpy()
        self.small = small[small.draw.isin(draws)]
        rows = [saddles[saddles.draw == draw] for draw in draws]
        self.padded = np.full((len(draws), max(map(len, rows)), 2), np.nan)  # (draws, points, fraction and energy)
        for row, padded, lowest in zip(rows, self.padded, self.floor, strict=True):
            padded[: len(row)] = np.column_stack([row.fraction, row.energy - lowest])

    def exponent(self, level: float = 0.95) -> Estimate:
        """Return the exponent of the fit to points of small index, interval over draws."""
        return of_draws(lambda t: float(fitted(*flat(t))[2]), self.padded, level=level, kind="slope")

    def critical(self, level: float = 0.95) -> Estimate:
        """Return the critical energy of the fit, interval over draws."""
        return of_draws(
            lambda t, e: float(fitted(*flat(t))[1] + e.mean()), self.padded, self.floor, level=level, kind="mean"
        )

    def same_fit(self) -> np.ndarray:
        """Return (amplitude, E_c, exponent) of the same fit to the theory's curve at these points' index fractions."""
        fraction = flat(self.padded)[0]
        return fitted(fraction, model_energies(self.phi, fraction))

    def lowest(self, level: float = 0.95) -> Estimate:
        """Return the mean energy of minimisers, interval over draws."""
        return mean(self.floor, level=level)


def flat(padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return index fractions and energies of all draws' points of small index."""
    rows = padded.reshape(-1, 2)
    rows = rows[(rows[:, 0] > 0) & (rows[:, 0] <= LOW)]  # nan, the padding, is not
    return rows[:, 0], rows[:, 1]


def fitted(fraction: np.ndarray, energy: np.ndarray, power: float | None = None) -> np.ndarray:
    """Return (amplitude, E_c, exponent) of fraction = amplitude (E - E_c)_+^exponent by least squares.

    With ``power`` the exponent is that. All three are nan for fewer than four points.
    """
    if len(energy) < 4:
        return np.full(3, np.nan)
    lowest, highest = float(energy.min()), float(energy.max())
    low, high = (0.3, 5.0) if power is None else (power - 1e-9, power + 1e-9)
    bounds = ([0.01, lowest - 0.3, low], [50.0, highest, high])

    def misfit(p: np.ndarray) -> np.ndarray:
        return p[0] * np.maximum(energy - p[1], 0.0) ** p[2] - fraction

    return least_squares(misfit, [2.0, lowest - 0.01, 1.5], bounds=bounds).x


@cache
def model_curve(phi: float) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and index fractions of the random matrices' curve from E_c up, dense at its onset."""
    lowest = critical_energy(phi)
    energy = lowest + np.linspace(0, 1, 121) ** 2 * max(1.0, 20 * lowest)
    return energy, np.array([index_fraction(float(e), phi) for e in energy])


def model_energies(phi: float, fraction: np.ndarray) -> np.ndarray:
    """Return the energies at which the random matrices' curve has these index fractions."""
    energy, curve = model_curve(phi)
    return np.interp(fraction, curve, energy)


def onset_exponent(phi: float) -> float:
    """Return the local exponent d ln(index fraction) / d ln(E - E_c) of the random matrices' curve at its onset."""
    lowest = critical_energy(phi)
    above = lowest * ONSET * np.array([0.5, 2.0])
    low, high = (index_fraction(lowest + float(a), phi) for a in above)
    return float(np.log(high / low) / np.log(above[1] / above[0]))


def ratio_claims(f: Found, full: bool) -> list[Claim]:
    """The exponent, the critical energy, and the energy of minimisers."""
    words, phi = f"phi = {f.phi:g}", f.phi
    (_, critical, exponent), onset = (float(v) for v in f.same_fit()), onset_exponent(phi)
    lowest = 0.5 * (1 - phi) ** 2

    def at_onset(level: float) -> Estimate:
        return Estimate(onset, 0.0, min(1.5, onset), max(1.5, onset), level, kind="bound")

    return [
        Claim(
            f"{words}: the random-matrix curve rises as the 3/2 power: its exponent at (E - E_c)/E_c = {ONSET:g}", 1.5,
            f"3/2, {SOURCE}, abstract", at_onset, 0.05,
        ),
        Claim(
            f"{words}, index fraction up to {LOW:g}: the index rises above E_c as in the theory: fitted exponent",
            exponent, f"the same fit on simcore.theory.wishart_wigner; {SOURCE}", f.exponent,
            0.5 * abs(exponent - 1.5), 1.5,
            because=f"{SMALL}: their energies scatter, which flattens the fitted curve.",
        ),
        Claim(
            f"{words}: that fit begins at the theory's critical energy E_c", critical,
            "the same fit on simcore.theory.wishart_wigner", f.critical,
            0.5 * abs(lowest - critical), lowest,
            because="The minimisers of these networks lie far above the model's E_c, which takes the two parts of the "
            "Hessian for free of each other; the index of real ones starts to rise at their minimisers.",
        ),
        minimiser_claim(f, full),
    ]  # fmt: skip


def minimiser_claim(f: Found, full: bool) -> Claim:
    """The energy of minimisers: judged at the paper's n alone, since the paper observed it there."""
    phi, n = f.phi, SIZE[full]
    lowest, linear = 0.5 * (1 - phi) ** 2, 0.5 * (1 - phi)
    words = f"phi = {phi:g}, n = {n}: mean energy of minimisers"
    if n != PAPER_SIZE:
        return measurement(
            f"{words} (at n = {PAPER_SIZE} the paper observed about (1 - phi)^2 / 2 = {lowest:.4g})",
            f"{SOURCE}, abstract", f.lowest,
        )  # fmt: skip
    return Claim(
        f"{words} is about (1 - phi)^2 / 2", lowest, f"observed by {SOURCE}, abstract", f.lowest,
        0.5 * abs(linear - lowest), linear,
        because="The paper's networks have neither biases nor a penalty; these have both and fit their samples less "
        "well.",
    )  # fmt: skip


def ratio_table(found: dict[float, Found], n: int) -> Table:
    """Return a row a ratio: the fit, the fit of the onset alone, the model's numbers."""
    rows, notes = [], []
    for phi, f in found.items():
        rows.append(
            {"phi": phi, "samples": network(n, phi)["data"]["samples"], "draws": len(f.floor),
             "points": len(f.saddles), "small": len(f.small), "power": f.exponent(),
             "model": float(f.same_fit()[2]), "onset": onset_exponent(phi), "critical": f.critical(),
             "fitted_critical": float(f.same_fit()[1]), "model_critical": critical_energy(phi),
             "minima": len(f.minima), "energy": f.lowest(),
             "predicted": 0.5 * (1 - phi) ** 2}
        )  # fmt: skip
        for name, frame in (("any index", f.saddles), ("minimisers", f.minima)):
            counts = ", ".join(f"{c} {s}" for s, c in frame.attrs["statuses"].items() if c)
            notes.append(f"phi = {phi:g}, {name}: {counts}.")
        if f.left_out:
            notes.append(f"phi = {phi:g}: {f.left_out} points of draws without a minimiser are in no fit.")
    columns = [
        Column("phi", "phi", "$\\varphi$"), Column("samples", "samples"), Column("draws", "draws"),
        Column("points", "critical points", "points"), Column("small", f"index fraction up to {LOW:g}", "small"),
        Column("power", "their exponent"), Column("model", "random matrices, same fit", "model", digits=3),
        Column("onset", "at the onset", "onset", digits=4), Column("critical", "E_c", "$E_c$"),
        Column("fitted_critical", "random matrices, same fit", "model", digits=3),
        Column("model_critical", "exact", "exact", digits=3), Column("minima", "minimisers"),
        Column("energy", "their energy"), Column("predicted", "(1 - phi)^2 / 2", "$(1-\\varphi)^2/2$"),
    ]  # fmt: skip
    below = sum(int((f.saddles.energy < critical_energy(phi)).sum()) for phi, f in found.items())
    reasons = [
        f"Networks {n}-{n}-{n} (the paper: 16-16-16) with biases, L2-regularised ({L2:g}); energies without the "
        "penalty. Errors: one standard error between draws.",
        f"Exponents: of the fit to points of index fraction up to {LOW:g}; of the same fit to the random matrices' "
        "curve at the same index fractions; of that curve at its onset, where it is 3/2.",
        f"Networks are small, their points are hits of a search, not counts, and the model takes the two matrices for "
        f"free ({below} of {sum(len(f.saddles) for f in found.values())} points lie below its E_c).",
    ]
    return Table(columns, rows, "Index against energy in tanh networks on random data", [*reasons, *notes])


def ratio_figure(found: dict[float, Found]) -> Figure:
    """Return index fraction against energy, a panel a ratio: points, fits, and the random matrices' curve."""
    with canvas.style():
        figure, axes = canvas.grid(1, len(found), width=2.7, height=2.7, sharey=True)
        for axis, f in zip(axes[0], found.values(), strict=True):
            _panel(axis, f)
        axes[0, 0].set_ylabel("index fraction $k / P$")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes, columns=4)
    return figure


def _panel(axis: Axes, f: Found) -> None:
    fraction, energy = flat(f.padded)
    shift = float(f.floor.mean())
    every = f.saddles
    axis.plot(every.energy, every.fraction, ".", color="#b5b5b5", markersize=2, label="critical points", zorder=0)
    words = f"up to {LOW:g}, shifted"
    axis.plot(energy + shift, fraction, **{**canvas.DISTINCT, "markersize": 2}, label=words)
    low = f.lowest()
    axis.errorbar(
        [low.value], [0.0], xerr=[[low.value - low.low], [low.high - low.value]],
        **{**canvas.HITS, "markersize": 5}, label="minimisers, mean", zorder=4,
    )  # fmt: skip
    for power, look, label in ((None, canvas.COIN, "fit"), (1.5, canvas.GOE, "fit, exponent 3/2")):
        amplitude, start, exponent = fitted(fraction, energy, power)
        e = np.linspace(start, energy.max(), 200)
        e = e[e + shift >= 0]  # a fitted onset may lie below 0, an energy may not
        axis.plot(e + shift, amplitude * (e - start) ** exponent, **{**look, "color": "#444444"}, label=label)
    e = np.linspace(0, float(every.energy.max()), 120)
    model = [index_fraction(v, f.phi) for v in e]
    axis.plot(e, model, **canvas.EXACT, label="random matrices, $P$ large", zorder=1)
    axis.axvline(0.5 * (1 - f.phi) ** 2, color="#999999", linewidth=0.7, label=r"$(1-\varphi)^2/2$", zorder=0)
    axis.set_xlabel("energy per output $E$")
    axis.set_title(rf"$\varphi = {f.phi:g}$")


STUDY = Study(
    "pennington_bahri_2017",
    "For critical points of small index of a network the number of negative eigenvalues rises as the 3/2 power of the "
    "energy above a critical one.",
    "Pennington & Bahri (2017).",
    measure,
)
