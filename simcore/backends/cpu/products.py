"""The matrix product inside every kernel: a block of rows times a tile of 24 starts, kept in registers.

C[r, 0:24] (+)= sum_k A[k, r] B[k, 0:24] for 8 or 4 rows r. One start is one column, and every entry is summed over k
in order by fused multiply-adds, so a start's result depends neither on the other starts of its tile nor on the tile's
shape.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from simcore.backends.cpu.tile import LANES, processor_tile
from simcore.backends.cpu.vector import pointer
from simcore.formulas.intrinsics import DOUBLE


def _emit_block(builder, rows, vectors, width, a, b, count, c, strides, accumulate):
    """Emit one register block: ``rows`` rows times ``vectors`` registers of ``width`` starts."""
    kind = ir.VectorType(DOUBLE, width)
    stride_a, stride_b, stride_c = strides
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{width}f64")
    undefined = ir.Constant(kind, ir.Undefined)
    spread = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)

    def place(base, offset, vector):
        shifted = builder.gep(base, [builder.add(offset, ir.Constant(offset.type, vector * width))])
        return builder.bitcast(shifted, kind.as_pointer())

    def read(address):
        value = builder.load(address)
        value.align = 8
        return value

    sums = [[cgutils.alloca_once(builder, kind) for _ in range(vectors)] for _ in range(rows)]
    for r in range(rows):
        row = builder.mul(stride_c, ir.Constant(stride_c.type, r))
        for v in range(vectors):
            start = read(place(c, row, v)) if accumulate else ir.Constant(kind, [0.0] * width)
            builder.store(start, sums[r][v])
    with cgutils.for_range(builder, count) as loop:
        left = builder.mul(loop.index, stride_a)
        right = builder.mul(loop.index, stride_b)
        starts = [read(place(b, right, v)) for v in range(vectors)]
        for r in range(rows):
            scalar = builder.load(builder.gep(a, [builder.add(left, ir.Constant(left.type, r))]))
            first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
            coefficient = builder.shuffle_vector(first, undefined, spread)
            for v in range(vectors):
                total = builder.call(fma, [coefficient, starts[v], builder.load(sums[r][v])])
                builder.store(total, sums[r][v])
    for r in range(rows):
        row = builder.mul(stride_c, ir.Constant(stride_c.type, r))
        for v in range(vectors):
            builder.store(builder.load(sums[r][v]), place(c, row, v)).align = 8


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
            strides = (a_stride, b_stride, c_stride)
            tile = processor_tile()
            block_rows, block_lanes = min(rows, tile.rows), tile.vectors * tile.width
            for r in range(0, rows, block_rows):
                out_row = builder.gep(out, [builder.mul(c_stride, ir.Constant(c_stride.type, r))])
                left_row = builder.gep(left, [ir.Constant(c_stride.type, r)])
                for s in range(0, LANES, block_lanes):
                    shift = ir.Constant(c_stride.type, s)
                    _emit_block(
                        builder,
                        block_rows,
                        tile.vectors,
                        tile.width,
                        left_row,
                        builder.gep(right, [shift]),
                        count,
                        builder.gep(out_row, [shift]),
                        strides,
                        accumulate,
                    )
            return context.get_dummy_value()

        return sig, codegen

    product.__doc__ = doc
    return product


set_8_rows = _product(8, False, "C[0:8, tile] = A'[8, count] B[count, tile].")
set_4_rows = _product(4, False, "C[0:4, tile] = A'[4, count] B[count, tile].")
add_8_rows = _product(8, True, "C[0:8, tile] += A'[8, count] B[count, tile].")
add_4_rows = _product(4, True, "C[0:4, tile] += A'[4, count] B[count, tile].")
