"""Register products whose both factors differ from start to start: eight starts side by side, in lanes.

``add_outer_4`` and ``add_outer_1`` sum outer products of rows of lanes, S_ij += sum_m R_im R_jm; ``add_shared_rows``
sums products of numbers that all starts share with rows of lanes. Every entry is summed over m in order by fused
multiply-adds, whatever the processor's registers, so a start's result depends on that start alone.

A *panel* holds four rows of lanes, sample by sample: row i of sample m stands at m 32 + i 8.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from simcore.backends.cpu.products import _emit_block
from simcore.backends.cpu.tile import processor_tile
from simcore.backends.cpu.vector import pointer
from simcore.formulas.intrinsics import DOUBLE, WIDTH

PANEL = 4 * WIDTH


def _emit_outer(builder, rows, columns, width, a, b, count, out, row):
    """Emit S[rows, columns] += sum over samples of A_i B_j for ``width`` of the lanes; a, b, out point at the first."""
    kind = ir.VectorType(DOUBLE, width)
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{width}f64")

    def place(base, offset, group):
        shifted = builder.gep(base, [builder.add(offset, ir.Constant(offset.type, group * WIDTH))])
        return builder.bitcast(shifted, kind.as_pointer())

    def read(address):
        value = builder.load(address)
        value.align = 8
        return value

    sums = [[cgutils.alloca_once(builder, kind) for _ in range(columns)] for _ in range(rows)]
    lines = [builder.mul(row, ir.Constant(row.type, i)) for i in range(rows)]
    for i in range(rows):
        for j in range(columns):
            builder.store(read(place(out, lines[i], j)), sums[i][j])
    with cgutils.for_range(builder, count) as loop:
        sample = builder.mul(loop.index, ir.Constant(loop.index.type, PANEL))
        right = [read(place(b, sample, j)) for j in range(columns)]
        for i in range(rows):
            left = read(place(a, sample, i))
            for j in range(columns):
                builder.store(builder.call(fma, [left, right[j], builder.load(sums[i][j])]), sums[i][j])
    for i in range(rows):
        for j in range(columns):
            builder.store(builder.load(sums[i][j]), place(out, lines[i], j)).align = 8


def _outer(rows, doc):
    @intrinsic
    def product(typingctx, panels, a, b, count, out, at, row):
        index = types.intp

        def codegen(context, builder, sig, args):
            panels, a, b, count, out, at, row = args
            left = pointer(context, builder, sig.args[0], panels, a)
            right = pointer(context, builder, sig.args[0], panels, b)
            target = pointer(context, builder, sig.args[4], out, at)
            width = processor_tile().width
            columns = 4 if width == WIDTH else 2  # sixteen registers hold no more sums beside the factors
            for lane in range(0, WIDTH, width):
                for j in range(0, 4, columns):
                    shift, column = ir.Constant(row.type, lane), ir.Constant(row.type, lane + j * WIDTH)
                    _emit_outer(
                        builder, rows, columns, width,
                        builder.gep(left, [shift]), builder.gep(right, [column]), count,
                        builder.gep(target, [column]), row,
                    )  # fmt: skip
            return context.get_dummy_value()

        return types.void(panels, index, index, index, out, index, index), codegen

    product.__doc__ = doc
    return product


add_outer_4 = _outer(
    4, "out[at + i row + j 8] += sum of rows i < 4 of the panel at a times rows j < 4 of the one at b."
)
add_outer_1 = _outer(1, "out[at + j 8] += sum of the first row of the panel at a times rows j < 4 of the panel at b.")


@intrinsic
def add_shared_rows(typingctx, shared, a, source, b, count, out, at):
    """out[at + r 8] += sum over m of shared[a + m 8 + r] source[b + m 8], r < 8; sources and sums are lanes."""
    index = types.intp

    def codegen(context, builder, sig, args):
        shared, a, source, b, count, out, at = args
        left = pointer(context, builder, sig.args[0], shared, a)
        right = pointer(context, builder, sig.args[2], source, b)
        target = pointer(context, builder, sig.args[5], out, at)
        width = processor_tile().width
        stride = ir.Constant(count.type, WIDTH)
        rows = 8 if width == WIDTH else 4
        vectors = min(WIDTH // width, 2)
        for r in range(0, 8, rows):
            for lane in range(0, WIDTH, vectors * width):
                shifts = (ir.Constant(count.type, shift) for shift in (r, lane, r * WIDTH + lane))
                of_row, of_lane, out_at = (
                    builder.gep(base, [shift]) for base, shift in zip((left, right, target), shifts, strict=True)
                )
                strides = (stride, stride, stride)
                _emit_block(builder, rows, vectors, width, of_row, of_lane, count, out_at, strides, True)
        return context.get_dummy_value()

    return types.void(shared, index, source, index, index, out, index), codegen
