"""What training, checkpoints and dynamics need of a model, whatever it is made of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from magsim.lattice import Lattice

SNAPSHOTS = 16  # taken together where a whole training set passes


class Model(nn.Module, ABC):
    """A trainable field: ``energy, field = model(spins)``.

    What a model must know of its training set is in its buffers, so that it is saved with the weights.
    ``energy_scale`` also says its precision and its device.

    Attributes:
        lattice: of the spins it is bound to.
        n_features: numbers that describe the environment of one site.
        conservative: whether the field is minus the gradient of the energy.
        takes_voltage: whether ``forward`` and ``fit_statistics`` have an argument ``voltage``, the bias
            ``eV = mu_L - mu_R`` ``(B,)`` of each configuration.
        energy_scale: ``()`` rms transverse field per component in the training set.
        energy_shift: ``()`` energy per site that no field tells.
    """

    n_features: int
    conservative: bool = True
    takes_voltage: bool = False
    energy_scale: Tensor
    energy_shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("energy_scale", torch.ones(()))
        self.register_buffer("energy_shift", torch.zeros(()))

    @property
    @abstractmethod
    def lattice(self) -> Lattice:
        """The lattice it is bound to."""

    @abstractmethod
    def bind(self, lattice: Lattice) -> Model:
        """Use the same weights on another size of the same crystal; returns itself.

        Raises:
            ConfigError: what the model sees of a site does not fit on the new lattice.
        """

    @abstractmethod
    def fit_statistics(self, spins: Tensor, field: Tensor) -> None:
        """Set the normalisation from training spins and exact fields ``(B, N, 3)``."""

    @abstractmethod
    def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        """Energy ``(B,)`` and field ``(B, N, 3)`` of spins ``(B, N, 3)``; in training with a graph."""

    def given(self, voltage: Tensor | None) -> dict[str, Tensor]:
        """The bias as the argument of those models that take one, ``model(spins, **model.given(voltage))``;
        None: it is not known."""
        return {"voltage": voltage} if self.takes_voltage and voltage is not None else {}

    @property
    def radius(self) -> float:
        """Distance up to which the energy of a site (``conservative`` False: its field) depends on spins;
        infinite where it is not known."""
        return math.inf

    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        """Energy ``(B,)`` of some sites, whole rows, and field ``(B, n, 3)`` on them, of spins ``(B, N, 3)``
        on a lattice that reaches twice :attr:`radius` beyond them.

        Raises:
            ValueError: the radius is not known.
        """
        raise ValueError(f"{type(self).__name__} does not know how far its sites see: it cannot be cut.")

    def energy(self, spins: Tensor) -> Tensor:
        """Total energy ``(B,)`` of spins ``(B, N, 3)``."""
        return self(spins)[0]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """The state in which the model is recorded as a graph: all sites at once, by operations that any
        compiler knows."""
        self.train()
        yield

    def adopt(self, other: Model) -> None:
        """Begin with the weights and statistics of a trained model of the same kind and size.

        Raises:
            ValueError: it has other weights.
        """
        try:
            self.load_state_dict(other.state_dict())
        except RuntimeError as error:
            raise ValueError("its weights are not those of this model") from error

    def fit_shift(self, spins: Tensor, energy: Tensor) -> None:
        """Set the energy per site: no mean error over spins ``(B, N, 3)`` with energies ``(B,)``."""
        with torch.no_grad():
            predicted = torch.cat([self.energy(part) for part in spins.split(SNAPSHOTS)])
            self.energy_shift += (energy - predicted).mean() / spins.shape[1]
