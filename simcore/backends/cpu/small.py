"""Eight small symmetric systems at once, solved in registers by straight code: no loop, no factor in memory.

For few unknowns the loops of ``ldlt`` wait for their own results: at n = 7 they take ten times as long as their
arithmetic. Here each size has its own code, emitted when the kernel is compiled. The elimination looks to the right, so
that the updates of a column are independent of each other.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from simcore.backends.cpu.vector import pointer
from simcore.formulas.intrinsics import VECTOR, WIDTH, lanes

LARGEST = 10
"""Up to this n the code of every size is emitted; beyond it the loops are as fast."""


@intrinsic
def solve_small(typingctx, n, A, x):
    """Overwrite x (n 8) with the solution of A x = b by A = L D L', unpivoted; return the largest |d_j| of each lane.

    A, packed as ``ldlt`` says, stays as it is. 1 <= n <= LARGEST; any other n gives NaN and leaves x.
    """

    def codegen(context, builder, sig, args):
        n, A, x = args
        zero = ir.Constant(n.type, 0)
        matrix = pointer(context, builder, sig.args[1], A, zero)
        vector = pointer(context, builder, sig.args[2], x, zero)
        growth = cgutils.alloca_once(builder, VECTOR)
        builder.store(ir.Constant(VECTOR, [float("nan")] * WIDTH), growth)
        end = builder.append_basic_block("solved")
        cases = [builder.append_basic_block(f"solve_{size}") for size in range(1, LARGEST + 1)]
        switch = builder.switch(n, end)
        for size, case in enumerate(cases, start=1):
            switch.add_case(ir.Constant(n.type, size), case)
            builder.position_at_end(case)
            builder.store(_emit_solve(builder, size, matrix, vector), growth)
            builder.branch(end)
        builder.position_at_end(end)
        return builder.load(growth)

    return lanes(types.intp, A, x), codegen


def _emit_solve(builder, n, matrix, vector):
    """Emit the code of one size; return the value of the largest pivot."""

    def function(name, arity):
        kind = ir.FunctionType(VECTOR, [VECTOR] * arity)
        return cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{WIDTH}f64")

    fma, absolute, maximum = function("fma", 3), function("fabs", 1), function("maxnum", 2)
    one = ir.Constant(VECTOR, [1.0] * WIDTH)

    def place(base, row):
        at = builder.gep(base, [ir.Constant(ir.IntType(64), row * WIDTH)])
        return builder.bitcast(at, VECTOR.as_pointer())

    def read(base, row):
        value = builder.load(place(base, row))
        value.align = 8
        return value

    def less(y, a, b):
        """y - a b with one rounding."""
        return builder.call(fma, [builder.fneg(a), b, y])

    a = [[read(matrix, i * (i + 1) // 2 + j) for j in range(i + 1)] for i in range(n)]
    x = [read(vector, i) for i in range(n)]
    growth = ir.Constant(VECTOR, [0.0] * WIDTH)
    inverse = []
    for j in range(n):
        growth = builder.call(maximum, [growth, builder.call(absolute, [a[j][j]])])
        inverse.append(builder.fdiv(one, a[j][j]))
        below = [a[i][j] for i in range(j + 1, n)]
        for i in range(j + 1, n):
            a[i][j] = builder.fmul(a[i][j], inverse[j])
            for k in range(j + 1, i + 1):
                a[i][k] = less(a[i][k], a[i][j], below[k - j - 1])
            x[i] = less(x[i], a[i][j], x[j])
    for i in range(n - 1, -1, -1):
        x[i] = builder.fmul(x[i], inverse[i])
        for k in range(i + 1, n):
            x[i] = less(x[i], a[k][i], x[k])
        builder.store(x[i], place(vector, i)).align = 8
    return growth
