"""The optimiser SOAP: Adam in another basis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from magsim.config.checks.learning import OPTIMIZERS as ALLOWED
from magsim.learning.module import OPTIMIZERS
from magsim.learning.soap import Soap


def descend(weight: Tensor, loss: Callable[[Tensor], Tensor], kind: Any, steps: int, **options: Any) -> float:
    """Loss after so many steps from a copy of a weight."""
    weight = weight.clone().requires_grad_(True)
    optimizer = kind([weight], **options)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(weight).backward()
        optimizer.step()
    return float(loss(weight).detach())


@pytest.fixture
def regression() -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Least squares with correlated inputs of very different size."""
    torch.manual_seed(0)
    x = torch.randn(200, 12, dtype=torch.float64) * torch.logspace(0, -2, 12, dtype=torch.float64)
    x = x @ torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))[0]
    y = x @ torch.linalg.lstsq(x, torch.randn(200, 5, dtype=torch.float64)).solution
    return torch.randn(12, 5, dtype=torch.float64), lambda w: (x @ w - y).square().sum()


def test_soap_descends_where_adam_crawls_along_a_narrow_valley(regression: Any) -> None:
    weight, loss = regression
    options = {"lr": 0.1, "weight_decay": 0.0, "betas": (0.9, 0.99)}
    start = float(loss(weight))
    adam, soap = (descend(weight, loss, kind, 150, **options) for kind in (torch.optim.AdamW, Soap))
    assert soap < 0.2 * adam
    assert soap < 0.05 * start


def test_soap_is_adam_for_vectors_after_the_first_steps() -> None:
    """The covariance of a vector is a number: nothing to turn."""
    weight, goal = torch.zeros(4, dtype=torch.float64), torch.tensor([1.0, -2.0, 3.0, 0.5]).double()

    def loss(w: Tensor) -> Tensor:
        return ((w - goal) * torch.arange(1, 5)).square().sum()

    options = {"lr": 0.05, "weight_decay": 0.1, "betas": (0.9, 0.99)}
    adam, soap = (descend(weight, loss, kind, 40, **options) for kind in (torch.optim.AdamW, Soap))
    assert soap == pytest.approx(adam, rel=1e-6)


def test_the_steps_of_soap_do_not_depend_on_the_basis_of_inputs_and_outputs(regression: Any) -> None:
    weight, loss = regression
    turn = [torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0] for n in weight.shape]
    turned = turn[0] @ weight @ turn[1].T

    def difference(kind: Any, **more: Any) -> float:
        options = {"lr": 0.05, "weight_decay": 0.01, **more}
        plain = descend(weight, loss, kind, 20, **options)
        again = descend(turned, lambda w: loss(turn[0].T @ w @ turn[1]), kind, 20, **options)
        return abs(again / plain - 1)

    # the first covariance is of low rank: eigenvectors without a gradient are arbitrary until there is one
    assert difference(Soap, every=1) < 2e-3
    assert difference(torch.optim.AdamW) > 2e-2


def test_the_optimisers_that_a_configuration_may_name_are_those_that_exist() -> None:
    assert set(ALLOWED) == set(OPTIMIZERS)
