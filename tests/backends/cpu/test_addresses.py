"""Compiled code reached by its address: seven whole numbers in, 0 out unless it raised."""

import numba
import numpy as np
from numba import types

from simcore.backends.cpu.addresses import address_of, call, flat
from simcore.compilation import jit


def test_a_call_by_address_computes_and_tells_of_errors():
    def scale(data, count, times, _, __, ___, ____):
        if times < 0:
            raise ValueError("negative")
        numbers = flat(data)
        for i in range(count):
            numbers[i] *= times

    code = jit(scale, cache=False, inner=True)
    address = address_of(code, *[types.int64] * 7)

    @numba.njit
    def run(address, x, times):
        return call(address, x.ctypes.data, len(x), times, 0, 0, 0, 0)

    x = np.arange(5.0)
    assert run(address, x, 3) == 0 and list(x) == [0.0, 3.0, 6.0, 9.0, 12.0]
    assert run(address, x, -1) != 0 and list(x) == [0.0, 3.0, 6.0, 9.0, 12.0]
