"""Kernels on processors that this machine is not: the tile that is named, and code for 64-bit ARM."""

import os
import subprocess
import sys

import pytest

from simcore.backends.cpu import tile


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        ("haswell", "", tile.AVX2),
        ("x86-64-v3", "", tile.AVX2),
        ("znver4", "", tile.AVX512),
        ("skylake-avx512", "", tile.AVX512),
        ("generic", "", tile.GENERIC),
        ("generic", "+avx2,+fma", tile.AVX2),
        ("cortex-a76", "", tile.GENERIC),
        ("apple-m1", "", tile.GENERIC),
    ],
)
def test_the_tile_follows_the_processor_that_numba_compiles_for(name, features, expected, monkeypatch):
    monkeypatch.setattr(tile.config, "CPU_NAME", name)
    monkeypatch.setattr(tile.config, "CPU_FEATURES", features)
    assert tile.processor_tile.__wrapped__() == expected


CROSS_COMPILE = r"""
import re
from llvmlite import binding
from numba import types
from simcore.backends.cpu.ldlt import factor, substitute
from simcore.backends.cpu.products import add_rows, set_8_rows
from simcore.backends.cpu.singles import add_8_single, narrow, widen
from simcore.backends.cpu.vector import any_lane, load, store
from simcore.compilation import jit
from simcore.formulas.elementary import turned_sincos
from simcore.formulas.intrinsics import select, sqrt

@jit(cache=False)
def _everything(a, b, c, s, n):
    set_8_rows(a, 0, 8, b, 0, 24, n, c, 0, 24)
    add_rows(n, a, 0, b, n, c, 0)
    add_8_single(s, 0, 8, s, 0, 24, n, s, 0, 24)
    sine, cosine = turned_sincos(load(c, 0))
    if any_lane(sine < cosine):
        store(c, 0, select(sine < cosine, sqrt(sine), cosine))
    narrow(s, 0, load(c, 8) + widen(s, 8))
    factor(a, n, b, c)
    substitute(a, n, b, c, b)

doubles = types.float64[::1]
_everything.compile((doubles, doubles, doubles, types.float32[::1], types.int64))
ir = _everything.inspect_llvm(_everything.signatures[0])
# Numba's own reference counting stands in the module, optimised for this machine; on another it would not be.
ir = re.sub(r"define [^\n]*@(NRT_[a-z]+)\(.*?\n}\n", r"declare void @\1(ptr)" + "\n", ir, flags=re.DOTALL)
ir = re.sub(r"declare [^\n]*@llvm.x86.atomic[^\n]*\n", "", ir)
assert "llvm.x86" not in ir, "an x86 instruction is asked for by name"

binding.initialize_all_targets()
binding.initialize_all_asmprinters()
triple = "aarch64-unknown-linux-gnu"
machine = binding.Target.from_triple(triple).create_target_machine(cpu="cortex-a76", opt=2)
ir = re.sub('target triple = ".*"', f'target triple = "{triple}"', ir)
ir = re.sub('target datalayout = ".*"', f'target datalayout = "{machine.target_data}"', ir)
ir = re.sub('"target-(cpu|features)"="[^"]*"', "", ir)
module = binding.parse_assembly(ir)
module.verify()
print(machine.emit_assembly(module))
"""


def test_kernels_compile_to_neon_code_for_64_bit_arm():
    """The generic tile's code becomes vector multiply-adds of two doubles and of four floats, and calls no fma()."""
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", CROSS_COMPILE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assembly = done.stdout
    for instruction in ("fmla\tv", ".2d", ".4s", "fsqrt"):
        assert instruction in assembly
    calls = {line.split()[-1] for line in assembly.splitlines() if line.strip().startswith("bl\t")}
    assert not {call for call in calls if call.startswith(("fma", "sin", "cos", "sqrt"))}, calls
