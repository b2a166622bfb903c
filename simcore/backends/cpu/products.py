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


def _emit_block(builder, rows, vectors, width, a, b, count, c, strides, accumulate, scale=None):
    """Emit one register block: ``rows`` rows times ``vectors`` registers of ``width`` starts.

    ``scale`` = (factors, scaled): B's row k is multiplied by factors[k] first, and left so in ``scaled``, with B's
    stride, for the blocks that follow.
    """
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

    def spread_out(scalar):
        first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, undefined, spread)

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
        if scale is not None:
            factors, scaled = scale
            factor = spread_out(builder.load(builder.gep(factors, [loop.index])))
            starts = [builder.fmul(factor, start) for start in starts]
            for v in range(vectors):
                builder.store(starts[v], place(scaled, right, v)).align = 8
        for r in range(rows):
            coefficient = spread_out(builder.load(builder.gep(a, [builder.add(left, ir.Constant(left.type, r))])))
            for v in range(vectors):
                total = builder.call(fma, [coefficient, starts[v], builder.load(sums[r][v])])
                builder.store(total, sums[r][v])
    for r in range(rows):
        row = builder.mul(stride_c, ir.Constant(stride_c.type, r))
        for v in range(vectors):
            builder.store(builder.load(sums[r][v]), place(c, row, v)).align = 8


def _blocks(rows):
    """Yield (first row, first start, shape) of the register blocks that the processor's tile cuts a product into."""
    tile = processor_tile()
    height = min(rows, tile.rows)
    for r in range(0, rows, height):
        for s in range(0, LANES, tile.vectors * tile.width):
            yield r, s, (min(height, rows - r), tile.vectors, tile.width)


def _emit(builder, rows, left, right, count, out, strides, accumulate, scale=None):
    """Emit a product of ``rows`` rows; with ``scale`` the first blocks scale B and the rest read what they scaled."""
    for r, s, shape in _blocks(rows):
        out_row = builder.gep(out, [builder.mul(strides[2], ir.Constant(strides[2].type, r))])
        shift = ir.Constant(strides[2].type, s)
        source, block_scale = right, None
        if scale is not None:
            source, block_scale = (right, (scale[0], builder.gep(scale[1], [shift]))) if r == 0 else (scale[1], None)
        _emit_block(
            builder,
            *shape,
            builder.gep(left, [ir.Constant(strides[2].type, r)]),
            builder.gep(source, [shift]),
            count,
            builder.gep(out_row, [shift]),
            strides,
            accumulate,
            block_scale,
        )


def _product(rows, accumulate, doc):
    """Return the intrinsic for a number of rows."""

    @intrinsic
    def product(typingctx, a, a_offset, a_stride, b, b_offset, b_stride, count, c, c_offset, c_stride):
        index = types.intp
        sig = types.void(a, index, index, b, index, index, index, c, index, index)

        def codegen(context, builder, sig, args):
            a, a_offset, a_stride, b, b_offset, b_stride, count, c, c_offset, c_stride = args
            left = pointer(context, builder, sig.args[0], a, a_offset)
            right = pointer(context, builder, sig.args[3], b, b_offset)
            out = pointer(context, builder, sig.args[7], c, c_offset)
            _emit(builder, rows, left, right, count, out, (a_stride, b_stride, c_stride), accumulate)
            return context.get_dummy_value()

        return sig, codegen

    product.__doc__ = doc
    return product


@intrinsic
def scale_and_add_8_rows(typingctx, a, a_offset, factors, factors_offset, b, scaled, count, c, c_offset):
    """scaled = factors[count] B[count, tile] and C[0:8, tile] += A'[8, count] scaled.

    Strides are 8 (A) and 24 (B, ``scaled``, C). The multiplications are those of a pass of their own, but the stores
    hide behind the sums.
    """
    index = types.intp
    sig = types.void(a, index, factors, index, b, scaled, index, c, index)

    def codegen(context, builder, sig, args):
        a, a_offset, factors, factors_offset, b, scaled, count, c, c_offset = args
        zero = ir.Constant(count.type, 0)
        left = pointer(context, builder, sig.args[0], a, a_offset)
        weights = pointer(context, builder, sig.args[2], factors, factors_offset)
        right = pointer(context, builder, sig.args[4], b, zero)
        kept = pointer(context, builder, sig.args[5], scaled, zero)
        out = pointer(context, builder, sig.args[7], c, c_offset)
        strides = (ir.Constant(count.type, 8), ir.Constant(count.type, LANES), ir.Constant(count.type, LANES))
        _emit(builder, 8, left, right, count, out, strides, True, (weights, kept))
        return context.get_dummy_value()

    return sig, codegen


set_8_rows = _product(8, False, "C[0:8, tile] = A'[8, count] B[count, tile].")
set_4_rows = _product(4, False, "C[0:4, tile] = A'[4, count] B[count, tile].")
add_8_rows = _product(8, True, "C[0:8, tile] += A'[8, count] B[count, tile].")


@intrinsic
def add_rows(typingctx, rows, a, a_offset, b, count, c, c_offset):
    """C[0:rows, tile] += A'[rows, count] B[count, tile] for 1 to 8 rows, by a block that is exactly as high.

    Strides are 8 (A) and 24 (B and C).
    """
    index = types.intp
    sig = types.void(index, a, index, b, index, c, index)

    def codegen(context, builder, sig, args):
        rows, a, a_offset, b, count, c, c_offset = args
        left = pointer(context, builder, sig.args[1], a, a_offset)
        right = pointer(context, builder, sig.args[3], b, ir.Constant(count.type, 0))
        out = pointer(context, builder, sig.args[5], c, c_offset)
        strides = (ir.Constant(count.type, 8), ir.Constant(count.type, LANES), ir.Constant(count.type, LANES))
        end = builder.append_basic_block("end")
        heights = [builder.append_basic_block(f"rows_{height}") for height in range(1, 9)]
        switch = builder.switch(rows, end)
        for height, block in enumerate(heights, start=1):
            switch.add_case(ir.Constant(rows.type, height), block)
            builder.position_at_end(block)
            _emit(builder, height, left, right, count, out, strides, True)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return sig, codegen
