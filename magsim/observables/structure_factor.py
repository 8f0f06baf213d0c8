"""Static spin structure factor on the wavevectors of the lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.fourier import _reciprocal_lattice, _unreduced, cell_transform, squared, wavevectors
from magsim.observables.tables import checked, namespace, table


def _amplitudes(lattice: Lattice, spins: Any) -> Any:
    """``(..., *shape, n_basis, 3)`` Fourier amplitudes of each sublattice, cell origins as positions."""
    spins = checked(lattice, spins)
    cells = spins.reshape(*spins.shape[:-2], lattice.n_cells, lattice.n_basis * 3)
    amplitude = cell_transform(lattice, cells)
    return amplitude.reshape(*amplitude.shape[:-1], lattice.n_basis, 3)


def _basis_phases(lattice: Lattice) -> np.ndarray:
    return np.exp(-1j * wavevectors(lattice) @ lattice.basis.T)[..., None]


def site_amplitudes(lattice: Lattice, spins: Any) -> Any:
    """sum_i S_i exp(-i q . r_i) with the basis sites at their true positions.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        complex ``(..., *shape, 3)``, order of the discrete Fourier transform.
    """
    amplitude = _amplitudes(lattice, spins)
    if lattice.n_basis > 1:
        amplitude = amplitude * table(lattice, "basis phases", _basis_phases, spins)
    return amplitude.sum(-2)


def structure_factor(lattice: Lattice, spins: Any) -> Any:
    """Static structure factor S(q) = (1/N) |sum_i S_i exp(-i q . r_i)|^2.

    The basis sites enter at their true positions, so that for a lattice with a basis S(q) is not periodic in
    the reciprocal lattice; values belong to the first-zone vectors of :func:`magsim.observables.wavevectors`.
    With one site per cell the mean over q is 1 (sum rule).

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., *shape)``, order of the discrete Fourier transform; N at the ordering vector of perfect order.
    """
    return squared(site_amplitudes(lattice, spins)).sum(-1) / lattice.n_sites


def sublattice_structure_factor(lattice: Lattice, spins: Any) -> Any:
    """Sum over sublattices of their own structure factors, (1/N) sum_b |sum_R S_Rb exp(-i q . R)|^2.

    It is periodic in the reciprocal lattice and finds the period of any order, also one that is invisible in
    the first zone (the Neel state of the honeycomb lattice). Mean over q is 1 for every lattice. Equal to
    :func:`structure_factor` for one site per cell.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., *shape)``, order of the discrete Fourier transform.
    """
    return squared(_amplitudes(lattice, spins)).sum((-1, -2)) / lattice.n_sites


def extended_structure_factor(lattice: Lattice, spins: Any, zones: int = 1) -> tuple[np.ndarray, Any]:
    """S(q) repeated over neighbouring zones with the true phases of the basis, for maps.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        zones: reciprocal vectors with indices -zones ... zones are covered.

    Returns:
        ``q (n, d)`` as NumPy array and ``S (..., n)`` as the kind of ``spins``.
    """
    amplitude = _amplitudes(lattice, spins)
    q = _unreduced(lattice)
    shifts = _reciprocal_lattice(lattice, zones)
    values = []
    for index, shift in enumerate(shifts):

        def phases(_: Lattice, shift: np.ndarray = shift) -> np.ndarray:
            return np.exp(-1j * (q + shift) @ lattice.basis.T)[..., None]

        factor = table(lattice, f"phases {zones} {index}", phases, spins)
        intensity = squared((amplitude * factor).sum(-2)).sum(-1) / lattice.n_sites
        values.append(intensity.reshape(*intensity.shape[: -lattice.dim], -1))
    points = (q[None] + shifts.reshape(-1, *(1,) * lattice.dim, lattice.dim)).reshape(-1, lattice.dim)
    return points, namespace(spins).concatenate(values, -1)


def centred(lattice: Lattice, values: Any) -> Any:
    """Move q = 0 of ``(..., *shape)`` to the middle of the array, as ``fftshift``."""
    axes = tuple(range(-lattice.dim, 0))
    return namespace(values).fft.fftshift(values, axes)


def ordering_vector(lattice: Lattice, spins: Any) -> np.ndarray:
    """Wavevector where the frame-averaged sublattice structure factor is largest.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(d,)`` in the first zone, units 1/a; one member of the star where several peaks are equal.
    """
    from magsim.arrays import to_numpy

    intensity = to_numpy(sublattice_structure_factor(lattice, spins)).reshape(-1, lattice.n_cells).mean(0)
    return wavevectors(lattice).reshape(-1, lattice.dim)[int(np.argmax(intensity))]
