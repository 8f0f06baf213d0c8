"""The one idea of the package: an effective field is a function from spins to (energy, field).

Dynamics, evaluation and benchmarks take any of them and do not know which it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from magsim.errors import ConfigError
from magsim.labelers.labels import joined
from magsim.spins import transverse

if TYPE_CHECKING:
    from magsim.hamiltonian.classical import ClassicalHamiltonian
    from magsim.labelers.labels import Labeler, Labels
    from magsim.lattice import Lattice

Array = TypeVar("Array", np.ndarray, torch.Tensor)

NO_BIAS = (
    "knows no bias; exact fields of hamiltonian=driven do, and models that were trained with the voltage as "
    "an input."
)


class EffectiveField(ABC):
    """``energy, field = f(spins)`` for ``spins`` ``(..., N, 3)``, ``energy`` ``(...)``, ``field``
    ``(..., N, 3)``.

    NumPy arrays give NumPy arrays and torch tensors give tensors on the same device, in the dtype of the
    spins. ``energy`` is the total of each configuration and ``field`` is ``-dE/dS`` in units of the hopping;
    only its part transverse to the spin has a meaning for the dynamics. ``f + g`` adds two fields.

    Attributes:
        n_sites: N.
        name: what it is, for tables and file names.
        conservative: whether the field is the gradient of the energy.
        torque_scale: rms transverse field per component that is known beforehand; 0: unknown.
        takes_voltage: whether it knows a bias, see :meth:`set_voltage`.
        voltage: eV that was set last, one for all configurations or ``(R,)`` one for each; None: never set.
        steady: whether an evaluation of tensors on a GPU is the same kernels every time, without a word to
            the host in between: it can be recorded and replayed.
    """

    n_sites: int
    name: str
    conservative: bool = True
    torque_scale: float = 0.0
    takes_voltage: bool = False
    voltage: float | np.ndarray | None = None
    steady: bool = False

    def __call__(self, spins: Array) -> tuple[Array, Array]:
        """Evaluate.

        Raises:
            ValueError: the last two axes are not ``(n_sites, 3)``.
        """
        if spins.ndim < 2 or tuple(spins.shape[-2:]) != (self.n_sites, 3):
            raise ValueError(
                f"spins have shape {tuple(spins.shape)}; field {self.name} needs (..., {self.n_sites}, 3)."
            )
        return self.evaluate(spins)

    @abstractmethod
    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        """What :meth:`__call__` does once the shape is known to be right."""

    def set_voltage(self, voltage: float | np.ndarray) -> None:
        """Be the field at a bias from now on.

        Args:
            voltage: ``eV = mu_L - mu_R`` in units of the hopping, one number or ``(R,)`` one for each
                configuration of a batch ``(R, N, 3)``.

        Raises:
            ConfigError: the field knows no bias.
        """
        if not self.takes_voltage:
            words = f"field {self.name} {NO_BIAS}"
            raise ConfigError("protocol.V", voltage, words)
        self.voltage = voltage if np.ndim(voltage) else float(voltage)

    def voltages(self, n: int) -> np.ndarray | None:
        """``(n,)`` bias of each configuration of a batch of n; None: never set.

        Raises:
            ValueError: the bias was set for another number of configurations.
        """
        if self.voltage is None:
            return None
        if np.ndim(self.voltage) and np.shape(self.voltage) != (n,):
            raise ValueError(f"voltages of shape {np.shape(self.voltage)} for {n} configurations.")
        return np.broadcast_to(np.asarray(self.voltage, dtype=float), (n,))

    def __add__(self, other: EffectiveField) -> SumField:
        if not isinstance(other, EffectiveField):
            return NotImplemented
        return SumField(self, other)


class ClassicalField(EffectiveField):
    """The field of classical terms."""

    steady = True

    def __init__(self, hamiltonian: ClassicalHamiltonian) -> None:
        self.hamiltonian = hamiltonian
        self.n_sites = hamiltonian.n_sites
        self.name = "classical"

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        return self.hamiltonian.energy_and_field(spins)


class ExactField(EffectiveField):
    """The field of the electrons, solved anew for every configuration by a labeler (in float64 on its own
    device); whether it is conservative its Hamiltonian knows."""

    name = "exact"

    def __init__(self, labeler: Labeler) -> None:
        self.labeler = labeler
        self.n_sites = labeler.hamiltonian.lattice.n_sites
        self.conservative = bool(getattr(labeler.hamiltonian, "conservative", True))
        self.takes_voltage = hasattr(labeler, "with_voltage")
        self._biased: dict[float, Labeler] = {}

    def set_voltage(self, voltage: float | np.ndarray) -> None:
        super().set_voltage(voltage)
        labeler: Any = self.labeler
        known, wanted = self._biased, [float(V) for V in np.unique(voltage)]
        self._biased = {V: known[V] if V in known else labeler.with_voltage(V) for V in wanted}

    def label(self, spins: np.ndarray) -> Labels:
        """Labels of ``(B, N, 3)``, each at its bias."""
        bias = self.voltages(len(spins))
        if bias is None:
            return self.labeler.label(spins)
        values, which = np.unique(bias, return_inverse=True)
        parts = [self._biased[float(V)].label(spins[which == k]) for k, V in enumerate(values)]
        if len(parts) == 1:
            return parts[0]
        order = np.concatenate([np.flatnonzero(which == k) for k in range(len(values))])
        return joined(parts).take(np.argsort(order))

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        if isinstance(spins, torch.Tensor):
            energy, field = self.evaluate(spins.detach().cpu().numpy())
            return torch.from_numpy(energy).to(spins), torch.from_numpy(field).to(spins)
        flat = np.asarray(spins).reshape(-1, self.n_sites, 3)
        labels = self.label(flat)
        # a field that is no gradient (a driven system) has no energy
        energy = np.full(len(flat), np.nan) if labels.energy is None else np.asarray(labels.energy)
        energy = energy.reshape(spins.shape[:-2])
        return energy.astype(spins.dtype, copy=False), np.asarray(labels.field, dtype=spins.dtype).reshape(
            spins.shape
        )


class LearnedField(EffectiveField):
    """The field of a trained network, which is put into evaluation mode: its transverse part, which is what
    it was trained on.

    Args:
        model: ``model(spins (B, N, 3)) -> (energy (B,), field (B, N, 3))``, bound to the lattice of the
            spins, ``model.lattice``. It is evaluated in its own dtype and on its own device; the answer comes
            back in the dtype and on the device of the spins. One with ``takes_voltage`` is also given
            ``voltage=(B,)`` once that is set; one with ``conservative`` False has no energy.
    """

    name = "learned"

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model.eval()
        self.n_sites = self.lattice.n_sites
        self.conservative = bool(getattr(model, "conservative", True))
        weights = next(
            (p for p in [*model.parameters(), *model.buffers()] if p.is_floating_point()), torch.empty(0)
        )
        self.dtype, self.device = weights.dtype, weights.device
        self.torque_scale = float(getattr(model, "energy_scale", 0.0))
        self.takes_voltage = bool(getattr(model, "takes_voltage", False))
        self.steady = not self.takes_voltage  # the bias comes from the host

    @property
    def lattice(self) -> Lattice:
        """That the model is bound to."""
        return self.model.lattice  # type: ignore[return-value]

    def bind(self, lattice: Lattice) -> None:
        """Use the model on another size (or boundary) of the same crystal from now on.

        Raises:
            ConfigError: what the model sees of a site does not fit on the new lattice.
        """
        self.model.bind(lattice)  # type: ignore[operator]
        self.n_sites = lattice.n_sites

    def to(self, device: str) -> None:
        """Move the model to a device."""
        self.model.to(device)
        self.device = torch.device(device)

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        if not isinstance(spins, torch.Tensor):
            energy, field = self.evaluate(torch.from_numpy(np.ascontiguousarray(spins)))
            return energy.numpy(), field.numpy()
        energy, field = self._answer(self.model, spins.reshape(-1, self.n_sites, 3), slice(None))
        return energy.reshape(spins.shape[:-2]), field.reshape(spins.shape)

    def of_sites(self, spins: torch.Tensor, own: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`magsim.models.Model.of_sites`, the field transverse."""
        of_sites: Any = self.model.of_sites
        return self._answer(partial(of_sites, own=own), spins, own)

    def _answer(
        self, evaluate: Callable[..., tuple[torch.Tensor, torch.Tensor]], spins: torch.Tensor, own: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies and transverse fields on the sites ``own`` of spins ``(R, N, 3)``, like the spins."""
        flat = spins.detach().to(dtype=self.dtype, device=self.device).contiguous()
        bias = self.voltages(len(flat))
        known = {} if bias is None else {"voltage": torch.tensor(bias, dtype=self.dtype, device=self.device)}
        energy, field = evaluate(flat, **known)
        return energy.detach().to(spins), transverse(field.detach(), flat[:, own]).to(spins)


class SumField(EffectiveField):
    """The sum of several fields, added in the order they are written (so that sums are reproducible bit by
    bit)."""

    terms: tuple[EffectiveField, ...]

    def __init__(self, *terms: EffectiveField) -> None:
        flat: list[EffectiveField] = []
        for term in terms:  # (a + b) + c is the sum of three, not a sum of a sum
            flat.extend(term.terms if isinstance(term, SumField) else [term])
        if not flat:
            raise ValueError("a sum of fields needs at least one term.")
        if len({term.n_sites for term in flat}) > 1:
            sizes = ", ".join(f"{term.name}: {term.n_sites} sites" for term in flat)
            raise ValueError(f"fields on different lattices cannot be added ({sizes}).")
        self.terms = tuple(flat)
        self.n_sites = flat[0].n_sites
        self.name = "+".join(term.name for term in flat)
        self.conservative = all(term.conservative for term in flat)
        self.torque_scale = max(term.torque_scale for term in flat)
        self.takes_voltage = any(term.takes_voltage for term in flat)
        self.steady = all(term.steady for term in flat)

    def set_voltage(self, voltage: float | np.ndarray) -> None:
        super().set_voltage(voltage)
        for term in self.terms:
            if term.takes_voltage:
                term.set_voltage(voltage)

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        energy, field = self.terms[0].evaluate(spins)
        for term in self.terms[1:]:
            more_energy, more_field = term.evaluate(spins)
            energy, field = energy + more_energy, field + more_field
        return energy, field
