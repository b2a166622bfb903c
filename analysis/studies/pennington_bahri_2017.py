"""Index against energy in small tanh networks: does it follow (E - E_c)^{3/2}, and where do minimisers lie?

Pennington and Bahri (2017): random-matrix theory of a network's Hessian, the sum of a Wishart and a Wigner matrix,
predicts that the index fraction of critical points rises as |E - E_c|^{3/2} above a critical energy, and that
minimisers lie at E = (1 - phi)^2 / 2, phi = parameters / (samples times outputs). Their networks have one hidden
layer of tanh units and equal widths n = 16, random normal inputs and random normal targets; E = 1/2 is the energy of
a network that says 0.

Here E = 1/(2 N n) sum |o - y|^2 over N samples; the quick version takes n = 5. Networks have biases and a small L2
penalty (0.001, not counted in E): without it hardly any start ends at a critical point. The law is asymptotic in n and
holds just above E_c, where the fit here takes all energies, and fits of three parameters to few points are wide; the
verdicts say what is resolved.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.optimize import least_squares

from analysis import canvas
from analysis.estimates import Estimate, bootstrap, mean
from analysis.studies.runs import SEED, compute
from analysis.studies.study import Result, Study
from analysis.studies.verdicts import Claim
from analysis.writers import Column, Table
from simcore.networks.mlp import MLP

SIZE = {False: 5, True: 16}
RATIOS = (0.25, 0.5)
DRAWS = {False: 3, True: 4}
STARTS = {False: 96, True: 600}
MINIMA = {False: 12, True: 40}
L2 = 1e-3
SOURCE = "Pennington & Bahri (2017)"


def measure(full: bool, out: Path) -> Result:
    """Search networks of each ratio phi for critical points and, apart, for minimisers."""
    found = {phi: points(SIZE[full], phi, full, out) for phi in RATIOS}
    claims = [claim for phi, (saddles, minima) in found.items() for claim in ratio_claims(phi, saddles, minima)]
    return Result(ratio_table(found), ratio_figure(found), claims)


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
            out / f"{name}-{phi:g}", [table], draws=DRAWS[full], method="newton", starts=starts, start_law=law,
            positions=True, solver={"method": method, "max_iterations": 300},
        )  # fmt: skip
        rows = load(run)
        kept = rows[rows.status == "critical"].drop_duplicates(["draw", "point"]).reset_index(drop=True)
        energy = np.zeros(len(kept))
        for draw in kept.draw.unique():
            mine = np.flatnonzero(kept.draw == draw)
            function = landscape.draw(seed=SEED, draw=int(draw))
            energy[mine] = function.data_cost(np.array(list(kept.x.iloc[mine]))) / n
        frames.append(kept.assign(energy=energy, fraction=kept["index"] / landscape.n))
        frames[-1].attrs["statuses"] = rows.status.astype(str).value_counts().to_dict()
    return frames[0], frames[1]


def fitted(fraction: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Return (amplitude, E_c, exponent) of fraction = amplitude (E - E_c)_+^exponent by least squares."""
    lowest, highest = float(energy.min()), float(energy.max())
    bounds = ([0.01, lowest - 0.3, 0.3], [50.0, highest, 5.0])

    def misfit(p: np.ndarray) -> np.ndarray:
        return p[0] * np.maximum(energy - p[1], 0.0) ** p[2] - fraction

    return least_squares(misfit, [2.0, lowest - 0.01, 1.5], bounds=bounds).x


def exponent(rows: pd.DataFrame) -> Callable[[float], Estimate]:
    """Return the exponent with its bootstrap interval over points."""
    table = rows[["fraction", "energy"]].to_numpy()
    return lambda level: bootstrap(lambda t: fitted(t[:, 0], t[:, 1])[2], table, resamples=400, level=level)


def ratio_claims(phi: float, saddles: pd.DataFrame, minima: pd.DataFrame) -> list[Claim]:
    """The exponent, and the energy of minimisers."""
    per_draw = minima.groupby("draw").energy.mean().to_numpy()
    return [
        Claim(
            f"phi = {phi:g}: exponent of the index fraction above the critical energy", 1.5, SOURCE,
            exponent(saddles), 1.0,
        ),
        Claim(
            f"phi = {phi:g}: mean energy of minimisers", 0.5 * (1 - phi) ** 2, f"(1 - phi)^2 / 2, {SOURCE}",
            lambda level: mean(per_draw, level=level), 0.1,
        ),
    ]  # fmt: skip


def ratio_table(found: dict[float, tuple[pd.DataFrame, pd.DataFrame]]) -> Table:
    """Return a row a ratio."""
    rows, notes = [], []
    for phi, (saddles, minima) in found.items():
        amplitude, critical, power = fitted(saddles.fraction.to_numpy(), saddles.energy.to_numpy())
        rows.append(
            {"phi": phi, "points": len(saddles), "amplitude": float(amplitude), "critical": float(critical),
             "power": float(power), "minima": len(minima), "energy": mean(minima.groupby("draw").energy.mean()),
             "predicted": 0.5 * (1 - phi) ** 2}
        )  # fmt: skip
        for name, frame in (("any index", saddles), ("minimisers", minima)):
            counts = ", ".join(f"{c} {s}" for s, c in frame.attrs["statuses"].items() if c)
            notes.append(f"phi = {phi:g}, {name}: {counts}.")
    columns = [
        Column("phi", "phi"), Column("points", "critical points"), Column("amplitude", "amplitude", digits=3),
        Column("critical", "E_c (fit)", digits=3), Column("power", "exponent", digits=3),
        Column("minima", "minimisers"), Column("energy", "their energy"), Column("predicted", "(1 - phi)^2 / 2"),
    ]  # fmt: skip
    return Table(columns, rows, "Index against energy in tanh networks on random data", notes)


def ratio_figure(found: dict[float, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Return index fraction against energy with the fit and the law with exponent 3/2."""
    with canvas.style():
        figure, axes = canvas.grid(1, len(found), sharey=True)
        for axis, (phi, (saddles, minima)) in zip(axes[0], found.items(), strict=True):
            dots, open_dots = {**canvas.DISTINCT, "markersize": 2.5}, {**canvas.HITS, "markersize": 3}
            axis.plot(saddles.energy, saddles.fraction, **dots, label="critical points")
            axis.plot(minima.energy, minima.fraction, **open_dots, label="minimisers")
            amplitude, critical, power = fitted(saddles.fraction.to_numpy(), saddles.energy.to_numpy())
            e = np.linspace(critical, saddles.energy.max(), 200)
            axis.plot(e, amplitude * (e - critical) ** power, **canvas.COIN, label="fit")
            top = float(saddles.fraction.max()) / max(float(saddles.energy.max()) - critical, 1e-9) ** 1.5
            axis.plot(e, top * (e - critical) ** 1.5, **canvas.EXACT, label="exponent 3/2")
            axis.axvline(0.5 * (1 - phi) ** 2, color="#999999", linewidth=0.6)
            axis.set_xlabel("energy per output")
            axis.set_title(rf"$\varphi = {phi:g}$")
        axes[0, 0].set_ylabel("index / parameters")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


STUDY = Study(
    "pennington_bahri_2017",
    "The index fraction of a network's critical points rises as the 3/2 power of the energy above a critical one.",
    "Pennington & Bahri (2017).",
    measure,
)
