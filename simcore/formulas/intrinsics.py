"""Arithmetic of two widths: a double, and eight doubles side by side (``Lanes``).

A formula written with ``+ - * /``, comparisons and the operations below is one Python function that Numba compiles for
a ``float64`` (reference checks, CUDA threads) or for eight lanes (CPU kernels); lane i of a result is bit for bit what
the scalar version gives for lane i. Nothing here depends on the processor: LLVM maps eight lanes to one AVX-512
register, two AVX2 registers or four NEON registers.

Products that meet a sum are written with ``fma`` throughout, so no compiler has a contraction left to make and every
target rounds alike.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

WIDTH = 8
DOUBLE = ir.DoubleType()
INT64 = ir.IntType(64)
VECTOR = ir.VectorType(DOUBLE, WIDTH)
INT_VECTOR = ir.VectorType(INT64, WIDTH)
MASK_VECTOR = ir.VectorType(ir.IntType(1), WIDTH)


class LanesType(types.Type):
    """Numba type of eight doubles."""

    def __init__(self) -> None:
        super().__init__(name="float64x8")


class MaskType(types.Type):
    """Numba type of eight booleans."""

    def __init__(self) -> None:
        super().__init__(name="mask8")


lanes = LanesType()
mask = MaskType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, VECTOR)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, MASK_VECTOR)


def splat(builder: Any, scalar: Any) -> Any:
    """Emit the eight-lane value whose lanes all equal a scalar."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def _widen(context: Any, builder: Any, given: Any, value: Any) -> Any:
    """Emit an argument of any number type as eight lanes."""
    if given == lanes:
        return value
    return splat(builder, context.cast(builder, value, given, types.float64))


def _has_lanes(*arguments: Any) -> bool:
    return lanes in arguments and all(a == lanes or isinstance(a, (types.Float, types.Integer)) for a in arguments)


# ---- operators on lanes ---------------------------------------------------------------------------------------------
_ARITHMETIC = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
_COMPARISON = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="}
_PAIRS = [(lanes, lanes), *[pair for other in (types.float64, types.intp) for pair in ((lanes, other), (other, lanes))]]


def _register_binary(op: Any, result: Any, emit: Callable[[Any, Any, Any], Any]) -> None:
    @infer_global(op)
    class _Typer(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and _has_lanes(*args):
                chosen = [a if a == lanes or a == types.float64 else types.intp for a in args]
                return signature(result, *chosen)
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left, right = (_widen(context, builder, t, v) for t, v in zip(sig.args, args, strict=True))
        return emit(builder, left, right)

    for pair in _PAIRS:
        lower_builtin(op, *pair)(lower)


for _op, _instruction in _ARITHMETIC.items():
    _register_binary(_op, lanes, lambda b, x, y, name=_instruction: getattr(b, name)(x, y))
for _op, _sign in _COMPARISON.items():
    _register_binary(_op, mask, lambda b, x, y, sign=_sign: b.fcmp_ordered(sign, x, y))


@infer_global(operator.neg)
class _Negation(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(lanes, lanes) if tuple(args) == (lanes,) else None


@lower_builtin(operator.neg, lanes)
def _negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fneg(args[0])


for _op, _instruction in ((operator.and_, "and_"), (operator.or_, "or_")):

    def _register_mask(op: Any, name: str) -> None:
        @infer_global(op)
        class _Typer(AbstractTemplate):
            def generic(self, args: Any, kws: Any) -> Any:
                return signature(mask, mask, mask) if tuple(args) == (mask, mask) else None

        @lower_builtin(op, mask, mask)
        def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return getattr(builder, name)(*args)

    _register_mask(_op, _instruction)


# ---- operations of either width -------------------------------------------------------------------------------------
def _llvm_name(operation: str, wide: bool) -> str:
    return f"llvm.{operation}.v{WIDTH}f64" if wide else f"llvm.{operation}.f64"


def _call(builder: Any, operation: str, wide: bool, args: Any) -> Any:
    kind = VECTOR if wide else DOUBLE
    name = _llvm_name(operation, wide)
    if operation in ("rint", "fabs") and builder.module.triple.startswith("nvptx"):
        name = f"__nv_{operation}"  # NVVM refuses these two intrinsics; its library has the functions
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * len(args)), name)
    return builder.call(function, args)


def _same_width(operation: str, arity: int, doc: str) -> Any:
    """Return the intrinsic of an LLVM operation whose arguments and result have one width."""

    def typer(arguments: tuple[Any, ...]) -> Any:
        wide = lanes in arguments
        chosen = [a if a == lanes else types.float64 for a in arguments]
        result = lanes if wide else types.float64

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            if wide:
                args = [_widen(context, builder, t, v) for t, v in zip(sig.args, args, strict=True)]
            return _call(builder, operation, wide, list(args))

        return result(*chosen), codegen

    if arity == 1:

        @intrinsic
        def unary(typingctx, x):
            return typer((x,))

        unary.__doc__ = doc
        return unary
    if arity == 2:

        @intrinsic
        def binary(typingctx, x, y):
            return typer((x, y))

        binary.__doc__ = doc
        return binary

    @intrinsic
    def ternary(typingctx, x, y, z):
        return typer((x, y, z))

    ternary.__doc__ = doc
    return ternary


