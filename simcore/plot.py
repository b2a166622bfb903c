"""Figures from Python: what ``simcore figure`` draws, on matplotlib axes.

    axes = simcore.plot.ratio("results/my-run")
    simcore.plot.index_cost(found, ax=axes)        # found: an Enumeration

Every function takes a run directory (or several), a DataFrame (rows of ``simcore.load``, ``find_critical_points`` or an
Enumeration's points) or an ``Enumeration``, and returns the matplotlib Axes, an array of them where there are several
families. ``ax`` is one Axes a family. ``InputError`` where the source holds nothing for this figure.
"""

from __future__ import annotations

from typing import Any

__all__ = ["disconnectivity", "index_cost", "outcomes", "ratio", "spectrum"]


def ratio(source: Any, *, ax: Any = None) -> Any:
    """Plot saddles per minimum against n: distinct points with 95 % intervals, hits, the exact law, coin flips.

    Intervals are between draws; a source of one draw has none. Hits are labelled as such: they are biased.
    """
    from simcore_analysis import plots

    return plots.ratio(source, ax=ax)


def index_cost(source: Any, *, ax: Any = None) -> Any:
    """Plot the index fraction k / D against the cost, at each family's largest n, with the exact E[f | k] if known."""
    from simcore_analysis import plots

    return plots.index_cost(source, ax=ax)


def spectrum(source: Any, *, ax: Any = None) -> Any:
    """Plot the density of Hessian eigenvalues at minima, middle saddles and maxima; needs ``spectrum=True``."""
    from simcore_analysis import plots

    return plots.spectrum(source, ax=ax)


def outcomes(source: Any, *, ax: Any = None) -> Any:
    """Plot the share of starts that ended in each status, a bar a combination."""
    from simcore_analysis import plots

    return plots.outcomes(source, ax=ax)


def disconnectivity(source: Any, *, ax: Any = None) -> Any:
    """Plot the merge tree of one function's minima over the cost: which barrier parts each from lower ones.

    ``source`` is a ``simcore.MorseGraph``, an ``Enumeration`` as ``enumerate_critical_points`` returned it, or a run of
    method "enumerate": of a run the first draw of each family, at its largest n, is enumerated again.
    """
    from simcore_analysis import plots

    return plots.disconnectivity(source, ax=ax)
