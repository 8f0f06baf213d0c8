"""Adam in the eigenbasis of the gradients' covariances: fewer steps where directions differ in curvature.

N. Vyas et al., arXiv:2409.11321 (SOAP), after V. Gupta et al., arXiv:1802.09568 (Shampoo).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

LARGEST = 1024  # rows or columns of a weight whose covariance is followed


class Soap(torch.optim.Optimizer):
    """For a weight G of m rows and n columns, with ``L = <G G^T>``, ``R = <G^T G>`` (running means) and their
    eigenvectors Q_L, Q_R: the step of Adam for ``Q_L^T G Q_R``, turned back. Leading dimensions of a weight
    count as rows; vectors take plain Adam. Weight decay is decoupled.

    Args:
        params: to optimise.
        lr: learning rate.
        betas: decay of the means of the gradient, and of its square and of L and R.
        weight_decay: as in AdamW.
        every: steps between two updates of the eigenvectors (one step of orthogonal iteration).
        eps: added to the root of the mean square.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        weight_decay: float = 0.0,
        every: int = 10,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "every": every, "eps": eps}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, self.state[weight], group)
        return loss

    def _update(self, weight: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        assert weight.grad is not None
        gradient = weight.grad.flatten(0, -2) if weight.dim() > 1 else weight.grad[None]
        first, second = group["betas"]
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            for side, size in (("left", gradient.shape[0]), ("right", gradient.shape[1])):
                if weight.dim() > 1 and 1 < size <= LARGEST:
                    state[side] = gradient.new_zeros(size, size)
        state["step"] += 1
        step = state["step"]
        self._covariances(gradient, state, second, group["every"])
        state["mean"].lerp_(gradient, 1 - first)
        turned = _turned(gradient, state)
        state["square"].lerp_(turned.square(), 1 - second)
        size = (state["square"] / (1 - second**step)).sqrt_().add_(group["eps"])
        change = _back(_turned(state["mean"], state) / size, state) / (1 - first**step)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(change.reshape(weight.shape), alpha=-group["lr"])

    @staticmethod
    def _covariances(gradient: Tensor, state: dict[str, Any], decay: float, every: int) -> None:
        """Follow L and R, and now and then their eigenvectors."""
        for side in ("left", "right"):
            if side not in state:
                continue
            g = gradient if side == "left" else gradient.T
            state[side].lerp_(g @ g.T, 1 - decay)
            basis = f"{side}_basis"
            if basis not in state:
                state[basis] = torch.linalg.eigh(state[side])[1].flip(1)
            elif state["step"] % every == 0:
                old = state[basis]
                image = state[side] @ old
                order = (old * image).sum(0).argsort(descending=True)
                state[basis] = torch.linalg.qr(image[:, order])[0]
                if side == "left":
                    state["square"] = state["square"][order]
                else:
                    state["square"] = state["square"][:, order]


def _turned(x: Tensor, state: dict[str, Any]) -> Tensor:
    """Into the eigenbases."""
    if "left_basis" in state:
        x = state["left_basis"].T @ x
    return x @ state["right_basis"] if "right_basis" in state else x


def _back(x: Tensor, state: dict[str, Any]) -> Tensor:
    """Out of the eigenbases."""
    if "left_basis" in state:
        x = state["left_basis"] @ x
    return x @ state["right_basis"].T if "right_basis" in state else x
