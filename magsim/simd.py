"""Eight float64 at a time in numba functions, in registers: ``+ - * /`` work on them as on numbers.

Loops over a short contiguous axis inside a kernel leave the compiler to prove that arrays do not overlap,
which it cannot: the vectors are therefore spelled out. LLVM turns the eight lanes into whatever the processor
has (one AVX-512 register, two of AVX2, four of NEON).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
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


def _binary(name: str, doc: str) -> Any:
    """An operation of two vectors that LLVM has an instruction for."""

    def operation(typing: Any, a: Any, b: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(args[0], args[1], flags=("contract",))

        return lanes(lanes, lanes), code

    operation.__name__, operation.__doc__ = name, doc
    return intrinsic(operation)


_add = _binary("fadd", "``a + b``.")
_minus = _binary("fsub", "``a - b``.")
_times = _binary("fmul", "``a b``.")
_over = _binary("fdiv", "``a / b``.")


def _define(symbol: Any, operation: Any) -> None:
    """The operator for two vectors, and for a vector and a number."""

    @extending.overload(symbol, strict=False)  # annotations differ
    def typed(a: Any, b: Any) -> Any:
        if a is lanes and b is lanes:
            return lambda a, b: operation(a, b)
        if a is lanes and isinstance(b, types.Float):
            return lambda a, b: operation(a, splat(b))
        if b is lanes and isinstance(a, types.Float):
            return lambda a, b: operation(splat(a), b)
        return None


for _symbol, _operation in (
    (operator.add, _add),
    (operator.sub, _minus),
    (operator.mul, _times),
    (operator.truediv, _over),
):
    _define(_symbol, _operation)


def _llvm(builder: Any, name: str) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64")


def _unary(name: str, doc: str) -> Any:
    """A function of one vector that LLVM knows by name."""

    def function(typing: Any, a: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.call(_llvm(builder, name), args)

        return lanes(lanes), code

    function.__name__, function.__doc__ = name, doc
    return intrinsic(function)


sqrt = _unary("sqrt", "Square roots.")
rint = _unary("rint", "The nearest integers.")


@intrinsic
def largest(typing: Any, a: Any) -> Any:
    """The largest of the absolute values; not that of a NaN."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        absolute = builder.call(_llvm(builder, "fabs"), args)
        parts = [builder.extract_element(absolute, ir.IntType(32)(k)) for k in range(LANES)]
        best = parts[0]
        for part in parts[1:]:
            best = builder.select(builder.fcmp_ordered(">", part, best), part, best)
        return best

    return types.float64(lanes), code


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
