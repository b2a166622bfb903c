"""Measurements as text: a Markdown table, a saved file, the change against a saved file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simcore.errors import InputError

IDENTITY = ("case", "landscape", "n", "features", "p", "widths", "activation", "loss", "m", "threads", "backend")
HEADLINE = {
    "newton": "us_per_start_iteration",
    "network": "us_per_start_iteration",
    "enumerate": "ms_per_draw",
    "prove": "ms_per_draw",
    "walk": "ms_per_move",
    "normals": "ns_each",
    "sincos": "ns_each",
    "ldlt": "us_per_solve",
    "theory": "seconds",
    "sweep": "seconds",
}
"""The time that stands for each case, and that ``--compare`` compares."""

BESIDE = (
    "turned_ns_each",
    "us_per_hessian",
    "useful_gflops",
    "micro_kernel_gflops",
    "dgemm_gflops",
    "dgemm_fraction",
    "device_dgemm_gflops",
    "device_dgemm_fraction",
    "points_per_second",
    "rows_per_second",
    "evaluations_per_move",
    "moves_per_round_trip",
    "seconds_for_10_percent",
    "irreversible",
    "trusted",
    "complete",
    "proved",
    "search_ms_per_draw",
    "faster_than_search",
    "compile_seconds",
)


def markdown(measurements: list[dict[str, Any]]) -> str:
    """Return one table of all measurements, and one of the peers where there are any."""
    rows = [("case", "parameters", "time", "spread", "besides")]
    rows += [(m["case"], _parameters(m), *_time(m), _besides(m)) for m in measurements]
    parts = [_table(rows)]
    peers = [("case", "peer", "its figure", "simcore is faster by")]
    for m in measurements:
        peers += [
            (f"{m['case']} {_parameters(m)}", peer["name"], _figure(peer), _ratio(peer)) for peer in m.get("peers", [])
        ]
    if len(peers) > 1:
        parts.append(_table(peers))
    missing = sorted({name for m in measurements for name in m.get("not_installed", [])})
    if missing:
        parts.append(f"Not installed, so not measured: {', '.join(missing)}.")
    return "\n\n".join(parts)


def compare(measurements: list[dict[str, Any]], saved: list[dict[str, Any]]) -> str:
    """Return a Markdown table of the change of each measurement that stands in the saved ones too."""
    old = {_key(m): m for m in saved}
    rows = [("case", "parameters", "before", "now", "now / before")]
    for m in measurements:
        before = old.get(_key(m))
        headline = HEADLINE[m["case"]]
        ratio = "-" if before is None else f"{m[headline] / before[headline]:.2f}"
        rows.append((m["case"], _parameters(m), "-" if before is None else _time(before)[0], _time(m)[0], ratio))
    return _table(rows)


def check_destination(path: str) -> None:
    """Raise ``InputError`` where a file can't be written to ``path``."""
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(path).is_dir():
        raise InputError(f"--save {path} can't be written; give a file in a directory that exists and can be written")


def save(path: str, measurements: list[dict[str, Any]]) -> None:
    """Write measurements with what ``simcore info`` says of the machine, paths left out: such files are passed on."""
    from simcore import info

    machine = {name: value for name, value in info.collect().items() if name != "cache"}
    document = {"machine": machine, "measurements": measurements}
    Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def load(path: str) -> list[dict[str, Any]]:
    """Return the measurements of a saved file; ``InputError`` where it is none."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        return list(document["measurements"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no saved measurements; give a file that simcore bench --save wrote") from error


def _key(measurement: dict[str, Any]) -> str:
    return json.dumps([measurement.get(name) for name in IDENTITY])


def _parameters(measurement: dict[str, Any]) -> str:
    named = [str(measurement["landscape"])] if "landscape" in measurement else []
    named += [f"{name}={measurement[name]}" for name in IDENTITY[2:] if name in measurement and name != "backend"]
    return ", ".join(named)


def _time(measurement: dict[str, Any]) -> tuple[str, str]:
    headline = HEADLINE[measurement["case"]]
    unit = {"us": "us", "ms": "ms", "ns": "ns"}.get(headline[:2], "s")
    low, high = (measurement.get(f"{headline}{end}", measurement.get(f"{unit}{end}")) for end in ("_low", "_high"))
    spread = "-" if low is None or high is None else f"{low:.3g} to {high:.3g}"
    return f"{measurement[headline]:.3g} {unit}", spread


def _besides(measurement: dict[str, Any]) -> str:
    shown = [(name, measurement[name]) for name in BESIDE if measurement.get(name) is not None]
    return "; ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown)


def _figure(peer: dict[str, Any]) -> str:
    for name, text in (
        ("us_per_start_iteration", "us a start and iteration"),
        ("points_per_second", "points a second"),
        ("us_per_solve", "us a solve"),
        ("ns_each", "ns each"),
        ("seconds", "s a draw"),
        ("gave_up_after_seconds", "s and no answer"),
    ):
        if name in peer:
            return f"{peer[name]:.3g} {text}"
    return "-"


def _ratio(peer: dict[str, Any]) -> str:
    return "-" if peer["ratio"] is None else f"{peer['ratio']:.3g}"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("---" for _ in rows[0]) + "|")
    return "\n".join(lines)
