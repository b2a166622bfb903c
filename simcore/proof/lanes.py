"""Registers of several numbers side by side, of either precision, chosen by the arrays that they come from.

A kernel written with ``load``, ``store``, ``+ - * /``, comparisons and the operations below is one Python function;
Numba compiles it for arrays of float32 or of float64, and a vector fills one register of the processor either way.
Lane i of a result depends on lane i alone, so the number of lanes changes speed and never results. (The lanes of
``simcore.formulas.intrinsics`` are always eight doubles and are shared with CUDA; a tracker of paths lives from single
precision at the full width of a register.)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from simcore.backends.cpu.tile import processor_tile

REGISTER = 64 * processor_tile().width
"""Bits of a register."""
LINE = 64
"""Bytes of a cache line."""


def zeroed(kind: Any, *shape: int) -> NDArray[Any]:
    """Return zeros that begin where a cache line does: a register across two lines is read at half the speed."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(kind).reshape(shape)


class VectorType(types.Type):
    """Numba type of one register of floats; ``bits`` of each, ``width`` of them."""

    def __init__(self, bits: int) -> None:
        self.bits, self.width = bits, REGISTER // bits
        self.element = types.float32 if bits == 32 else types.float64
        super().__init__(name=f"register_of_float{bits}x{self.width}")

    @property
    def vector(self) -> ir.VectorType:
        """LLVM's type."""
        return ir.VectorType(ir.FloatType() if self.bits == 32 else ir.DoubleType(), self.width)


