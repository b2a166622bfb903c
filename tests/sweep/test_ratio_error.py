"""What the stopping rule is given of a run: saddles and minima of each draw, and nothing else."""

import numpy as np
import pandas as pd

from simcore.sweep.ratio_error import add_counts


def test_minima_and_maxima_are_no_saddles():
    rows = pd.DataFrame({"draw": [0, 0, 0, 0, 2, 2, 2], "morse_index": [0, 1, 2, 3, 0, 0, 2]})
    saddles, minima = np.array([10.0, 20.0, 30.0]), np.array([1.0, 2.0, 3.0])
    add_counts(rows, 3, saddles, minima)
    np.testing.assert_array_equal(saddles, [12, 20, 31])
    np.testing.assert_array_equal(minima, [2, 2, 5])
