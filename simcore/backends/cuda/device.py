"""The only file that imports ``numba.cuda``: decorators, memory, launches, and what the device is.

The rest of this folder is written against the names below. With NUMBA_ENABLE_CUDASIM=1 a kernel runs as Python threads
in Numba's simulator; then ``body`` stands for ``numba.cuda`` inside device functions (the simulator swaps the module in
the kernel's own file alone, and not safely when several threads call device functions), and device memory is a
``memoryview``, whose items are plain Python numbers: faster than the simulator's arrays, and quiet about infinities.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numba import cuda
from numba.core import config

from simcore.errors import DeviceError, InputError, RunError

SIMULATED = bool(config.ENABLE_CUDASIM)
"""Whether kernels run in Numba's simulator."""

EXTRA = "pip install 'simcore[cuda13]' (or cuda12 for drivers of CUDA 12)"
_LAUNCHES = threading.Lock()  # the simulator runs one kernel at a time, the device compiles one


if not SIMULATED:
    import numba.cuda.dispatcher as _dispatcher

    # Numba warns of every grid of fewer than 128 blocks; a search from few starts is no mistake
    _dispatcher.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

body: Any = cuda
"""``numba.cuda`` as device functions see it: ``body.syncthreads()``, ``body.local.array(...)``."""
if SIMULATED:
    from simcore.backends.cuda import simulator

    simulator.install()
    body = SimpleNamespace(syncthreads=simulator.barrier, local=SimpleNamespace(array=simulator.local_array))


def kernel(python: Callable[..., None]) -> Any:
    """Decorate a kernel."""
    return cuda.jit(python)


SEARCH_REGISTERS = 168
"""Registers of a thread of the search: three blocks of four warps fit a multiprocessor, and none spills (tested)."""


STEP_REGISTERS = 128
"""Registers of a thread of a pool's step: four blocks of four warps fit a multiprocessor, and none spills (tested)."""


def search_kernel(python: Callable[..., None], registers: int = SEARCH_REGISTERS) -> Any:
    """Decorate the kernel of a search, or a step of one, whose registers are limited."""
    return cuda.jit(python) if SIMULATED else cuda.jit(max_registers=registers)(python)


def step_kernel(python: Callable[..., None]) -> Any:
    """Decorate the kernel of a pool's step."""
    return search_kernel(python, STEP_REGISTERS)


def function(python: Callable[..., Any]) -> Any:
    """Decorate a function that kernels call; the simulator calls it as it is."""
    return python if SIMULATED else cuda.jit(device=True)(python)


# ---- memory and launches --------------------------------------------------------------------------------------------
def to_device(array: Any, stream: Any = 0) -> Any:
    """Copy a contiguous array to the device."""
    array = np.ascontiguousarray(array)
    if SIMULATED:
        return memoryview(array)
    target = empty(array.shape, array.dtype, stream)
    copy_into(target, array, stream)
    return target


def copy_into(target: Any, array: Any, stream: Any = 0) -> None:
    """Copy a contiguous array to a device array of the same length."""
    array = np.ascontiguousarray(array)
    if SIMULATED:
        np.asarray(target)[:] = array
        return
    try:
        target.copy_to_device(array, stream=stream)
    except Exception as error:  # see ``empty``
        raise _failure("a copy to the device failed", error) from error


def empty(shape: int | tuple[int, ...], dtype: Any, stream: Any = 0) -> Any:
    """Allocate a device array."""
    if SIMULATED:
        return memoryview(np.zeros(shape, dtype))
    try:
        return cuda.device_array(shape, dtype, stream=stream)
    except Exception as error:  # CudaAPIError of the driver binding in use; its type is not stable
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raise RunError(
            f"the device refused {size / 2**20:.0f} MiB: {_one_line(error)}; search fewer starts a call, or free it"
        ) from error


def to_host(array: Any, stream: Any = 0) -> Any:
    """Wait for the stream and return a device array's contents; ``DeviceError`` when a kernel before it failed."""
    if SIMULATED:
        return np.asarray(array)
    try:
        result = array.copy_to_host(stream=stream)
        if stream:
            stream.synchronize()
    except Exception as error:  # see ``empty``
        raise _failure("a CUDA kernel failed", error) from error
    return result


def new_stream() -> Any:
    """Return a stream of its own, so that calls from several host threads overlap."""
    return 0 if SIMULATED else cuda.stream()


def external_stream(pointer: int) -> Any:
    """Return a stream that another library has made, as one that launches take."""
    return cuda.external_stream(pointer)


def release() -> None:
    """Give back at once what Numba has put aside to be freed: arrays of gigabytes that the next launch needs."""
    if not SIMULATED:
        cuda.current_context().memory_manager.deallocations.clear()


