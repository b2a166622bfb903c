"""Which register tile the kernels use, read from the processor that Numba compiles for.

The tile changes speed, never results: every entry of a product is summed in the same order with the same operations.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from llvmlite import binding
from numba.core import config

LANES = 24
"""Starts that a tile holds: three AVX-512 registers a row."""


class Tile(NamedTuple):
    """Shape of the register block that a product keeps while it sums."""

    name: str
    rows: int  # rows of the left factor
    vectors: int  # registers of starts a row
    width: int  # doubles a register


AVX512 = Tile("avx512", 8, 3, 8)
AVX2 = Tile("avx2", 4, 3, 4)
GENERIC = Tile("generic", 4, 3, 2)

_AVX512_NAMES = ("skx", "skylake-avx512", "cascadelake", "cooperlake", "cannonlake", "icelake", "tigerlake")
_AVX512_NAMES += ("rocketlake", "sapphirerapids", "graniterapids", "emeraldrapids", "x86-64-v4", "znver4", "znver5")
_AVX2_NAMES = ("haswell", "broadwell", "skylake", "core-avx2", "alderlake", "x86-64-v3", "znver1", "znver2", "znver3")


@functools.cache
def processor_tile() -> Tile:
    """Return the tile for the processor that Numba compiles for (NUMBA_CPU_NAME and NUMBA_CPU_FEATURES are obeyed)."""
    name = config.CPU_NAME
    if name is None or name == "host":
        features = binding.get_host_cpu_features()
        wide, medium = features.get("avx512f", False), features.get("avx2", False) and features.get("fma", False)
    else:
        chosen = (config.CPU_FEATURES or "").split(",")
        wide = "+avx512f" in chosen or name.startswith(_AVX512_NAMES)
        medium = "+avx2" in chosen or name.startswith(_AVX2_NAMES)
    if wide:
        return AVX512
    return AVX2 if medium else GENERIC


def description() -> str:
    """Return one line about the tile, for ``simcore info``."""
    tile = processor_tile()
    return f"{tile.name}: {tile.rows} x {tile.vectors * tile.width} starts in {tile.vectors} registers a row"
