"""Matrix products on the device by cuBLAS, and the only file that imports CuPy; NumPy's products in the simulator.

cuBLAS is called through CuPy's binding with explicit leading dimensions, so that a product can read and write the first
columns of a pool's arrays in place. Its double-precision default mode is left alone.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cuda import device
from simcore.errors import DeviceError, RunError


class Matrix(NamedTuple):
    """A matrix by rows inside a flat array of doubles: entry (i, j) stands at first + i pitch + j."""

    array: Any
    first: int
    rows: int
    columns: int
    pitch: int


@functools.cache
def _cublas() -> tuple[Any, Any] | str:
    """Return CuPy and its binding of cuBLAS, or why they can't be used."""
    try:
        import cupy
        from cupy.cuda import cublas

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # several types, where a library of CUDA is missing or does not suit the driver
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    return cupy, cublas


def problem_with_products() -> str | None:
    """Return why products can't be made here, on one line; None where they can."""
    found = None if device.SIMULATED else _cublas()
    return found if isinstance(found, str) else None


class Products:
    """A stream of its own with products on it; ``stream`` is what ``device.launch`` takes."""

    def __init__(self) -> None:
        self.stream: Any = 0
        if device.SIMULATED:
            return
        found = _cublas()
        if isinstance(found, str):
            raise RunError(f"matrix products on the device need CuPy with cuBLAS ({found}); {device.EXTRA}")
        self._cupy, self._cublas = found
        self._own = self._cupy.cuda.Stream(non_blocking=True)
        self.stream = device.external_stream(self._own.ptr)
        self._handle = self._cupy.cuda.device.get_cublas_handle()
        self._one, self._zero = np.ones(1), np.zeros(1)

    def wait(self) -> None:
        """Wait until all work on the stream is done."""
        if self.stream:
            self.stream.synchronize()

    def multiply(self, a: Matrix, b: Matrix, out: Matrix, *, accumulate: bool = False) -> None:
        """Set out to a b, or add a b to it; arrays of the device, in the order of the stream."""
        if device.SIMULATED:
            product = _view(a) @ _view(b)
            view = _view(out)
            view[...] = view + product if accumulate else product
            return
        beta = self._one if accumulate else self._zero
        no = self._cublas.CUBLAS_OP_N
        try:
            # cuBLAS stores by columns, where these rows are the transposes: out' = b' a'
            with self._own:
                self._cublas.dgemm(
                    self._handle, no, no, out.columns, out.rows, a.columns,
                    self._one.ctypes.data, _address(b), b.pitch, _address(a), a.pitch,
                    beta.ctypes.data, _address(out), out.pitch,
                )  # fmt: skip
        except Exception as error:  # CUBLASError of the binding in use
            raise DeviceError(
                f"a matrix product of {out.rows} x {a.columns} by {a.columns} x {out.columns} failed on the device: "
                f"{type(error).__name__}: {error}"
            ) from error


def _address(matrix: Matrix) -> int:
    return int(matrix.array.__cuda_array_interface__["data"][0]) + 8 * matrix.first


def _view(matrix: Matrix) -> Any:
    flat = np.asarray(matrix.array)[matrix.first :]
    step = flat.itemsize
    shape, strides = (matrix.rows, matrix.columns), (matrix.pitch * step, step)
    return np.lib.stride_tricks.as_strided(flat, shape, strides)
