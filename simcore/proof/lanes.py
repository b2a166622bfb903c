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


class PairType(types.Type):
    """Numba type of complex numbers: a register of real parts and one of imaginary parts."""

    def __init__(self, kind: VectorType) -> None:
        self.kind = kind
        super().__init__(name=f"complex_{kind.name}")

    @property
    def structure(self) -> ir.LiteralStructType:
        """LLVM's type."""
        return ir.LiteralStructType([self.kind.vector, self.kind.vector])


SINGLES, DOUBLES = VectorType(32), VectorType(64)
_KINDS = (SINGLES, DOUBLES)
_FLAGS = {kind: FlagsType(kind.width) for kind in _KINDS}
_PAIRS = {kind: PairType(kind) for kind in _KINDS}
_NUMBERS = (types.float64, types.float32, types.int64)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, fe_type.vector)


@register_model(PairType)
class _PairModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, fe_type.structure)


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
    """x y + z with one rounding; complex: two on each part of a product, one where x or y is real."""
    return _operation("fma", (x, y, z)) or _complex_operation((x, y, z), _multiplied_in)


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


# ---- complex numbers ------------------------------------------------------------------------------------------------
def _parts(context: Any, builder: Any, kind: VectorType, given: Any, value: Any) -> tuple[Any, Any]:
    """Emit the real and imaginary part of an argument; no imaginary part of one that is real by type."""
    if isinstance(given, PairType):
        return builder.extract_value(value, 0), builder.extract_value(value, 1)
    return _widen(context, builder, kind, given, value), None


def _joined(builder: Any, kind: VectorType, r: Any, i: Any) -> Any:
    empty = ir.Constant(_PAIRS[kind].structure, ir.Undefined)
    return builder.insert_value(builder.insert_value(empty, r, 0), i, 1)


def _fused(builder: Any, kind: VectorType, x: Any, y: Any, z: Any) -> Any:
    shape = ir.FunctionType(kind.vector, [kind.vector] * 3)
    name = f"llvm.fma.v{kind.width}f{kind.bits}"
    return builder.call(cgutils.get_or_insert_function(builder.module, shape, name), (x, y, z))


def _complex_kind(*arguments: Any) -> VectorType | None:
    """Return the kind of complex arguments among numbers and vectors of that kind, None where there are none."""
    kinds = {a.kind for a in arguments if isinstance(a, PairType)}
    fit = all(a.kind in kinds if isinstance(a, PairType) else a in kinds or _is_number(a) for a in arguments)
    return kinds.pop() if len(kinds) == 1 and fit else None


def _is_number(argument: Any) -> bool:
    return isinstance(argument, (types.Float, types.Integer))


def _sum(b: Any, kind: VectorType, x: Any, y: Any) -> Any:
    return b.fadd(x[0], y[0]), b.fadd(x[1], y[1])


def _difference(b: Any, kind: VectorType, x: Any, y: Any) -> Any:
    return b.fsub(x[0], y[0]), b.fsub(x[1], y[1])


def _product(b: Any, kind: VectorType, x: Any, y: Any) -> Any:
    if x[1] is None or y[1] is None:
        (a, _), (r, i) = (x, y) if x[1] is None else (y, x)
        return b.fmul(a, r), b.fmul(a, i)
    r = _fused(b, kind, x[0], y[0], b.fneg(b.fmul(x[1], y[1])))
    return r, _fused(b, kind, x[0], y[1], b.fmul(x[1], y[0]))


def _multiplied_in(b: Any, kind: VectorType, x: Any, y: Any, z: Any) -> Any:
    """z + x y, two roundings on each part of a complex product, one of a real multiple."""
    if x[1] is None or y[1] is None:
        (a, _), (r, i) = (x, y) if x[1] is None else (y, x)
        return _fused(b, kind, a, r, z[0]), _fused(b, kind, a, i, z[1])
    r, i = _fused(b, kind, x[0], y[0], z[0]), _fused(b, kind, x[0], y[1], z[1])
    return _fused(b, kind, b.fneg(x[1]), y[1], r), _fused(b, kind, x[1], y[0], i)


