"""Random numbers on the device, by the formulas that the host's draws use, to check that both give the same bits; and
the speed of its matrix products.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from simcore.backends.cuda import device
from simcore.backends.cuda.device import cuda, kernel
from simcore.backends.cuda.memory import store
from simcore.backends.cuda.products import Matrix, Products, problem_with_products
from simcore.compilation import jit
from simcore.formulas.normals import normal_pair
from simcore.formulas.philox import philox4x32, unit_interval


@jit
def pair(block, item, draw, stream, key0, key1):
    """Two normals of one block of random words."""
    a, b, c, d = philox4x32(block, item, draw, stream, key0, key1)
    return normal_pair(unit_interval(a, b), unit_interval(c, d))


@kernel
def fill(out, pairs, item, draw, stream, key0, key1):
    """Set out to the first 2 ``pairs`` normals of one item, a pair a thread."""
    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if k < pairs:
        first, second = pair(k, item, draw, stream, key0, key1)
        store(out, 2 * k, first)
        store(out, 2 * k + 1, second)


def normals(seed: int, stream: int, draw: int, item: int, count: int) -> NDArray[np.float64]:
    """Return what ``simcore.formulas.random.normals`` returns, shape (count,), made on the device."""
    pairs = (count + 1) // 2
    threads = 1 if device.SIMULATED else 128
    out = device.empty(2 * pairs, np.float64)
    arguments = (out, pairs, item, draw, stream, seed % 2**32, seed // 2**32)
    device.launch(fill, -(-pairs // threads), (threads, 1), arguments)
    return device.to_host(out)[:count]


def dgemm_gflops(rows: int, inner: int, columns: int = 2**14, repeats: int = 5) -> float | None:
    """Return the Gflop/s of a product (rows x inner) by (inner x columns), best of some; None without CuPy."""
    if problem_with_products() is not None:
        return None
    if device.SIMULATED:
        columns, repeats = 64, 1
    products = Products()
    generator = np.random.default_rng(1)
    a, b = (generator.standard_normal(size) for size in (rows * inner, inner * columns))
    left = Matrix(device.to_device(a, products.stream), 0, rows, inner, inner)
    right = Matrix(device.to_device(b, products.stream), 0, inner, columns, columns)
    out = Matrix(device.empty(rows * columns, np.float64, products.stream), 0, rows, columns, columns)
    best = 0.0
    for _ in range(repeats + 1):  # the first call loads cuBLAS
        products.wait()
        begin = time.perf_counter()
        products.multiply(left, right, out)
        products.wait()
        best = max(best, 2e-9 * rows * inner * columns / (time.perf_counter() - begin))
    return best