def launch(compiled: Any, blocks: int, threads: tuple[int, int], arguments: tuple[Any, ...], stream: Any = 0) -> None:
    """Start a kernel on a grid of blocks; ``DeviceError`` when the device reports a failure at the launch."""
    if SIMULATED:
        with _LAUNCHES:
            compiled[blocks, threads](*arguments)
        return
    try:
        # the first launch compiles: once, though several host threads may ask for it
        with _LAUNCHES if not compiled.overloads else contextlib.nullcontext():
            compiled[blocks, threads, stream](*arguments)
    except Exception as error:  # see ``empty``
        raise _failure("a CUDA kernel did not start", error) from error


def _failure(what: str, error: Exception) -> DeviceError:
    return DeviceError(
        f"{what}: {type(error).__name__}: {_one_line(error)}; start again in a new process (a sweep resumes)"
    )


def _one_line(error: BaseException) -> str:
    words = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return words.split(". ")[0] if words else type(error).__name__


def compile_ptx(compiled: Any, arguments: tuple[Any, ...], capability: tuple[int, int]) -> tuple[str, str]:
    """Return a kernel's PTX for a compute capability, as launched and with contraction forbidden, without a device.

    ``arguments`` are examples; host arrays do. Contraction is NVVM's fusing of products and sums. Needs numba-cuda and
    NVVM (the extra ``cuda-check``).
    """
    import numba
    import numba.cuda.cudadrv.nvvm as nvvm
    import numba.cuda.dispatcher as dispatcher

    signature = numba.void(*(numba.typeof(argument) for argument in arguments))
    # a kernel that calls device functions asks for the current device's capability, even here; and NVVM's option
    # about contraction has no public switch
    described = SimpleNamespace(compute_capability=capability, name=b"compile only")
    plain = nvvm.compile_ir
    strict: list[bytes] = []

    def twice(*modules: Any, **options: Any) -> Any:
        strict.append(plain(*modules, **{**options, "fma": False}))
        return plain(*modules, **options)

    with (
        mock.patch.object(dispatcher, "get_current_device", return_value=described),
        mock.patch.object(nvvm, "compile_ir", twice),
    ):
        text, _ = cuda.compile(compiled.py_func, signature, cc=capability, device=False, abi="numba")
    return text, strict[-1].decode().rstrip("\0")


# ---- the device -----------------------------------------------------------------------------------------------------
def require() -> None:
    """Raise a one-line error unless kernels can run here."""
    if SIMULATED or cuda.is_available():
        return
    report = status()
    reason = report["driver_error"] or "no CUDA device was found"
    if report["numba_cuda"] is not None:
        raise RunError(
            f"backend 'cuda' can't run: {reason}; check the driver with nvidia-smi, use backend='cpu', or set "
            "NUMBA_ENABLE_CUDASIM=1 for the simulator"
        )
    raise InputError(
        f"backend 'cuda' can't run: numba-cuda is not installed ({reason}); {EXTRA}, use backend='cpu', or set "
        "NUMBA_ENABLE_CUDASIM=1 for the simulator"
    )


def status() -> dict[str, Any]:
    """Return what ``simcore info`` shows.

    ``available``, ``simulator`` (bool); ``numba_cuda`` (version or None); ``driver_cuda`` (version or None);
    ``driver_error`` (one line or None); ``devices``: a mapping a device with name, compute_capability, multiprocessors
    and memory_bytes.
    """
    report: dict[str, Any] = {
        "available": SIMULATED,
        "simulator": SIMULATED,
        "numba_cuda": _installed_version(),
        "driver_cuda": None,
        "devices": [],
        "driver_error": None,
    }
    if SIMULATED:
        return report
    try:
        from numba.cuda.cudadrv.driver import driver

        report["driver_cuda"] = ".".join(str(part) for part in driver.get_version())
        report["devices"] = [_describe(device) for device in cuda.gpus]
        report["available"] = bool(report["devices"])
    except Exception as error:  # a missing or broken driver raises many types; the report says which
        report["driver_error"] = _one_line(error)
    return report


def _installed_version() -> str | None:
    try:
        return metadata.version("numba-cuda")
    except metadata.PackageNotFoundError:
        return None


def _describe(device: Any) -> dict[str, Any]:
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    with device:
        total = cuda.current_context().get_memory_info().total
    return {
        "name": name,
        "compute_capability": ".".join(str(part) for part in device.compute_capability),
        "multiprocessors": int(device.MULTIPROCESSOR_COUNT),
        "memory_bytes": int(total),
    }


def multiprocessors() -> int:
    """Return how many multiprocessors the current device has; 2 in the simulator."""
    return 2 if SIMULATED else int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def total_memory() -> int:
    """Return the bytes of the current device; 1 GiB in the simulator."""
    return 2**30 if SIMULATED else int(cuda.current_context().get_memory_info().total)


def free_memory() -> int:
    """Return the free bytes of the current device; 1 GiB in the simulator."""
    return 2**30 if SIMULATED else int(cuda.current_context().get_memory_info().free)
