"""How figures look: legends lie within their figure, with dots that can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from simcore_analysis import canvas, figures
from simcore_analysis.samples import Sample

LABELS = ("distinct points, spread within their row", "exact mean", "exact standard deviation", "mean and deviation")


@pytest.mark.parametrize(("width", "columns"), [(3.4, 1), (6.0, 2), (14.0, 4)])
def test_a_legend_lies_within_its_figure(width, columns):
    with canvas.style():
        figure, axes = canvas.grid(1, 1, width=width, height=3.0)
        for label in LABELS:
            axes[0, 0].scatter([0, 1], [0, 1], s=2.5, label=label)
        canvas.common_legend(figure, axes)
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert len({round(text.get_window_extent().x0) for text in legend.get_texts()}) == columns
    assert all(handle.get_sizes()[0] > 10 for handle in legend.legend_handles), "dots too small to see"


@pytest.mark.parametrize(("critical", "words"), [(0, "100 %"), (1, "99 %"), (93, "7 %"), (199, "0.5 %")])
def test_a_share_is_written_as_a_plain_number(critical, words):
    total = 200 if critical == 199 else 100
    figure = figures.outcomes_figure([_sample({"critical": critical, "max_iterations": total - critical})])
    assert words in [text.get_text() for text in figure.axes[0].texts]


def _sample(statuses):
    none = np.zeros((1, 3))
    return Sample(
        {"landscape": "torus_field", "n": 2}, 2, none, none, none, np.ones(1, bool), np.ones(1), "newton", statuses
    )
