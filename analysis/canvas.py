"""How every figure looks and is written: one style, no global state, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerPathCollection

from simcore.errors import InputError

SUFFIXES = (".png", ".pdf", ".svg")

STYLE = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 10,
    "axes.labelsize": 10.5,
    "axes.titlesize": 10.5,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "simcore",
    "savefig.dpi": 200,
}

# Colours differ in lightness too, and each role has its own marker or line style, so that print in grey stays readable.
DISTINCT = {"color": "black", "marker": "o", "linestyle": "none"}
WALKED = {"color": "#d55e00", "marker": "s", "linestyle": "none", "markerfacecolor": "white"}
HITS = {"color": "#c46a1b", "marker": "s", "linestyle": "none", "markerfacecolor": "white"}
EXACT = {"color": "#1f5fa8", "linestyle": "-"}
COIN = {"color": "#777777", "linestyle": "--"}
GOE = {"color": "#999999", "linestyle": ":"}
SEQUENCE = ("#000000", "#1f5fa8", "#c46a1b", "#5b9e8f", "#999999", "#7a4b94", "#c9a227")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 2)))

LARGE_DOTS = {PathCollection: HandlerPathCollection(sizes=(14.0, 14.0, 14.0))}
"""A legend's handlers: thousands of points are drawn too small to be seen one at a time."""

WIDEST_TITLE = 14
"""Characters of a title an inch of its panel."""


def line_look(number: int) -> dict[str, Any]:
    """Return colour and dashes of line ``number``; after seven the dashes shift against the colours, so 49 differ."""
    return {"color": SEQUENCE[number % 7], "linestyle": LINES[(number + number // 7) % 7]}


@contextmanager
def style() -> Iterator[None]:
    """The house style, in force inside ``with`` only."""
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        yield


def grid(
    rows: int, columns: int, *, width: float = 3.4, height: float = 2.8, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure of panels, width and height in inches a panel, and its axes, shape (rows, columns)."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure: Figure, out: Path | str) -> Path:
    """Write a figure as PNG, PDF or SVG by the suffix of ``out``, without a date, and return the path."""
    path = check_suffix(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    dateless: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Creator": "simcore", "Producer": None},
        ".svg": {"Date": None, "Creator": "simcore"},
    }
    with style():
        figure.savefig(path, metadata=dateless[path.suffix])
    return path


def check_suffix(out: Path | str) -> Path:
    """Return ``out`` as a path; ``InputError`` where its suffix is no figure format."""
    path = Path(out)
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"figure file {str(out)!r} ends in {path.suffix!r}; give a name that ends in {', '.join(SUFFIXES)}"
        )
    return path


def title(axis: Axes, text: str) -> None:
    """Set a panel's title, broken at commas into lines that fit the panel."""
    figure = axis.get_figure()
    assert figure is not None
    place = axis.get_subplotspec()  # none: axes that a user put somewhere by hand
    share = axis.get_position().width if place is None else 1 / place.get_gridspec().ncols
    panel = figure.get_figwidth() * share
    lines = [""]
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        fits = len(longer.replace("$", "").replace(" ", "")) <= WIDEST_TITLE * panel - 4 or not lines[-1]
        lines[-1:] = [longer] if fits else [f"{lines[-1]},", part]
    axis.set_title("\n".join(lines))


def panel_letters(axes: np.ndarray) -> None:
    """Letter the panels (a), (b), ... where there are several."""
    flat = [a for a in axes.ravel() if a.get_visible()]
    if len(flat) > 1:
        for letter, axis in zip("abcdefghijklmnopqrstuvwxyz", flat, strict=False):
            title = axis.get_title()
            axis.set_title(f"({letter}) {title}" if title else f"({letter})", loc="left")
            if title:
                axis.set_title("", loc="center")


def common_legend(figure: Figure, axes: np.ndarray, columns: int | None = None) -> None:
    """Put one legend for all panels above them; replaces the one that is there."""
    for legend in list(figure.legends):
        legend.remove()
    entries: dict[str, Any] = {}
    for axis in axes.ravel():
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        figure.legend(
            entries.values(),
            entries.keys(),
            loc="outside upper center",
            ncols=columns or _columns(list(entries), figure.get_figwidth()),
            handler_map=LARGE_DOTS,
        )


def _columns(labels: list[str], inches: float) -> int:
    """Return the most columns of a legend that fit so many inches; it is filled column by column, rows balanced."""
    widths = [0.5 + 0.056 * len(label) for label in labels]  # handle and gap, then about 4 points a letter
    for columns in range(len(labels), 1, -1):
        rows = -(-len(labels) // columns)
        if (
            -(-len(labels) // rows) == columns
            and sum(max(widths[k : k + rows]) for k in range(0, len(labels), rows)) < inches
        ):
            return columns
    return 1


def bars(estimates: Sequence[Any]) -> np.ndarray:
    """Return error bars, (2, N), down and up from each estimate to the ends of its interval; none where one is open."""
    ends = np.array([[e.value - e.low, e.high - e.value] for e in estimates], float).reshape(-1, 2)
    open_ended = ~np.isfinite(ends).all(axis=1)
    ends[open_ended] = 0.0
    return np.maximum(ends, 0.0).T


def log_ticks(axis: Axes, which: str = "y") -> None:
    """Label a logarithmic axis at 1, 2, 5, 10, ... in plain numbers where it spans less than two decades."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    side = axis.yaxis if which == "y" else axis.xaxis
    low, high = side.get_view_interval()
    if low > 0 and high / low < 100:
        side.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 5 else (1, 1.5, 2, 3, 4, 5, 6, 8)))
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_formatter(NullFormatter())


def whole_ticks(axis: Axes, values: Any) -> None:
    """Put ticks of the x axis at whole numbers."""
    low, high = int(np.floor(min(values))), int(np.ceil(max(values)))
    step = max(1, -(-(high - low) // 8))
    axis.set_xticks(np.arange(low, high + 1, step))