def _complex_operation(arguments: tuple[Any, ...], emit: Callable[..., Any]) -> Any:
    kind = _complex_kind(*arguments)
    if kind is None:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts = [_parts(context, builder, kind, t, v) for t, v in zip(sig.args, args, strict=True)]
        return _joined(builder, kind, *emit(builder, kind, *parts))

    return _PAIRS[kind](*map(_plain_number, arguments)), codegen


def _register_complex(op: Any, emit: Callable[..., Any], scales: bool) -> None:
    """Register an operator of two complex numbers, ``scales``: or of one and a real one."""

    @infer_global(op)
    class _Typer(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            fit = len(args) == 2 and (scales or all(isinstance(a, PairType) for a in args))
            made = _complex_operation(args, emit) if fit else None
            return None if made is None else made[0]

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _complex_operation(sig.args, emit)[1](context, builder, sig, args)

    for kind, pair in _PAIRS.items():
        for other in (kind, *_NUMBERS) if scales else ():
            lower_builtin(op, pair, other)(lower)
            lower_builtin(op, other, pair)(lower)
        lower_builtin(op, pair, pair)(lower)


for _op, _emit in ((operator.add, _sum), (operator.sub, _difference), (operator.mul, _product)):
    _register_complex(_op, _emit, scales=_op is operator.mul)


@infer_global(operator.neg)
class _ComplexNegation(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], args[0]) if len(args) == 1 and isinstance(args[0], PairType) else None


def _negate_both(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    r, i = _parts(context, builder, sig.args[0].kind, sig.args[0], args[0])
    return _joined(builder, sig.args[0].kind, builder.fneg(r), builder.fneg(i))


for _pair in _PAIRS.values():
    lower_builtin(operator.neg, _pair)(_negate_both)


@intrinsic
def pair(typingctx, r, i):
    """The complex numbers r + i i of two vectors."""
    return _PAIRS[r](r, i), lambda context, builder, sig, args: _joined(builder, r, *args)


@intrinsic
def real(typingctx, z):
    """Real parts."""
    return z.kind(z), lambda context, builder, sig, args: builder.extract_value(args[0], 0)


@intrinsic
def imag(typingctx, z):
    """Imaginary parts."""
    return z.kind(z), lambda context, builder, sig, args: builder.extract_value(args[0], 1)


@intrinsic
def turned(typingctx, z):
    """i z."""

    def codegen(context, builder, sig, args):
        r, i = _parts(context, builder, z.kind, z, args[0])
        return _joined(builder, z.kind, builder.fneg(i), r)

    return z(z), codegen


@intrinsic
def take(typingctx, array, offset):
    """The complex numbers whose real parts stand at array[offset : offset + width], imaginary parts behind them."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        return _joined(builder, kind, *_halves(context, builder, kind, sig.args[0], args, builder.load))

    return _PAIRS[kind](array, types.intp), codegen


@intrinsic
def put(typingctx, array, offset, z):
    """Store complex numbers as ``take`` reads them."""

    def codegen(context, builder, sig, args):
        parts = iter(_parts(context, builder, z.kind, z, args[2]))
        _halves(context, builder, z.kind, sig.args[0], args[:2], lambda address: builder.store(next(parts), address))
        return context.get_dummy_value()

    return types.void(array, types.intp, z), codegen


def _halves(context: Any, builder: Any, kind: VectorType, array: Any, args: Any, access: Callable[[Any], Any]) -> Any:
    """Emit access to real and imaginary parts; return what it gave."""
    found = []
    for half in (0, kind.width):
        offset = builder.add(args[1], ir.Constant(args[1].type, half))
        address = builder.bitcast(_address(context, builder, array, args[0], offset), kind.vector.as_pointer())
        instruction = access(address)
        instruction.align = kind.bits // 8
        found.append(instruction)
    return found


@intrinsic
def nothing(typingctx, array):
    """Complex zeros of the array's precision."""
    kind = _of(array)

    def codegen(context, builder, sig, args):
        return ir.Constant(_PAIRS[kind].structure, None)

    return _PAIRS[kind](array), codegen
