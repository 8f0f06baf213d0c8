"""Operations on vectors as operations on their components, so that a compiler makes one loop over the sites.

A cross or a scalar product mixes the components of a vector: as operations on ``(R, N, 3)`` each of them ends
one loop and begins another, and every loop goes through the memory. On three ``(R, N)`` all are elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

aten: Any = torch.ops.aten


class NotKnownError(NotImplementedError):
    """An operation on vectors that cannot be written in components here."""


@dataclass(frozen=True)
class Vectors:
    """``(..., 3)`` by its components, each ``(...)``; ``above``: the components are the last axis but one."""

    parts: tuple[Tensor, ...]
    above: bool = False

    def map(self, function: Callable[[Tensor], Tensor]) -> Vectors:
        """The same function of every component."""
        return Vectors(tuple(function(part) for part in self.parts))


def joined(value: Any) -> Any:
    """Vectors as a tensor, in memory x of all sites, y of all, z of all."""
    return torch.stack(value.parts, -2).transpose(-1, -2) if isinstance(value, Vectors) else value


def of_components(graph: GraphModule) -> Callable[..., Tensor]:
    """The function of a graph with vectors ``(R, N, 3)`` taken apart, from and to the same tensors.

    Raises:
        NotKnownError: when called, if an operation on vectors is not known.
    """

    def function(*values: Tensor) -> Tensor:
        taken = [Vectors(v.unbind(-1)) if v.dim() == 3 and v.shape[-1] == 3 else v for v in values]
        found: Tensor = joined(_Components(graph).run(*taken))
        return found

    return function


class _Components(Interpreter):
    """Runs a graph on components."""

    def run_node(self, n: Node) -> Any:
        if n.op != "call_function":
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        with_vectors = any(isinstance(a, Vectors) for a in torch.utils._pytree.tree_leaves(args))
        if not with_vectors:
            if n.target is aten.stack.default and len(args[0]) == 3 and args[1] == args[0][0].dim() - 1:
                return Vectors(tuple(args[0]), above=True)
            return super().run_node(n)
        if n.target in ELEMENTWISE:
            return _elementwise(n.target, args, kwargs)
        if n.target in SPECIAL and not kwargs:
            return SPECIAL[n.target](*args)
        raise NotKnownError(str(n.target))


ELEMENTWISE = {
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.rsub.Scalar,
    aten.neg.default,
    aten.pow.Tensor_Scalar,
    aten.sqrt.default,
    aten.zeros_like.default,
    aten._to_copy.default,
    aten.clone.default,
}


def _elementwise(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Vectors:
    kwargs = {key: value for key, value in kwargs.items() if key != "memory_format"}
    return Vectors(tuple(operation(*(_component(a, k) for a in args), **kwargs) for k in range(3)))


def _component(value: Any, k: int) -> Any:
    """What meets component k in an elementwise operation."""
    if isinstance(value, Vectors):
        _last(value)
        return value.parts[k]
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    if value.shape[-1] not in (1, 3):
        raise NotKnownError(f"shape {tuple(value.shape)}")
    return value.select(-1, k if value.shape[-1] == 3 else 0)


def _last(value: Vectors) -> None:
    if value.above:
        raise NotKnownError("components that are not last")


def _axis(value: Vectors, dim: int) -> int:
    """An axis of the vectors that is not that of their components."""
    _last(value)
    n = value.parts[0].dim() + 1
    if dim % n == n - 1:
        raise NotKnownError("an operation along the components")
    return dim % n


def _view(value: Vectors, shape: Sequence[int]) -> Vectors:
    _last(value)
    if shape[-1] != 3:
        raise NotKnownError(f"shape {tuple(shape)}")
    return value.map(lambda x: x.reshape(shape[:-1]))


def _along(operation: Any) -> Callable[..., Vectors]:
    def apply(value: Vectors, dim: int = 0, *rest: Any) -> Vectors:
        axis = _axis(value, dim)
        return value.map(lambda x: operation(x, axis, *rest))

    return apply


def _roll(value: Vectors, shifts: Sequence[int], dims: Sequence[int]) -> Vectors:
    axes = [_axis(value, dim) for dim in dims]
    return value.map(lambda x: x.roll(shifts, axes))


def _cat(values: Sequence[Any], dim: int = 0) -> Vectors:
    return _together(torch.cat, values, _axis(values[0], dim))


def _stack(values: Sequence[Any], dim: int = 0) -> Vectors:
    n = values[0].parts[0].dim() + 2
    if dim % n == n - 1:
        raise NotKnownError("an operation along the components")
    if len(values) == 1:  # no copy
        return values[0].map(lambda x: x.unsqueeze(dim % n))
    return _together(torch.stack, values, dim % n)


def _together(operation: Any, values: Sequence[Any], axis: int) -> Vectors:
    return Vectors(tuple(operation([_component(v, k) for v in values], axis) for k in range(3)))


def _cross(a: Any, b: Any, dim: int = -1) -> Vectors:
    if dim != -1:
        raise NotKnownError("an operation along the components")
    a0, a1, a2 = (_component(a, k) for k in range(3))
    b0, b1, b2 = (_component(b, k) for k in range(3))
    return Vectors((a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0))


def _sum(value: Vectors, dims: Sequence[int], keepdim: bool = False) -> Tensor:
    _last(value)
    x, y, z = value.parts
    if [dim % (x.dim() + 1) for dim in dims] != [x.dim()]:
        raise NotKnownError("a sum over sites")
    total = x + y + z
    return total.unsqueeze(-1) if keepdim else total


def _transpose(value: Vectors, a: int, b: int) -> Vectors:
    n = value.parts[0].dim() + 1
    if {a % n, b % n} != {n - 1, n - 2} or not value.above:
        raise NotKnownError("a transposition")
    return Vectors(value.parts)


SPECIAL: dict[Any, Callable[..., Any]] = {
    aten.view.default: _view,
    aten.select.int: _along(aten.select.int),
    aten.slice.Tensor: _along(aten.slice.Tensor),
    aten.roll.default: _roll,
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.linalg_cross.default: _cross,
    aten.sum.dim_IntList: _sum,
    aten.transpose.int: _transpose,
}
