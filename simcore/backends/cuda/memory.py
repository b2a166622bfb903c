"""Items of flat arrays by plain address: no test for negative indices, which would cost more than the arithmetic.

``store`` and ``load`` take an offset in items that the caller keeps in range, as the cpu kernels' do.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from simcore.backends.cuda.device import SIMULATED


@intrinsic
def _load(typingctx, array, offset):
    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.int64), codegen


@intrinsic
def _store(typingctx, array, offset, value):
    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), codegen


@intrinsic
def _part(typingctx, array, begin, length):
    def codegen(context, builder, sig, args):
        kind = sig.args[0]
        whole = context.make_array(kind)(context, builder, args[0])
        view = context.make_array(kind)(context, builder)
        populate_array(
            view,
            data=builder.gep(whole.data, [args[1]]),
            shape=[args[2]],
            strides=[whole.itemsize],
            itemsize=whole.itemsize,
            meminfo=None,
            parent=None,
        )
        return view._getvalue()

    return array(array, types.int64, types.int64), codegen


def _python_load(array: Any, offset: int) -> Any:
    return array[offset]


def _python_store(array: Any, offset: int, value: Any) -> None:
    array[offset] = value


def _python_part(array: Any, begin: int, length: int) -> Any:
    return array[begin : begin + length]


load = _python_load if SIMULATED else _load
"""array[offset]"""
store = _python_store if SIMULATED else _store
"""array[offset] = value"""
part = _python_part if SIMULATED else _part
"""array[begin : begin + length], without a slice's tests of its bounds, which end up in every loop over the part"""
