"""What cuBLAS is asked for, against NumPy: its place is taken by a product by columns on the host's memory."""

from __future__ import annotations

import contextlib
import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from simcore.backends.cuda import products
from simcore.backends.cuda.products import Matrix, Products
from simcore.errors import DeviceError, RunError


def doubles(address: int, count: int) -> Any:
    return np.ctypeslib.as_array((ctypes.c_double * count).from_address(address))


def dgemm(handle: int, ta: int, tb: int, m: int, n: int, k: int, *rest: Any) -> None:
    """C = alpha A B + beta C for matrices stored by columns, as cuBLAS documents it."""
    alpha, a, lda, b, ldb, beta, c, ldc = rest
    assert (ta, tb) == (0, 0) and lda >= m and ldb >= k and ldc >= m
    scale, keep = doubles(alpha, 1)[0], doubles(beta, 1)[0]
    for column in range(n):
        target = doubles(c + 8 * column * ldc, m)
        total = np.zeros(m)
        for inner in range(k):
            total += doubles(a + 8 * inner * lda, m) * doubles(b + 8 * column * ldb, k)[inner]
        target[:] = scale * total + (keep * target if keep else 0.0)


class OnDevice:
    """An array of the device, which shows its address alone."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.__cuda_array_interface__ = {"data": (array.ctypes.data, False)}


@pytest.fixture
def cublas(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand in for CuPy and its binding."""
    library = SimpleNamespace(CUBLAS_OP_N=0, dgemm=dgemm)

    class Stream(contextlib.nullcontext):
        ptr = 7

        def __init__(self, non_blocking: bool) -> None:
            super().__init__()

    cupy = SimpleNamespace(
        cuda=SimpleNamespace(Stream=Stream, device=SimpleNamespace(get_cublas_handle=lambda: 5)),
    )
    monkeypatch.setattr(products.device, "SIMULATED", False)
    monkeypatch.setattr(products.device, "external_stream", lambda pointer: pointer)
    monkeypatch.setattr(products, "_cublas", lambda: (cupy, library))
    return library


def test_products_of_parts_of_arrays(cublas: SimpleNamespace) -> None:
    generator = np.random.default_rng(3)
    a, b, out = generator.normal(size=40), generator.normal(size=60), generator.normal(size=80)
    before = out.copy()
    left = Matrix(OnDevice(a), 3, 4, 3, 7)  # 4 x 3, rows 7 apart
    right = Matrix(OnDevice(b), 2, 3, 5, 11)
    target = Matrix(OnDevice(out), 1, 4, 5, 13)
    expected = before.copy()
    product = products._view(left._replace(array=a)) @ products._view(right._replace(array=b))
    products._view(target._replace(array=expected))[...] = product
    own = Products()
    assert own.stream == 7
    own.multiply(left, right, target)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)  # and nothing beside it was touched
    own.multiply(left, right, target, accumulate=True)
    products._view(target._replace(array=expected))[...] += product
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)


def test_what_was_not_a_number_is_overwritten(cublas: SimpleNamespace) -> None:
    out = np.full(4, np.nan)
    ones = OnDevice(np.ones(4))
    Products().multiply(Matrix(ones, 0, 2, 2, 2), Matrix(ones, 0, 2, 2, 2), Matrix(OnDevice(out), 0, 2, 2, 2))
    np.testing.assert_array_equal(out, 2.0)


def test_a_failure_of_the_library_is_the_devices(cublas: SimpleNamespace) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED")

    cublas.dgemm = failing
    matrix = Matrix(OnDevice(np.zeros(4)), 0, 2, 2, 2)
    with pytest.raises(DeviceError, match=r"2 x 2 by 2 x 2 failed.*EXECUTION_FAILED"):
        Products().multiply(matrix, matrix, matrix)


def test_without_cupy_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products.device, "SIMULATED", False)
    monkeypatch.setattr(products, "_cublas", lambda: "ImportError: libcublas.so.13 was not found")
    assert products.problem_with_products() == "ImportError: libcublas.so.13 was not found"
    with pytest.raises(RunError, match=r"CuPy with cuBLAS \(ImportError: libcublas.*simcore\[cuda13\]"):
        Products()
