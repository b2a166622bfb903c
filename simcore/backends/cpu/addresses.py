"""Compiled code that is reached by its address: it is compiled once, not again as a part of every caller.

LLVM optimises what a function calls once more as a part of that function. For code as large as the network kernel that
would cost each caller as much as the kernel itself; a call by address costs nanoseconds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from simcore.compilation import jit

FAR = 2**40  # elements that an array given by its address alone is taken to have


@intrinsic
def _pointer(typingctx, address, kind):
    """The address as a pointer to numbers of a kind."""

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return types.CPointer(kind.dtype)(address, kind), codegen


@jit(inline=True)
def flat(address):
    """The flat float64 array at an address."""
    return carray(_pointer(address, types.float64), (FAR,))


@jit(inline=True)
def flat_integers(address):
    """The flat int64 array at an address."""
    return carray(_pointer(address, types.int64), (FAR,))


def address_of(function: Any, *arguments: Any) -> int:
    """Return the address of a compiled function for these argument types, compiling it where needed."""
    function.compile(arguments)
    compiled = function.overloads[arguments]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@intrinsic
def call(typingctx, address, a, b, c, d, e, f, g):
    """Call the compiled function at an address with seven whole numbers; return 0 unless it raised."""
    whole = types.int64

    def codegen(context, builder, sig, args):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [byte.as_pointer(), byte.as_pointer(), *[ir.IntType(64)] * 7])
        function = builder.inttoptr(args[0], kind.as_pointer())
        result, error = builder.alloca(byte), builder.alloca(byte)
        return builder.call(function, [result, error, *args[1:]])

    return types.int32(whole, whole, whole, whole, whole, whole, whole, whole), codegen
