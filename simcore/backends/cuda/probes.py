"""Random numbers on the device, by the formulas that the host's draws use: to check that both give the same bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.backends.cuda import device
from simcore.backends.cuda.device import cuda, kernel
from simcore.backends.cuda.memory import store
from simcore.compilation import jit
from simcore.formulas.normals import normal_pair
from simcore.formulas.philox import philox4x32, unit_interval


@jit
def _pair(block, item, draw, stream, key0, key1):
    a, b, c, d = philox4x32(block, item, draw, stream, key0, key1)
    return normal_pair(unit_interval(a, b), unit_interval(c, d))


@kernel
def fill(out, pairs, item, draw, stream, key0, key1):
    """Set out to the first 2 ``pairs`` normals of one item, a pair a thread."""
    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if k < pairs:
        first, second = _pair(k, item, draw, stream, key0, key1)
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
