"""A count that never varied tells no ratio until a hundred draws have shown that it does not."""

import numpy as np
import pytest

from simcore.statistics.intervals import annealed_ratio


@pytest.mark.parametrize("frozen", ["numerator", "denominator"])
@pytest.mark.parametrize(("draws", "tells"), [(30, False), (99, False), (100, True)])
def test_a_frozen_count(frozen, draws, tells):
    varied = 4.0 + 2 * (np.arange(draws) % 3)
    constant = np.full(draws, 2.0)
    pair = (constant, varied) if frozen == "numerator" else (varied, constant)
    found = annealed_ratio(*pair)
    assert found.tells == tells
    if not tells:
        assert f"the {frozen} is the same in all {draws} draws" in found.note
