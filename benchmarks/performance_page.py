"""Fill the tables of docs/performance.md from the measurements in results/benchmarks.

    simcore bench newton --n 2,5,10,20,50,100 --peers --save results/benchmarks/newton.json
    simcore bench enumerate --n 8,10 --peers --save results/benchmarks/enumerate.json
    simcore bench newton --landscape spherical_spin --n 10,30,60,100 --save results/benchmarks/spin.json
    simcore bench sincos --save results/benchmarks/sincos.json
    simcore bench walk --n 8,12,16,20,30 --threads 1 --repeats 3 --save results/benchmarks/walk.json
    simcore bench network --widths 2,25,1 --peers --save results/benchmarks/networks.json
    simcore bench network --widths 2,5,1 --save results/benchmarks/networks_21.json
    simcore bench network --widths 2,100,1 --repeats 3 --save results/benchmarks/networks_401.json
    simcore bench network --widths 8,10,1 --peers --save results/benchmarks/networks_101_8_inputs.json
    python benchmarks/network_shapes.py --against OTHER/python --save results/benchmarks/network_shapes.json
    python benchmarks/performance_page.py

The table of solvers is measured here and saved as results/benchmarks/solvers.json with ``--solvers``.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from simcore.benchmarks.peers import LIBRARY
from simcore.benchmarks.report import load

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "benchmarks"
PAGE = ROOT / "docs" / "performance.md"


VARIANTS = (
    ("newton", True, True),
    ("regularised_newton", False, False),
    ("regularised_newton", True, False),
    ("regularised_newton", False, True),
    ("regularised_newton", True, True),
)
"""Solver, whether it begins with descent in Krylov spaces, whether its first Hessians are in single precision."""


def measure_solvers(repeats: int = 5) -> None:
    """Time both solvers of sums of waves to the end of every start, alternating, one thread, M = 1024.

    Regularised Newton is measured with and without its two first parts, whatever n they usually begin at.
    """
    import numpy as np

    import simcore
    from simcore.backends import cpu
    from simcore.benchmarks.timing import clock_of, seconds
    from simcore.search.search import Search
    from simcore.search.solvers import SOLVERS
    from simcore.search.target import Target

    usual = cpu.DESCENT_FROM, cpu.SINGLE_FROM
    rows = []
    for n, starts in ((25, 480), (50, 480), (100, 360), (200, 120)):
        landscape = simcore.GaussianField(n=n)
        draw = landscape.draw(seed=1, draw=0)
        x = landscape.starts(seed=1, draw=0, first=0, count=starts)
        law = simcore.expected_counts(landscape)
        whole = len(law) == n + 1  # beyond n = 50 the law gives the extreme indices alone
        exact_sd = float(np.sqrt((law["fraction"] * (law["morse_index"] - n / 2) ** 2).sum())) if whole else None

        def search(name: str, descent: bool, single: bool, x: Any = x, draw: Any = draw, field: Any = landscape) -> Any:
            cpu.DESCENT_FROM, cpu.SINGLE_FROM = (1 if wanted else 10**9 for wanted in (descent, single))
            chosen = Search.of(field, seed=1, solver=SOLVERS[name]())
            return Target.of(chosen, draw).newton(x)

        times: dict[Any, list[float]] = {variant: [] for variant in VARIANTS}
        outcomes = {variant: search(*variant, x=x[:24]) for variant in VARIANTS}  # compiles
        for _ in range(repeats):
            for variant in VARIANTS:

                def run(v: Any = variant, outcomes: Any = outcomes, search: Any = search) -> None:
                    outcomes[v] = search(*v)

                times[variant].append(seconds(run, clock_of(1)))
        cpu.DESCENT_FROM, cpu.SINGLE_FROM = usual
        for variant, outcome in outcomes.items():
            critical = outcome.status == 0
            found = int(critical.sum())
            name, descent, single = variant
            rows.append(
                {
                    "n": n,
                    "starts": starts,
                    "solver": name,
                    "descent": descent and name != "newton",
                    "single": single and name != "newton",
                    "usual": name != "newton" and (descent, single) == (n >= usual[0], n >= usual[1]),
                    "points_per_second": found / float(np.median(times[variant])),
                    "points_per_second_low": found / max(times[variant]),
                    "points_per_second_high": found / min(times[variant]),
                    "critical_share": float(critical.mean()),
                    "hessians_per_point": float((outcome.iterations + 1).sum() / found),
                    "mean_index_fraction": float(outcome.index[critical].mean() / n),
                    "sd_index": float(outcome.index[critical].std()),
                    "sd_index_exact": exact_sd,
                    "mean_cost": float(outcome.cost[critical].mean()),
                }
            )
    (RESULTS / "solvers.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def newton_table(measured: list[dict[str, Any]], pair: float) -> str:
    """A row a dimension: time, rates, fraction of the ceiling, the floor and its fraction."""
    lines = [
        "| n | us | spread | useful Gflop/s | DGEMM Gflop/s | fraction | floor, us | fraction at the floor |",
        "|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for m in measured:
        arithmetic = m["useful_flops"] / m["dgemm_gflops"] / 1e3
        floor = arithmetic + m["features"] * pair / 1e3
        lines.append(
            f"| {m['n']} | {m['us_per_start_iteration']:.3g} | {m['us_low']:.3g} to {m['us_high']:.3g} | "
            f"{m['useful_gflops']:.0f} | {m['dgemm_gflops']:.0f} | {m['dgemm_fraction']:.2f} | {floor:.3g} | "
            f"{arithmetic / floor:.2f} |"
        )
    return "\n".join(lines)


def spin_table(measured: list[dict[str, Any]]) -> str:
    """A row a dimension of the 3-spin model."""
    lines = ["| n | us | spread | useful Gflop/s | fraction | points/s |", "|--:|--:|---|--:|--:|--:|"]
    for m in measured:
        lines.append(
            f"| {m['n']} | {m['us_per_start_iteration']:.3g} | {m['us_low']:.3g} to {m['us_high']:.3g} | "
            f"{m['useful_gflops']:.0f} | {m['dgemm_fraction']:.2f} | {m['points_per_second']:,.0f} |"
        )
    return "\n".join(lines)


def networks_table(measured: list[dict[str, Any]]) -> str:
    """A row a network: value, gradient and Hessian against the DGEMM ceiling, the search's step, the search."""
    lines = [
        "| widths | parameters | us a Hessian | spread | useful Gflop/s | DGEMM Gflop/s | fraction | us a trial "
        "| points/s | critical |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for m in measured:
        lines.append(
            f"| {', '.join(map(str, m['widths']))} | {m['parameters']} | {m['us_per_hessian']:.3g} | "
            f"{m['us_per_hessian_low']:.3g} to {m['us_per_hessian_high']:.3g} | {m['useful_gflops']:.0f} | "
            f"{m['dgemm_gflops']:.0f} | {m['dgemm_fraction']:.2f} | {m['us_per_start_iteration']:.3g} | "
            f"{m['points_per_second']:.3g} | {m['critical_share']:.2f} |"
        )
    return "\n".join(lines)


def network_peers_table(measured: list[dict[str, Any]]) -> str:
    """A row a peer: how many times more critical points a second simcore finds, and both shares of starts."""
    lines = ["| widths | peer | points/s | critical | simcore's | simcore is faster by |", "|---|---|--:|--:|--:|--:|"]
    for m in measured:
        for peer in m["peers"]:
            ratio = "-" if peer["ratio"] is None else f"{peer['ratio']:.3g}"
            lines.append(
                f"| {', '.join(map(str, m['widths']))} | {peer['name']} | {peer['points_per_second']:.3g} | "
                f"{peer['converged_share']:.2f} | {m['critical_share']:.2f} | {ratio} |"
            )
    return "\n".join(lines)


def shapes_table(measured: dict[str, Any]) -> str:
    """A row a depth and loss, a column an activation: microseconds, over the fastest, faster than the other tree."""
    rows = measured["rows"]
    names = list(dict.fromkeys(row["activation"] for row in rows))
    lines = [f"| widths | loss | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for key in dict.fromkeys((tuple(row["widths"]), row["loss"]) for row in rows):
        cells = []
        for row in rows:
            if (tuple(row["widths"]), row["loss"]) == key:
                other = f", {row['faster_by']:.3g}" if "faster_by" in row else ""
                cells.append(f"{row['us']:.3g} ({row['over_fastest']:.2f}{other})")
        lines.append(f"| {', '.join(map(str, key[0]))} | {key[1]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def peers_table(measured: list[dict[str, Any]]) -> str:
    """A row a dimension: simcore's points a second and how many times faster it is than each peer."""
    met = {peer["name"] for m in measured for peer in m["peers"]}
    names = [name for name in LIBRARY if name in met]
    lines = [f"| n | points/s | {' | '.join(names)} |", "|--:|--:" + "|--:" * len(names) + "|"]
    for m in measured:
        ratio = {peer["name"]: peer["ratio"] for peer in m["peers"]}
        cells = ["-" if ratio.get(name) is None else f"{ratio[name]:.3g}" for name in names]
        lines.append(f"| {m.get('n', m.get('widths'))} | {m['points_per_second']:,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def solvers_table(rows: list[dict[str, Any]]) -> str:
    """A row a dimension and variant of a solver; the one that runs by default in bold type."""
    lines = [
        "| n | solver | descent | float32 | points/s | spread | found | Hessians | index/n | sd (exact) | mean cost |",
        "|--:|---|---|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for r in rows:
        exact = "" if r["sd_index_exact"] is None else f" ({r['sd_index_exact']:.2f})"
        rate = f"{r['points_per_second']:,.0f}"
        lines.append(
            f"| {r['n']} | {r['solver']} | {'yes' if r['descent'] else '-'} | {'yes' if r['single'] else '-'} | "
            f"{f'**{rate}**' if r['usual'] else rate} | {r['points_per_second_low']:,.0f} to "
            f"{r['points_per_second_high']:,.0f} | {r['critical_share']:.2f} | {r['hessians_per_point']:.0f} | "
            f"{r['mean_index_fraction']:.3f} | {r['sd_index']:.2f}{exact} | {r['mean_cost']:.2f} |"
        )
    return "\n".join(lines)


def enumerate_table(measured: list[dict[str, Any]]) -> str:
    """A row a dimension: median time a draw, and PHCpack on the first draw."""
    lines = [
        "| 3-spin | ms a draw (median) | spread over draws | complete | PHCpack, s | faster by | same number |",
        "|--:|--:|---|--:|--:|--:|---|",
    ]
    for m in measured:
        peer = next(iter(m.get("peers", [])), None)
        beside = "- | - | -"
        if peer and peer["ratio"]:
            beside = f"{peer['seconds']:.3g} | {peer['ratio']:.3g} | {'yes' if peer['same_number'] else 'no'}"
        elif peer:
            beside = f"none after {peer['gave_up_after_seconds']} | - | -"
        lines.append(
            f"| n = {m['n']} | {m['ms_per_draw']:.3g} | {m['ms_low']:.3g} to {m['ms_high']:.3g} | "
            f"{m['complete']} of {m['draws']} | {beside} |"
        )
    return "\n".join(lines)


def walk_table(measured: list[dict[str, Any]]) -> str:
    """A row a dimension: what a move of the arc walk costs and how many a round trip takes."""
    lines = [
        "| 3-spin | ms a move (there and back) | spread over draws | evaluations a move | moves a round trip | "
        "seconds for 10 % | trusted |",
        "|--:|--:|---|--:|--:|--:|--:|",
    ]
    for m in measured:
        trips = m["moves_per_round_trip"]
        lines.append(
            f"| n = {m['n']} | {m['ms_per_move']:.3g} | {m['ms_low']:.3g} to {m['ms_high']:.3g} | "
            f"{m['evaluations_per_move']:.0f} | {'-' if trips is None else f'{trips:,.0f}'} | "
            f"{m['seconds_for_10_percent']:.2g} | {m['trusted']} of {m['draws']} |"
        )
    return "\n".join(lines)


def fill(text: str, name: str, table: str) -> str:
    """Return the page with one marked table replaced."""
    pattern = rf"<!-- {name} -->.*?<!-- end {name} -->"
    return re.sub(pattern, lambda _: f"<!-- {name} -->\n{table}\n<!-- end {name} -->", text, flags=re.DOTALL)


def main() -> None:
    """Fill all tables; with ``--solvers`` measure the solvers first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--solvers", action="store_true", help="measure the table of solvers anew")
    if parser.parse_args().solvers:
        measure_solvers()
    newton = load(str(RESULTS / "newton.json"))
    page = PAGE.read_text(encoding="utf-8")
    page = fill(page, "newton", newton_table(newton, load(str(RESULTS / "sincos.json"))[0]["turned_ns_each"]))
    page = fill(page, "spin", spin_table(load(str(RESULTS / "spin.json"))))
    page = fill(page, "peers", peers_table(newton))
    networks = [m for path in sorted(RESULTS.glob("networks*.json")) for m in load(str(path))]
    networks.sort(key=lambda m: m["parameters"])
    page = fill(page, "networks", networks_table(networks))
    page = fill(page, "network peers", network_peers_table([m for m in networks if "peers" in m]))
    shapes = json.loads((RESULTS / "network_shapes.json").read_text(encoding="utf-8"))
    page = fill(page, "network shapes", shapes_table(shapes))
    page = fill(page, "regularised", solvers_table(json.loads((RESULTS / "solvers.json").read_text(encoding="utf-8"))))
    page = fill(page, "enumerate", enumerate_table(load(str(RESULTS / "enumerate.json"))))
    page = fill(page, "walk", walk_table(load(str(RESULTS / "walk.json"))))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
