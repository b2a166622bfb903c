"""Every CUDA kernel compiled for Hopper without a GPU: no stack and no spills with the registers that it may use.

Needs NVVM and ptxas from their wheels: ``pip install '.[cuda-check]'``.
"""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcore.backends.network_problems import Mlp
from simcore.backends.problems import Spin, Waves

STATIC_SHARED = 48 * 1024


@pytest.fixture(scope="module")
def ptxas() -> Path:
    """Return the assembler, or skip naming what is missing."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        pytest.skip("Numba's simulator compiles nothing")
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("compile-only check: numba-cuda is not installed; pip install '.[cuda-check]'")
    from cuda_resources import find_ptxas

    found = find_ptxas()
    if found is None:
        pytest.skip("compile-only check: ptxas was not found; pip install '.[cuda-check]'")
    return found


def waves(n: int) -> Waves:
    return Waves(np.zeros((8, n)), np.zeros(8), np.zeros(8), 0.0, 0.0)


def spin(n: int, p: int) -> Spin:
    return Spin(n, p, np.zeros(math.comb(n + p - 1, p)))


def perceptron() -> Mlp:
    return Mlp((2, 2, 1), "tanh", "mse", np.zeros((3, 2)), np.zeros((3, 1)), 0.0)


POOL_REGISTERS = {
    "step": 128, "turn": 64, "fill_table": 32, "build": 48, "list_moves": 32, "move": 40, "keep": 32, "compare": 56,
}  # fmt: skip


def fits(name: str, kernel: Any, arguments: Any, registers: int, ptxas: Path) -> None:
    """Assert that a kernel has no stack and no spills within its registers, and nothing to contract.

    The machine code is the same with contraction of products and sums forbidden: every fma is one that we wrote. So a
    kernel rounds as the simulator and the cpu's scalar formulas do.
    """
    import cuda_resources as resources

    from simcore.backends.cuda import device

    launched, strict = device.compile_ptx(kernel, arguments, resources.CAPABILITY)
    used, code = resources.assemble(launched, ptxas, resources.allowed(name))
    assert (used.stack, used.spills) == (0, 0), (name, used)
    assert used.registers <= registers, (name, used)
    assert used.shared <= STATIC_SHARED, (name, used)
    assert resources.assemble(strict, ptxas, resources.allowed(name))[1] == code, name


@pytest.mark.parametrize(
    "problem",
    [*map(waves, (4, 5, 8, 10, 12)), spin(8, 3), perceptron()],  # edges from 2 to 6
    ids=["waves4", "waves5", "waves8", "waves10", "waves12", "spin", "perceptron"],
)
def test_kernels_fit_and_have_nothing_to_contract(problem: Any, ptxas: Path) -> None:
    import cuda_resources as resources

    for name, (kernel, arguments) in resources.kernels(problem).items():
        if isinstance(problem, Mlp) and name != "derive":
            continue  # searches of networks launch derive alone; the fused search of one would spill 336 bytes
        fits(name, kernel, arguments, resources.allowed(name), ptxas)


@pytest.mark.parametrize("problem", [waves(50), spin(40, 3)], ids=["waves", "spin"])
def test_kernels_of_a_pool_fit_and_have_nothing_to_contract(problem: Any, ptxas: Path) -> None:
    import cuda_resources as resources

    kernels = resources.pool_kernels(problem)
    assert set(kernels) <= set(POOL_REGISTERS)
    for name, (kernel, arguments) in kernels.items():
        fits(name, kernel, arguments, POOL_REGISTERS[name], ptxas)


def test_normals_have_nothing_to_contract(ptxas: Path) -> None:
    """So the device's normals are the host's, bit for bit: addition, product, fma, root and quotient are IEEE's."""
    import cuda_resources as resources

    from simcore.backends.cuda import device

    kernel, arguments = resources.probe()
    code = [resources.assemble(ptx, ptxas) for ptx in device.compile_ptx(kernel, arguments, resources.CAPABILITY)]
    assert code[0][0].stack == code[0][0].spills == 0 and code[0][0].registers <= 48
    assert code[0][1] == code[1][1]


def _fused(x, out):
    out[0] = x[0] * x[1] + x[2]


def test_the_check_sees_a_contraction(ptxas: Path) -> None:
    import cuda_resources as resources

    from simcore.backends.cuda import device

    arrays = (np.zeros(3), np.zeros(1))
    code = [resources.assemble(ptx, ptxas)[1] for ptx in device.compile_ptx(device.kernel(_fused), arrays, (9, 0))]
    assert code[0] != code[1]
