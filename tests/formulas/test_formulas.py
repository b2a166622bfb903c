"""Random numbers and elementary functions: known answers, both widths, error against 50 digits, statistics."""

import math

import mpmath
import numpy as np
import pytest

from simcore.backends.cpu.vector import load, store
from simcore.compilation import jit
from simcore.errors import InputError
from simcore.formulas.elementary import log, sincos, turned_sincos
from simcore.formulas.normals import normal_pair
from simcore.formulas.philox import philox4x32, unit_interval
from simcore.formulas.random import normals, start_normals, start_uniforms, uniforms

ONES = 0xFFFFFFFF
# Philox4x32-10 rows of Random123's kat_vectors: counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter, key, expected):
    assert tuple(int(word) for word in philox4x32(*counter, *key)) == expected


def naive_philox(counter, key):
    """Philox4x32-10 in Python integers, from the paper's definition."""
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(right >> 32) ^ c[1] ^ k[0], right & ONES, (left >> 32) ^ c[3] ^ k[1], left & ONES]
        k = [(k[0] + 0x9E3779B9) & ONES, (k[1] + 0xBB67AE85) & ONES]
    return c


def test_a_uniform_is_addressed_by_seed_stream_draw_and_item():
    seed, stream, draw, item = 2**40 + 17, 123456789, 5, 9
    words = naive_philox((1, item, draw, stream), (seed % 2**32, seed // 2**32))
    expected = [(((words[i] << 32 | words[i + 1]) >> 12) + 0.5) * 2.0**-52 for i in (0, 2)]
    np.testing.assert_array_equal(uniforms(seed, stream, draw, item, 4)[2:], expected)


def test_the_unit_interval_is_open():
    assert unit_interval(0, 0) == 2.0**-53
    assert unit_interval(ONES, ONES) == 1 - 2.0**-53


def test_an_item_can_be_made_alone_and_a_short_count_is_a_prefix():
    together = start_normals(3, 7, 2, first=10, starts=5, count=9)
    for row in range(5):
        np.testing.assert_array_equal(normals(3, 7, 2, 10 + row, 9), together[row])
    np.testing.assert_array_equal(normals(3, 7, 2, 10, 4), together[0, :4])
    assert not np.array_equal(start_uniforms(3, 7, 2, 0, 2, 4), start_uniforms(4, 7, 2, 0, 2, 4))


@pytest.mark.parametrize("argument", [{"seed": -1}, {"seed": 2**64}, {"draw": 2**32}, {"item": -1}])
def test_numbers_out_of_range_are_refused(argument):
    with pytest.raises(InputError, match=r"give a whole number|numbered from 0"):
        normals(**{"seed": 1, "stream": 2, "draw": 3, "item": 4, "count": 2, **argument})


def test_normals_have_the_moments_of_a_standard_normal():
    """Four moments of 2e6 numbers; |z| < 5 for each: false-alarm rate 4 x 5.7e-7."""
    z = normals(20260101, 1, 0, 0, 2_000_000)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - mean) < 5 * math.sqrt(variance / z.size)


@jit
def scalar_functions(x, u, out):
    for i in range(x.size):
        out[0, i], out[1, i] = sincos(x[i])
        out[2, i] = log(u[i])
        out[5, i], out[6, i] = turned_sincos(x[i])
        out[3, i], out[4, i] = normal_pair(u[i], u[x.size - 1 - i])


@jit
def lane_functions(x, u, reversed_u, out):
    for i in range(0, x.size, 8):
        s, c = sincos(load(x, i))
        a, b = normal_pair(load(u, i), load(reversed_u, i))
        turned_s, turned_c = turned_sincos(load(x, i))
        store(out[0], i, s)
        store(out[1], i, c)
        store(out[2], i, log(load(u, i)))
        store(out[3], i, a)
        store(out[4], i, b)
        store(out[5], i, turned_s)
        store(out[6], i, turned_c)


def test_both_widths_agree_bit_for_bit():
    x = 1000 * normals(1, 2, 3, 4, 8000)
    u = uniforms(1, 2, 3, 5, 8000)
    one, eight = np.empty((7, x.size)), np.empty((7, x.size))
    scalar_functions(x, u, one)
    lane_functions(x, u, u[::-1].copy(), eight)
    np.testing.assert_array_equal(one, eight)


def test_elementary_functions_against_fifty_digits():
    x = np.concatenate([10 * normals(1, 2, 3, 6, 200), 1e7 * normals(1, 2, 3, 7, 50)])
    u = np.concatenate([uniforms(1, 2, 3, 8, 200), np.exp(-36 * uniforms(1, 2, 3, 9, 50))])
    out = np.empty((7, x.size))
    scalar_functions(x, u, out)
    with mpmath.workdps(50):
        for i in range(x.size):
            assert abs(out[0, i] - mpmath.sin(mpmath.mpf(x[i]))) < 2.3e-16
            assert abs(out[1, i] - mpmath.cos(mpmath.mpf(x[i]))) < 2.3e-16
            assert abs(out[5, i] - mpmath.sin(mpmath.mpf(x[i]) * mpmath.pi / 2)) < 2.3e-16
            assert abs(out[6, i] - mpmath.cos(mpmath.mpf(x[i]) * mpmath.pi / 2)) < 2.3e-16
            exact = mpmath.log(mpmath.mpf(u[i]))
            assert abs(out[2, i] - exact) < 2.3e-16 * abs(exact)
