"""Single precision inside the search of many variables: the register product of ``products.py`` at twice the rate.

What a float32 product may decide is the way to a critical point, never what is recorded: ``regularised.py`` says where
it stands. Arrays of float32 hold eight starts side by side as those of float64 do; single lanes are widened on loading.

A 512-bit register holds sixteen floats, and a tile's row is twenty-four: so one register holds two rows of eight
starts, the coefficients of both rows spread over its halves. Narrower registers hold one row. Every entry is summed
over k in order by fused multiply-adds whatever the block, so the tile changes speed and never results.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from simcore.backends.cpu.tile import LANES, processor_tile
from simcore.backends.cpu.vector import pointer
from simcore.formulas.intrinsics import VECTOR, WIDTH, lanes

FLOAT = ir.FloatType()
EIGHT = ir.VectorType(FLOAT, WIDTH)


def _spread(builder, value, places):
    """Emit the vector whose elements are ``value``'s at the given places."""
    undefined = ir.Constant(value.type, ir.Undefined)
    return builder.shuffle_vector(value, undefined, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


def _at(builder, base, kind):
    return builder.bitcast(base, kind.as_pointer())


def _read(builder, base, kind):
    value = builder.load(_at(builder, base, kind))
    value.align = 4
    return value


def _write(builder, base, value):
    builder.store(value, _at(builder, base, value.type)).align = 4


def _emit_block(builder, rows, starts, copies, a, b, count, c, strides, accumulate):
    """Emit ``rows`` rows times three registers of ``copies`` rows by ``starts`` starts."""
    stride_a, stride_b, stride_c = strides
    row_kind, kind = ir.VectorType(FLOAT, starts), ir.VectorType(FLOAT, starts * copies)
    name = f"llvm.fma.v{starts * copies}f32"
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    both = list(range(starts)) * copies

    def row_of(r, vector):
        step = builder.mul(stride_c, ir.Constant(stride_c.type, r))
        return builder.gep(c, [builder.add(step, ir.Constant(stride_c.type, vector * starts))])

    sums = {}
    for r in range(0, rows, copies):
        for v in range(3):
            sums[r, v] = cgutils.alloca_once(builder, kind)
            start = ir.Constant(kind, [0.0] * starts * copies)
            if accumulate:
                start = _read(builder, row_of(r, v), row_kind)
                if copies == 2:
                    other = _read(builder, row_of(r + 1, v), row_kind)
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * starts), list(range(2 * starts)))
                    start = builder.shuffle_vector(start, other, mask)
            builder.store(start, sums[r, v])
    with cgutils.for_range(builder, count) as loop:
        left = builder.gep(a, [builder.mul(loop.index, stride_a)])
        right = builder.mul(loop.index, stride_b)
        coefficients = _read(builder, left, ir.VectorType(FLOAT, rows))
        points = []
        for v in range(3):
            place = builder.gep(b, [builder.add(right, ir.Constant(right.type, v * starts))])
            points.append(_spread(builder, _read(builder, place, row_kind), both))
        for r in range(0, rows, copies):
            spread = _spread(builder, coefficients, [r + half for half in range(copies) for _ in range(starts)])
            for v in range(3):
                builder.store(builder.call(fma, [spread, points[v], builder.load(sums[r, v])]), sums[r, v])
    for r in range(0, rows, copies):
        for v in range(3):
            total = builder.load(sums[r, v])
            for half in range(copies):
                part = _spread(builder, total, [half * starts + i for i in range(starts)])
                _write(builder, row_of(r + half, v), part)


def _product(rows, accumulate, doc):
    """Return the intrinsic for a number of rows; the processor's tile cuts it into register blocks."""

    @intrinsic
    def product(typingctx, a, a_offset, a_stride, b, b_offset, b_stride, count, c, c_offset, c_stride):
        index = types.intp
        sig = types.void(a, index, index, b, index, index, index, c, index, index)

        def codegen(context, builder, sig, args):
            a, a_offset, a_stride, b, b_offset, b_stride, count, c, c_offset, c_stride = args
            left = pointer(context, builder, sig.args[0], a, a_offset)
            right = pointer(context, builder, sig.args[3], b, b_offset)
            out = pointer(context, builder, sig.args[7], c, c_offset)
            width = processor_tile().width
            copies, starts = (2, 8) if width == 8 else (1, 2 * width)
            block_rows = rows if copies == 2 else 4
            for r in range(0, rows, block_rows):
                out_row = builder.gep(out, [builder.mul(c_stride, ir.Constant(c_stride.type, r))])
                left_row = builder.gep(left, [ir.Constant(c_stride.type, r)])
                for s in range(0, LANES, 3 * starts):
                    shift = ir.Constant(c_stride.type, s)
                    right_part, out_part = builder.gep(right, [shift]), builder.gep(out_row, [shift])
                    strides = (a_stride, b_stride, c_stride)
                    _emit_block(
                        builder, block_rows, starts, copies, left_row, right_part, count, out_part, strides, accumulate
                    )
            return context.get_dummy_value()

        return sig, codegen

    product.__doc__ = doc
    return product


set_8_single = _product(8, False, "C[0:8, tile] = A'[8, count] B[count, tile], all float32.")
set_4_single = _product(4, False, "C[0:4, tile] = A'[4, count] B[count, tile], all float32.")
add_8_single = _product(8, True, "C[0:8, tile] += A'[8, count] B[count, tile], all float32.")
add_4_single = _product(4, True, "C[0:4, tile] += A'[4, count] B[count, tile], all float32.")


@intrinsic
def widen(typingctx, array, offset):
    """Lanes array[offset : offset + 8] of a float32 array, as doubles."""

    def codegen(context, builder, sig, args):
        return builder.fpext(_read(builder, pointer(context, builder, sig.args[0], *args), EIGHT), VECTOR)

    return lanes(array, types.intp), codegen


@intrinsic
def narrow(typingctx, array, offset, value):
    """Set array[offset : offset + 8] of a float32 array to eight lanes, rounded."""

    def codegen(context, builder, sig, args):
        _write(builder, pointer(context, builder, sig.args[0], *args[:2]), builder.fptrunc(args[2], EIGHT))
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@intrinsic
def multiply_single(typingctx, out, out_offset, x, x_offset):
    """out[out_offset : + 8] *= x[x_offset : + 8], float32 arrays."""

    def codegen(context, builder, sig, args):
        place = pointer(context, builder, sig.args[0], *args[:2])
        right = _read(builder, pointer(context, builder, sig.args[2], *args[2:]), EIGHT)
        _write(builder, place, builder.fmul(_read(builder, place, EIGHT), right))
        return context.get_dummy_value()

    return types.void(out, types.intp, x, types.intp), codegen


@intrinsic
def scale_single(typingctx, out, out_offset, x, x_offset, weights, place):
    """out[out_offset : + 8] = -weights[place] x[x_offset : + 8], float32 arrays."""

    def codegen(context, builder, sig, args):
        weight = builder.load(pointer(context, builder, sig.args[4], *args[4:]))
        first = builder.insert_element(ir.Constant(EIGHT, ir.Undefined), builder.fneg(weight), ir.IntType(32)(0))
        right = _read(builder, pointer(context, builder, sig.args[2], *args[2:4]), EIGHT)
        product = builder.fmul(_spread(builder, first, [0] * WIDTH), right)
        _write(builder, pointer(context, builder, sig.args[0], *args[:2]), product)
        return context.get_dummy_value()

    return types.void(out, types.intp, x, types.intp, weights, types.intp), codegen