class FlagsType(types.Type):
    """Numba type of one boolean a lane."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"flags_of_{width}_lanes")


SINGLES, DOUBLES = VectorType(32), VectorType(64)
_KINDS = (SINGLES, DOUBLES)
_FLAGS = {kind: FlagsType(kind.width) for kind in _KINDS}
_NUMBERS = (types.float64, types.float32, types.int64)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, fe_type.vector)


@register_model(FlagsType)
class _FlagsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), fe_type.width))


def _splat(builder: Any, kind: VectorType, scalar: Any) -> Any:
    undefined = ir.Constant(kind.vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), kind.width), None))


def _widen(context: Any, builder: Any, kind: VectorType, given: Any, value: Any) -> Any:
    """Emit an argument of any number type as a vector."""
    if isinstance(given, VectorType):
        return value
    return _splat(builder, kind, context.cast(builder, value, given, kind.element))


def _kind(*arguments: Any) -> VectorType | None:
    """Return the vector type among arguments, None where there is none or something else than numbers beside it."""
    kinds = [a for a in arguments if isinstance(a, VectorType)]
    numbers = all(isinstance(a, (VectorType, types.Float, types.Integer)) for a in arguments)
    return kinds[0] if kinds and numbers and len(set(kinds)) == 1 else None


def _plain_number(argument: Any) -> Any:
    return types.int64 if isinstance(argument, types.Integer) else argument


# ---- operators ------------------------------------------------------------------------------------------------------
def _register_binary(op: Any, compares: bool, emit: Callable[[Any, Any, Any], Any]) -> None:
    @infer_global(op)
    class _Typer(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            kind = _kind(*args) if len(args) == 2 else None
            if kind is None:
                return None
            return signature(_FLAGS[kind] if compares else kind, *map(_plain_number, args))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = _kind(*sig.args)
        assert kind is not None
        left, right = (_widen(context, builder, kind, t, v) for t, v in zip(sig.args, args, strict=True))
        return emit(builder, left, right)

    for kind in _KINDS:
        for pair in ((kind, kind), *[p for number in _NUMBERS for p in ((kind, number), (number, kind))]):
            lower_builtin(op, *pair)(lower)


def _arithmetic(name: str) -> Callable[[Any, Any, Any], Any]:
    return lambda builder, x, y: getattr(builder, name)(x, y)


def _comparison(sign: str) -> Callable[[Any, Any, Any], Any]:
    return lambda builder, x, y: builder.fcmp_ordered(sign, x, y)


for _op, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _register_binary(_op, False, _arithmetic(_name))
for _op, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register_binary(_op, True, _comparison(_sign))


@infer_global(operator.neg)
class _Negation(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], args[0]) if len(args) == 1 and isinstance(args[0], VectorType) else None


def _negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fneg(args[0])


def _either(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.or_(*args)


@infer_global(operator.or_)
class _Either(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        same = len(args) == 2 and isinstance(args[0], FlagsType) and args[0] == args[1]
        return signature(args[0], *args) if same else None


for _vector in _KINDS:
    lower_builtin(operator.neg, _vector)(_negate)
    lower_builtin(operator.or_, _FLAGS[_vector], _FLAGS[_vector])(_either)


# ---- operations -----------------------------------------------------------------------------------------------------
def _operation(name: str, arguments: tuple[Any, ...]) -> Any:
    kind = _kind(*arguments)
    if kind is None:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = [_widen(context, builder, kind, t, v) for t, v in zip(sig.args, args, strict=True)]
        shape = ir.FunctionType(kind.vector, [kind.vector] * len(wide))
        function = cgutils.get_or_insert_function(builder.module, shape, f"llvm.{name}.v{kind.width}f{kind.bits}")
        return builder.call(function, wide)

    return kind(*map(_plain_number, arguments)), codegen


@intrinsic
def fma(typingctx, x, y, z):
    """x y + z with one rounding."""
    return _operation("fma", (x, y, z))


@intrinsic
def sqrt(typingctx, x):
    """Correctly rounded square root."""
    return _operation("sqrt", (x,))


@intrinsic
def maximum(typingctx, x, y):
    """The larger argument; the other one where one is NaN."""
    return _operation("maxnum", (x, y))


@intrinsic
def minimum(typingctx, x, y):
    """The smaller argument; the other one where one is NaN."""
    return _operation("minnum", (x, y))


@intrinsic
def select(typingctx, condition, x, y):
    """x where the condition holds, else y, lane by lane."""
    kind = _kind(x, y)

    def codegen(context, builder, sig, args):
        x, y = (_widen(context, builder, kind, t, v) for t, v in zip(sig.args[1:], args[1:], strict=True))
        return builder.select(args[0], x, y)

    return kind(condition, _plain_number(x), _plain_number(y)), codegen


@intrinsic
def any_lane(typingctx, condition):
    """Whether a condition holds in at least one lane."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(condition.width))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(condition), codegen


# ---- memory ---------------------------------------------------------------------------------------------------------
def _of(array: Any) -> VectorType:
    return SINGLES if array.dtype == types.float32 else DOUBLES


def _address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


@intrinsic
def width(typingctx, array):
    """Lanes of a vector of the array's precision."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        return ir.Constant(ir.IntType(64), kind.width)

    return types.intp(array), codegen


@intrinsic
def load(typingctx, array, offset):
    """The vector array[offset : offset + width]."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        address = builder.bitcast(_address(context, builder, sig.args[0], *args), kind.vector.as_pointer())
        value = builder.load(address)
        value.align = kind.bits // 8
        return value

    return kind(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """Set array[offset : offset + width] to a vector, or to copies of a number."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        wide = _widen(context, builder, kind, sig.args[2], args[2])
        address = builder.bitcast(_address(context, builder, sig.args[0], *args[:2]), kind.vector.as_pointer())
        builder.store(wide, address).align = kind.bits // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, _plain_number(value)), codegen


@intrinsic
def broadcast(typingctx, array, offset):
    """Copies of array[offset]."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        return _splat(builder, kind, builder.load(_address(context, builder, sig.args[0], *args)))

    return kind(array, types.intp), codegen


@intrinsic
def zeros(typingctx, array):
    """A vector of zeros of the array's precision."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        return ir.Constant(kind.vector, [0.0] * kind.width)

    return kind(array), codegen
