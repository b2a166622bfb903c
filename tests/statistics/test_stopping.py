"""The stopping rule: when it looks, and at what."""

import math

import numpy as np
import pytest

from simcore.statistics.stopping import looks, relative_error


def test_it_looks_only_after_doubled_numbers_of_draws():
    assert list(looks(1000, 0.02)) == [64, 128, 256, 512, 1000]
    assert list(looks(256, 0.02)) == [64, 128, 256]
    assert list(looks(50, 0.02)) == [50]
    assert list(looks(1000, None)) == [1000]


def test_the_error_has_the_divisor_of_a_sample():
    """Four draws by hand: S / S-bar - M / M-bar = (-.5, .5, -.5, .5), sum of squares 1, so se = sqrt(1/3) / 2.

    With the divisor N in place of N - 1 it would be 1/4.
    """
    saddles, minima = np.array([2.0, 6, 2, 6]), np.ones(4)
    assert relative_error(saddles, minima) == pytest.approx(math.sqrt(1 / 3) / 2, rel=1e-12)


def test_common_fluctuations_cancel_and_unseen_kinds_never_stop():
    saddles = np.array([2.0, 6, 2, 6])
    assert relative_error(saddles, 3 * saddles) == pytest.approx(0, abs=1e-15)
    assert relative_error(saddles, np.zeros(4)) == relative_error(np.zeros(4), saddles) == math.inf
    assert relative_error(saddles[:1], saddles[:1]) == math.inf
