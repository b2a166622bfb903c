"""LAPACK's symmetric indefinite solver inside compiled code: SciPy's functions, called by name so that code is cached.

Every argument is an address (Fortran passes all by reference). One matrix a call, one thread (``simcore.blas``): a
result depends on that matrix alone.
"""

from __future__ import annotations

import llvmlite.binding
import numpy as np
from numba import types
from numba.extending import get_cython_function_address

from simcore.blas import libraries_changed
from simcore.compilation import jit


def _external(name, arguments):
    symbol = f"simcore_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address("scipy.linalg.cython_lapack", name))
    return types.ExternalFunction(symbol, types.void(*[types.intp] * arguments))


_dsytrf = _external("dsytrf", 8)
_dsytrs = _external("dsytrs", 9)
libraries_changed()
_BLOCK = 64  # columns of work space a row: LAPACK then works in blocks


@jit
def work_space(n):
    """Return (integers, pivots, work) for matrices of size n."""
    return np.empty(6, np.int32), np.empty(n, np.int32), np.empty(_BLOCK * n)


@jit
def solve_symmetric(matrix, x, integers, pivots, work):
    """Overwrite x (n,) with the solution of a symmetric system, of which the lower triangle (rows) is read.

    By Bunch-Kaufman's factorisation, which overwrites ``matrix`` (n, n). A singular matrix leaves inf or NaN in x.
    """
    n = x.size
    triangle = np.empty(1, np.uint8)
    triangle[0] = 85  # "U": what NumPy stores by rows is to Fortran the transpose
    integers[0], integers[1], integers[2], integers[3] = n, 1, _BLOCK * n, 0
    size, one, length, info = (
        integers.ctypes.data,
        integers[1:].ctypes.data,
        integers[2:].ctypes.data,
        integers[3:].ctypes.data,
    )
    uplo = triangle.ctypes.data
    _dsytrf(uplo, size, matrix.ctypes.data, size, pivots.ctypes.data, work.ctypes.data, length, info)
    _dsytrs(uplo, size, one, matrix.ctypes.data, size, pivots.ctypes.data, x.ctypes.data, size, info)