fma = _same_width("fma", 3, "x y + z with one rounding.")
rint = _same_width("rint", 1, "Nearest whole number, ties to even.")
floor = _same_width("floor", 1, "Largest whole number not above x.")
sqrt = _same_width("sqrt", 1, "Correctly rounded square root.")
absolute = _same_width("fabs", 1, "|x|.")
maximum = _same_width("maxnum", 2, "The larger argument; the other one where one is NaN.")
minimum = _same_width("minnum", 2, "The smaller argument; the other one where one is NaN.")


@intrinsic
def product(typingctx, x, y):
    """x y, rounded before anything is added to it: on a GPU plain products are fused with sums without being asked."""
    result = lanes if lanes in (x, y) else types.float64

    def codegen(context, builder, sig, args):
        if result == lanes:
            x, y = (_widen(context, builder, t, v) for t, v in zip(sig.args, args, strict=True))
            return builder.fmul(x, y)
        if builder.module.triple.startswith("nvptx"):
            kind = ir.FunctionType(DOUBLE, [DOUBLE, DOUBLE])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, "__nv_dmul_rn"), args)
        return builder.fmul(*args)

    return result(*(lanes if a == lanes else types.float64 for a in (x, y))), codegen


@intrinsic
def select(typingctx, condition, x, y):
    """x where the condition holds, else y, lane by lane."""
    wide = condition == mask
    result = lanes if wide else types.float64
    chosen = [lanes if a == lanes else types.float64 for a in (x, y)]

    def codegen(context, builder, sig, args):
        condition, x, y = args
        if wide:
            x, y = (_widen(context, builder, t, v) for t, v in zip(sig.args[1:], (x, y), strict=True))
        return builder.select(condition, x, y)

    return result(mask if wide else types.boolean, *chosen), codegen


def whole(builder: Any, x: Any, wide: bool) -> Any:
    """Emit integers whose last 51 bits are those of the whole numbers x.

    In lanes a sum does it: whole numbers plus 1.5 2^52 are doubles whose last bits are theirs, where processors before
    AVX-512 convert lanes one by one. One number, and so a device's thread, is converted by its own instruction: the
    sum would leave an assembler a product to contract with.
    """
    if not wide:
        return builder.fptosi(x, INT64)
    return builder.bitcast(builder.fadd(x, ir.Constant(VECTOR, [1.5 * 2.0**52] * WIDTH)), INT_VECTOR)


def _quadrant_test(shift: int, bit: int, doc: str) -> Any:
    @intrinsic
    def test(typingctx, q):
        wide = q == lanes
        kind = INT_VECTOR if wide else INT64

        def codegen(context, builder, sig, args):
            def constant(k: int) -> Any:
                return ir.Constant(kind, [k] * WIDTH if wide else k)

            quadrant = builder.add(whole(builder, args[0], wide), constant(shift))
            return builder.icmp_signed("!=", builder.and_(quadrant, constant(bit)), constant(0))

        return (mask if wide else types.boolean)(q), codegen

    test.__doc__ = doc
    return test


is_odd = _quadrant_test(0, 1, "Whether the whole number q is odd.")
sine_is_negative = _quadrant_test(0, 2, "Whether sin is negative in quadrant q (modulo 4).")
cosine_is_negative = _quadrant_test(1, 2, "Whether cos is negative in quadrant q (modulo 4).")

# Bits of sqrt(1/2), rounded down to its upper half: mantissas are taken in [sqrt(1/2), sqrt(2)).
_SQRT_HALF_BITS = 0x3FE6A09E00000000


def _split(part: str, doc: str) -> Any:
    @intrinsic
    def split(typingctx, x):
        wide = x == lanes
        kind, real = (INT_VECTOR, VECTOR) if wide else (INT64, DOUBLE)

        def codegen(context, builder, sig, args):
            def constant(k: int) -> Any:
                return ir.Constant(kind, [k] * WIDTH if wide else k)

            bits = builder.bitcast(args[0], kind)
            exponent = builder.ashr(builder.sub(bits, constant(_SQRT_HALF_BITS)), constant(52))
            if part == "exponent":
                return builder.sitofp(exponent, real)
            return builder.bitcast(builder.sub(bits, builder.shl(exponent, constant(52))), real)

        return x(x), codegen

    split.__doc__ = doc
    return split


binary_exponent = _split("exponent", "k of x = 2^k m with m in [sqrt(1/2), sqrt(2)); x positive and normal.")
binary_mantissa = _split("mantissa", "m of x = 2^k m with m in [sqrt(1/2), sqrt(2)); x positive and normal.")


@intrinsic
def invert(typingctx, condition):
    """The negation of a mask."""

    def codegen(context, builder, sig, args):
        return builder.not_(args[0])

    return mask(mask), codegen
