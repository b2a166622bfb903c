"""Register products whose both factors differ from start to start: eight starts side by side, in lanes.

``add_outer_4`` and ``add_outer_1`` sum outer products of rows of lanes, S_ij += sum_m R_im R_jm; ``add_summed_outer_4``
sums over the lanes too, where they are samples of one start. Every entry is summed over m in order by fused
multiply-adds, whatever the processor's registers, so a start's result depends on that start alone.

A *panel* holds four rows of lanes, sample by sample: row i of sample m stands at m 32 + i 8.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

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
def add_summed_outer_4(typingctx, panels, a, b, count, out, at):
    """out[at + 4 i + j] += sum over samples and lanes of rows i < 4 of the panel at a times rows j < 4 of that at b.

    Four lanes are added as (0 + 1) + (2 + 3), then the other four likewise, whatever the processor's registers.
    """
    index = types.intp

    def codegen(context, builder, sig, args):
        panels, a, b, count, out, at = args
        left = pointer(context, builder, sig.args[0], panels, a)
        right = pointer(context, builder, sig.args[0], panels, b)
        target = pointer(context, builder, sig.args[4], out, at)
        for i in range(0, 4, 2):  # two rows by four columns: eight sums beside six factors
            for lane in range(0, WIDTH, 4):
                starts = [builder.gep(base, [ir.Constant(count.type, shift)]) for base, shift in
                          ((left, lane + i * WIDTH), (right, lane), (target, 4 * i))]  # fmt: skip
                _emit_summed(builder, *starts[:2], count, starts[2])
        return context.get_dummy_value()

    return types.void(panels, index, index, index, out, index), codegen


def _emit_summed(builder, a, b, count, out):
    """Emit out[4 i + j] += sum over samples and four lanes of A_i B_j, i < 2, j < 4."""
    kind = ir.VectorType(DOUBLE, 4)
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), "llvm.fma.v4f64")

    def read(base, offset, shift):
        moved = builder.gep(base, [builder.add(offset, ir.Constant(offset.type, shift))])
        value = builder.load(builder.bitcast(moved, kind.as_pointer()))
        value.align = 8
        return value

    def shuffled(one, other, lanes):
        return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), 4), lanes))

    def halved(one, other):
        """Return [one0 + one1, other0 + other1, one2 + one3, other2 + other3]."""
        return builder.fadd(shuffled(one, other, [0, 4, 2, 6]), shuffled(one, other, [1, 5, 3, 7]))

    sums = [[cgutils.alloca_once(builder, kind) for _ in range(4)] for _ in range(2)]
    for row in sums:
        for place in row:
            builder.store(ir.Constant(kind, [0.0] * 4), place)
    with cgutils.for_range(builder, count) as loop:
        sample = builder.mul(loop.index, ir.Constant(loop.index.type, PANEL))
        right = [read(b, sample, j * WIDTH) for j in range(4)]
        for i in range(2):
            left = read(a, sample, i * WIDTH)
            for j in range(4):
                builder.store(builder.call(fma, [left, right[j], builder.load(sums[i][j])]), sums[i][j])
    for i in range(2):
        low, high = (halved(builder.load(sums[i][j]), builder.load(sums[i][j + 1])) for j in (0, 2))
        total = builder.fadd(shuffled(low, high, [0, 1, 4, 5]), shuffled(low, high, [2, 3, 6, 7]))
        zero = ir.Constant(count.type, 0)
        before = read(out, zero, 4 * i)
        moved = builder.gep(out, [ir.Constant(count.type, 4 * i)])
        builder.store(builder.fadd(before, total), builder.bitcast(moved, kind.as_pointer())).align = 8
