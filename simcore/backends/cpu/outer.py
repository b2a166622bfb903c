"""Register products whose both factors differ from start to start: eight starts side by side, in lanes.

``add_outer_4`` and its smaller kin sum outer products of rows of lanes, S_ij += sum_m L_im R_jm; ``add_summed_outer``
and its kin sum over the lanes too, where they are samples of one start. Every entry is summed over m in order by fused
multiply-adds, whatever the processor's registers, so a start's result depends on that start alone.

A *panel* of L holds four rows of lanes, sample by sample: row i of sample m stands at m 32 + i 8; one of R six: row j
at m 48 + j 8. A *block* of sums holds four by six: S_ij at (6 i + j) 8, or at 6 i + j where lanes are summed. So
twelve sums, two by six at a time, fill sixteen registers beside their factors, and twenty-four fill thirty-two. Where
``fresh`` is not 0, what stood in a block counts nothing.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from simcore.backends.cpu.tile import processor_tile
from simcore.backends.cpu.vector import pointer
from simcore.formulas.intrinsics import DOUBLE, WIDTH

HIGH, WIDE = 4, 6
"""Rows of a panel of L and of one of R."""
_POINTERS = ((0, 1), (0, 2), (4, 5))  # arguments that together are an address: L, R and the sums


class _Sums:
    """Emits sums of products of two panels, so many rows by columns of vectors that stay in registers."""

    def __init__(self, builder, rows, columns, width):
        self.builder, self.rows, self.columns = builder, rows, columns
        self.kind = ir.VectorType(DOUBLE, width)
        signature = ir.FunctionType(self.kind, [self.kind] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.v{width}f64")
        self.sums = [[cgutils.alloca_once(builder, self.kind) for _ in range(columns)] for _ in range(rows)]
        self.zero = ir.Constant(self.kind, [0.0] * width)

    def place(self, base, shift):
        moved = self.builder.gep(base, [ir.Constant(ir.IntType(64), shift)])
        return self.builder.bitcast(moved, self.kind.as_pointer())

    def read(self, base, shift):
        value = self.builder.load(self.place(base, shift))
        value.align = 8
        return value

    def before(self, fresh, base, shift):
        """What stands in a block, or zero."""
        return self.builder.select(fresh, self.zero, self.read(base, shift))

    def write(self, value, base, shift):
        self.builder.store(value, self.place(base, shift)).align = 8

    def add(self, a, b, count, lanes):
        """Add all samples' products of the panels at a and b, of the vectors that begin at each of ``lanes``."""
        builder = self.builder
        with cgutils.for_range(builder, count) as loop:
            left, right = (
                builder.gep(base, [builder.mul(loop.index, ir.Constant(loop.index.type, rows * WIDTH))])
                for base, rows in ((a, HIGH), (b, WIDE))
            )
            for lane in lanes:
                flat = self.rows <= self.columns
                few, many = (left, right) if flat else (right, left)
                held = [self.read(few, lane + i * WIDTH) for i in range(min(self.rows, self.columns))]
                for j in range(max(self.rows, self.columns)):  # one at a time, as registers are few
                    factor = self.read(many, lane + j * WIDTH)
                    for i, other in enumerate(held):
                        there = self.sums[i][j] if flat else self.sums[j][i]
                        builder.store(builder.call(self.fma, [other, factor, builder.load(there)]), there)


def _rows(columns):
    """How many rows of that many sums sixteen registers hold beside their factors: eight or twelve sums."""
    return 4 if columns == 2 else 2


def _product(emit, doc):
    """Make the function (panels, a, b, count, out, at, fresh) that ``emit`` writes the code of."""

    @intrinsic
    def product(typingctx, panels, a, b, count, out, at, fresh):
        def codegen(context, builder, sig, args):
            left, right, target = (pointer(context, builder, sig.args[k], args[k], args[at]) for k, at in _POINTERS)
            emit(
                builder, left, right, target, builder.icmp_signed("!=", args[6], ir.Constant(args[6].type, 0)), args[3]
            )
            return context.get_dummy_value()

        index = types.intp
        return types.void(panels, index, index, index, out, index, index), codegen

    product.__doc__ = doc
    return product


def _outer(rows, columns, doc):
    def emit(builder, left, right, target, anew, count):
        width = processor_tile().width
        together = rows if width == WIDTH else min(rows, _rows(columns))
        for lane in range(0, WIDTH, width):
            for first in range(0, rows, together):
                sums = _Sums(builder, together, columns, width)
                places = [
                    (lane + (WIDE * (first + i) + j) * WIDTH, there)
                    for i, row in enumerate(sums.sums)
                    for j, there in enumerate(row)
                ]
                for place, there in places:
                    builder.store(sums.before(anew, target, place), there)
                sums.add(builder.gep(left, [ir.Constant(count.type, first * WIDTH)]), right, count, (lane,))
                for place, there in places:
                    sums.write(builder.load(there), target, place)

    return _product(emit, doc)


def _summed_outer(columns, doc):
    """Lanes k and k + 4 are added sample by sample, then the four sums as (0 + 1) + (2 + 3), whatever the registers."""

    def emit(builder, left, right, target, anew, count):
        def shuffled(one, other, lanes):
            return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))

        def summed(one, other):
            """Return the sums over the lanes of both."""
            pair = builder.fadd(shuffled(one, other, [0, 4, 2, 6]), shuffled(one, other, [1, 5, 3, 7]))
            return builder.fadd(shuffled(pair, pair, [0, 1]), shuffled(pair, pair, [2, 3]))

        for first in range(0, HIGH, _rows(columns)):
            sums = _Sums(builder, _rows(columns), columns, 4)
            for row in sums.sums:
                for there in row:
                    builder.store(sums.zero, there)
            sums.add(builder.gep(left, [ir.Constant(count.type, first * WIDTH)]), right, count, (0, 4))
            for i, row in enumerate(sums.sums):
                for j in range(0, columns, 2):
                    pair = _Sums(builder, 0, 0, 2)
                    place, total = WIDE * (first + i) + j, summed(builder.load(row[j]), builder.load(row[j + 1]))
                    pair.write(builder.fadd(pair.before(anew, target, place), total), target, place)

    return _product(emit, doc)


add_outer_4 = _outer(4, 6, "Add to the block at ``at`` the sums of rows of the panel at a times rows of that at b.")
add_outer_4_4 = _outer(4, 4, "``add_outer_4`` for the first four rows of the panel at b alone.")
add_outer_4_2 = _outer(4, 2, "``add_outer_4`` for the first two rows of the panel at b alone.")
add_outer_2 = _outer(2, 6, "``add_outer_4`` for the first two rows of the panel at a alone.")
add_outer_1 = _outer(1, 6, "``add_outer_4`` for the first row of the panel at a alone.")
add_summed_outer = _summed_outer(6, "``add_outer_4`` of samples in lanes: sums over these too.")
add_summed_outer_4 = _summed_outer(4, "``add_summed_outer`` for the first four rows of the panel at b alone.")
add_summed_outer_2 = _summed_outer(2, "``add_summed_outer`` for the first two rows of the panel at b alone.")
