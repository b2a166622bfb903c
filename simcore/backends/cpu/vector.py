"""Eight lanes in memory: loads, stores and reductions for flat float64 arrays.

Arithmetic on lanes is in ``simcore.formulas.intrinsics``, which knows no arrays (CUDA shares it). Offsets count
doubles.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from simcore.compilation import jit
from simcore.formulas.intrinsics import MASK_VECTOR, VECTOR, WIDTH, lanes, mask, splat


def pointer(context, builder, array_type, array, offset):
    """Emit the address of element ``offset`` of a flat array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


@jit(inner=True)
def aligned(count):
    """So many zeros that begin where a cache line does: lanes that straddle two lines are read at half the speed."""
    memory = np.zeros(count + WIDTH)
    first = -(np.int64(memory.ctypes.data) // 8) % WIDTH
    return memory[first : first + count]


@intrinsic
def load(typingctx, array, offset):
    """Lanes array[offset : offset + 8]."""

    def codegen(context, builder, sig, args):
        address = builder.bitcast(pointer(context, builder, sig.args[0], *args), VECTOR.as_pointer())
        value = builder.load(address)
        value.align = 8
        return value

    return lanes(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """Set array[offset : offset + 8] to eight lanes, or to eight copies of a double."""

    def codegen(context, builder, sig, args):
        wide = args[2] if sig.args[2] == lanes else splat(builder, args[2])
        address = builder.bitcast(pointer(context, builder, sig.args[0], *args[:2]), VECTOR.as_pointer())
        builder.store(wide, address).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes if value == lanes else types.float64), codegen


@intrinsic
def broadcast(typingctx, array, offset):
    """Eight copies of array[offset]."""

    def codegen(context, builder, sig, args):
        return splat(builder, builder.load(pointer(context, builder, sig.args[0], *args)))

    return lanes(array, types.intp), codegen


@intrinsic
def zeros(typingctx):
    """Eight zeros."""

    def codegen(context, builder, sig, args):
        return ir.Constant(VECTOR, [0.0] * WIDTH)

    return lanes(), codegen


@intrinsic
def store_turned(typingctx, array, places, k, out, at, apart):
    """Set out[at + c apart + r] = array[places[k + r] + c] for r, c < 8: eight vectors become eight others."""
    index = types.intp

    def codegen(context, builder, sig, args):
        array, places, k, out, at, apart = args

        def place(kind, base, moved):
            return builder.bitcast(pointer(context, builder, kind, base, moved), VECTOR.as_pointer())

        rows = []
        for r in range(WIDTH):
            there = pointer(context, builder, sig.args[1], places, builder.add(k, ir.Constant(k.type, r)))
            row = builder.load(place(sig.args[0], array, builder.load(there)))
            row.align = 8
            rows.append(row)
        for block in (1, 2, 4):  # in blocks of that size the upper right and the lower left change places
            keep = [i if not i & block else WIDTH + i - block for i in range(WIDTH)]
            take = [i + block if not i & block else WIDTH + i for i in range(WIDTH)]
            turned = list(rows)
            for r in range(WIDTH):
                if not r & block:
                    pair = rows[r], rows[r + block]
                    for to, lanes_of in ((r, keep), (r + block, take)):
                        chosen = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), lanes_of)
                        turned[to] = builder.shuffle_vector(*pair, chosen)
            rows = turned
        for c, row in enumerate(rows):
            moved = builder.add(at, builder.mul(apart, ir.Constant(apart.type, c)))
            builder.store(row, place(sig.args[3], out, moved)).align = 8
        return context.get_dummy_value()

    return types.void(array, places, index, out, index, index), codegen


@intrinsic
def any_lane(typingctx, condition):
    """Whether a condition holds in at least one lane."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    assert condition == mask
    assert MASK_VECTOR.count == WIDTH
    return types.boolean(mask), codegen


@intrinsic
def lane_bits(typingctx, condition):
    """The lanes in which a condition holds, as bits of a whole number: lane 0 is bit 0."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(WIDTH)), ir.IntType(64))

    assert condition == mask
    return types.int64(mask), codegen


@intrinsic
def first_lane(typingctx, bits):
    """The lowest lane among ``lane_bits``; 64 where there is none."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen
