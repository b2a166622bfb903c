"""What each kernel costs a multiprocessor: registers, stack, spills and shared memory, counted without a device.

Kernels are compiled to PTX by NVVM and assembled by ptxas, both from their wheels (the extra ``cuda-check``).
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cuda import device, loop, pool, pool_search, probes, spin_pool, waves_pool
from simcore.backends.cuda.search import family_of
from simcore.backends.cuda.shape import Shape, choose
from simcore.backends.problems import NewtonOptions, Outcome

CAPABILITY = (9, 0)
"""Hopper: H100 and H200."""


class Resources(NamedTuple):
    """What ptxas says of one kernel; bytes except for registers (32-bit, a thread)."""

    registers: int
    stack: int
    spills: int
    shared: int


def find_ptxas() -> Path | None:
    """Return the path of ptxas: of the wheel if installed, else of the search path."""
    for folder in sys.path:
        for place in sorted(Path(folder).glob("nvidia/cu*/bin/ptxas")) if folder else ():
            return place
    found = shutil.which("ptxas")
    return Path(found) if found else None


def assemble(
    ptx: str, ptxas: Path, registers: int = 255, capability: tuple[int, int] = CAPABILITY
) -> tuple[Resources, bytes]:
    """Assemble one kernel's PTX with at most so many registers; return its resources and its machine code.

    Raises ``RuntimeError`` with ptxas's words when it refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx)
        limits = [f"-arch=sm_{capability[0]}{capability[1]}", f"-maxrregcount={registers}"]
        command = [str(ptxas), *limits, "-v", str(source), "-o", str(binary)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = done.stdout + done.stderr
        if done.returncode != 0:
            raise RuntimeError(f"ptxas refused the kernel: {report}")
        code = _text_sections(binary.read_bytes())
    entry = report[report.index("Compiling entry function") :]

    def number(pattern: str) -> int:
        return sum(int(found) for found in re.findall(pattern, entry))

    counted = Resources(
        number(r"Used (\d+) registers"),
        number(r"(\d+) bytes stack frame"),
        number(r"(\d+) bytes spill (?:stores|loads)"),
        number(r"(\d+) bytes smem"),
    )
    return counted, code


def _text_sections(elf: bytes) -> bytes:
    """Return the contents of all sections of a 64-bit ELF file whose names begin with ``.text``."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    width, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", elf, table + i * width) for i in range(count)]
    strings = sections[names][4]
    found = b""
    for name, _, _, _, offset, size in sections:
        if elf.startswith(b".text", strings + name):
            found += elf[offset : offset + size]
    return found


def example_arguments(problem: Any, shape: Shape) -> dict[str, tuple[Any, ...]]:
    """Return arguments of the right types for each kernel of a problem, as host arrays."""
    family = family_of(problem)
    n, size = problem.domain.n, problem.dimension
    loaded = family.upload(problem, shape, 0, to_device=lambda array, stream: np.ascontiguousarray(array))
    outcome = Outcome.empty(1, n)._asdict()
    flat = {name: np.zeros(field.size, field.dtype) for name, field in outcome.items()}
    real, whole = np.zeros(1), np.zeros(1, np.int64)
    o = NewtonOptions(1.0, 1.0, 1.0, 1, 1.0, 1.0, 1.0)
    limits = loop.limits_of(o)
    space = family.space(problem)
    head = (loaded, n, size)
    examples = {
        "search": (
            *head, real, 1, limits, whole, real, 1, *space,
            *(flat[name] for name in ("status", "iterations", "cost", "grad_norm", "decrement", "x")),
        ),
        "classify": (
            *head, whole, 1, real, loop.tolerances_of(o), real, 1, *space,
            *(flat[name] for name in ("status", "index", "nullity")),
        ),
    }  # fmt: skip
    if n == size:
        examples["derive"] = (loaded, n, real, 1, real, 1, *space, real, real, real)
    return examples


def kernels(problem: Any, shape: Shape | None = None) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return the kernels of a problem by name, each with example arguments, for the shape a device would get."""
    family = family_of(problem)
    n = problem.domain.n
    shape = shape or choose(n, problem.dimension, family.best_edge(n))
    makers = {"search": loop.search_kernel, "classify": loop.classify_kernel, "derive": loop.derive_kernel}
    return {
        name: (makers[name](family, shape), arguments) for name, arguments in example_arguments(problem, shape).items()
    }


def pool_kernels(problem: Any) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return the kernels of a problem's pooled search by name, each with example arguments."""
    family = pool_search._pooled(problem)
    n, size, pitch = problem.domain.n, problem.dimension, pool_search.width_of(problem)
    real, whole, short, status = np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.int8)
    found: dict[str, tuple[Any, tuple[Any, ...]]]
    if family is waves_pool:
        loaded: Any = waves_pool.WavesInPool(n, 1, 0.0, 0.0, real, real)
        found = {
            "turn": (waves_pool.turn, (loaded, real, real, real, 0, 1, 1, 1)),
            "fill_table": (waves_pool.fill_table, (real, real, 0, 1, n, whole, whole, 1)),
        }
    else:
        loaded = spin_pool.SpinInPool(n, problem.p - 2, whole, whole, whole)
        found = {"build": (spin_pool.build_kernel(*pool_search.THREADS, pitch), (loaded, real, real))}
    columns = (whole, short, short, short)
    limits = loop.limits_of(NewtonOptions(1.0, 1.0, 1.0, 1, 1.0, 1.0, 1.0))
    step = (
        loaded, n, size, real, 1, limits, whole, *[real] * 8, *columns, status, short, real, real, real, real,
    )  # fmt: skip
    return {
        "step": (pool.step_kernel(family, *pool_search.THREADS, pitch), step),
        **found,
        "list_moves": (pool.list_moves, (whole, 1, 1, whole, whole, whole)),
        "move": (pool.move, (real, n, pitch, *columns, whole, whole, whole)),
        "keep": (pool.keep, (real, 1, pitch, real, 1)),
        "compare": (pool.compare, (real, 1, pitch, 1, real, 1, whole)),
    }


def probe() -> tuple[Any, tuple[Any, ...]]:
    """Return the kernel of normals with example arguments."""
    return probes.fill, (np.zeros(2), 1, 0, 0, 0, 0, 0)


def allowed(name: str) -> int:
    """Return how many registers a thread of the kernel of that name may use."""
    return {"search": device.SEARCH_REGISTERS, "step": device.STEP_REGISTERS}.get(name, 255)


def report(problem: Any, ptxas: Path, shape: Shape | None = None) -> dict[str, Resources]:
    """Return the resources of each kernel of a problem."""
    return {
        name: assemble(device.compile_ptx(kernel, arguments, CAPABILITY)[0], ptxas, allowed(name))[0]
        for name, (kernel, arguments) in kernels(problem, shape).items()
    }
