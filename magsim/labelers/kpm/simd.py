"""Eight float64 at a time in numba functions, in registers.

Loops over a short contiguous axis inside a kernel leave the compiler to prove that arrays do not overlap,
which it cannot: the vectors are therefore spelled out. LLVM turns the eight lanes into whatever the processor
has (one AVX-512 register, two of AVX2, four of NEON).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import models, register_model

LANES = 8
intrinsic: Any = extending.intrinsic  # what it makes is called from numba code, not as declared here
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_FAST = ("contract", "reassoc", "nsz")


class Lanes(types.Type):
    """The numba type of eight float64."""

    def __init__(self) -> None:
        super().__init__(name="Lanes8")


lanes = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """The eight numbers of a flat float64 array from ``index`` on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_pointer(context, builder, signature.args[0], *args))
        value.align = 8
        return value

    return lanes(array, types.intp), code


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write eight numbers into a flat float64 array from ``index`` on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], target).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), code


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """One number in all lanes."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), args[0], ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(start, ir.Constant(_VECTOR, ir.Undefined), mask)

    return lanes(types.float64), code


@intrinsic
def mul(typing: Any, a: Any, b: Any) -> Any:
    """``a b``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(args[0], args[1], flags=_FAST)

    return lanes(lanes, lanes), code


@intrinsic
def sub(typing: Any, a: Any, b: Any) -> Any:
    """``a - b``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fsub(args[0], args[1], flags=_FAST)

    return lanes(lanes, lanes), code


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a b + c``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(builder.fmul(args[0], args[1], flags=_FAST), args[2], flags=_FAST)

    return lanes(lanes, lanes, lanes), code


@intrinsic
def fnma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``c - a b``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fsub(args[2], builder.fmul(args[0], args[1], flags=_FAST), flags=_FAST)

    return lanes(lanes, lanes, lanes), code


@intrinsic
def total(typing: Any, a: Any) -> Any:
    """The sum of the lanes."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        parts = [builder.extract_element(args[0], ir.IntType(32)(k)) for k in range(LANES)]
        while len(parts) > 1:
            parts = [builder.fadd(p, q) for p, q in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return types.float64(lanes), code


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros in float64 that start at a cache line, so that no vector straddles two."""
    size = int(np.prod(shape))
    raw = np.zeros(size + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + size].reshape(shape)
