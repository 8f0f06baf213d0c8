"""Dynamic structure factor S(q, omega): spin waves, along lines through the Brillouin zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.lattice.brillouin import symmetry_path
from magsim.observables.fourier import wavevectors
from magsim.observables.structure_factor import site_amplitudes
from magsim.observables.tables import is_torch, namespace, table

WINDOWS = ("hann", "hamming", "blackman", "rectangular")
ALONG = 4000  # points of the path that are compared with the wavevectors of the lattice


@dataclass(frozen=True, eq=False)
class Route:
    """The wavevectors of a finite lattice nearest to the lines between its symmetry points.

    Attributes:
        index: ``(n,)`` numbers in the flattened array of wavevectors.
        q: ``(n, d)`` in the first Brillouin zone.
        distance: ``(n,)`` along the path, 1/a.
        names: of the symmetry points and
        ticks: their distances.
    """

    index: np.ndarray
    q: np.ndarray
    distance: np.ndarray
    names: tuple[str, ...]
    ticks: np.ndarray


def route(lattice: Lattice) -> Route:
    """Wavevectors of the lattice along the path through its symmetry points.

    Every wavevector of the lattice that is within half a step of the path appears where the path comes
    nearest to it.
    """
    path = symmetry_path(lattice.vectors, ALONG)
    q = wavevectors(lattice).reshape(-1, lattice.dim)
    # in fractions of the grid of wavevectors the nearest one is found by rounding
    fraction = path.k @ np.linalg.inv(lattice.reciprocal) * np.array(lattice.shape)
    index = np.ravel_multi_index(tuple((np.round(fraction).astype(int) % lattice.shape).T), lattice.shape)
    change = np.nonzero(np.diff(index, prepend=-1))[0]
    off = np.linalg.norm((fraction - np.round(fraction)) / lattice.shape @ lattice.reciprocal, axis=1)
    ends = np.append(change[1:], len(index))
    best = np.array([a + int(np.argmin(off[a:b])) for a, b in zip(change, ends, strict=True)])
    kept = index[best]
    return Route(kept, q[kept], path.distance[best], path.names, path.ticks)


def amplitudes(lattice: Lattice, spins: Any, along: Route | None = None) -> Any:
    """S_q = N^-1/2 sum_i S_i exp(-i q . r_i), basis sites at their true positions.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        along: at these wavevectors; None: :func:`route`.

    Returns:
        complex ``(..., n, 3)``; |S_q|^2 is the structure factor.
    """
    path = along or route(lattice)
    every = site_amplitudes(lattice, spins)
    every = every.reshape(*every.shape[: -lattice.dim - 1], -1, 3)
    # the path is part of the name: a table is kept by its name
    where = table(lattice, f"route {hash(path.index.tobytes())}", lambda _: path.index, spins)
    return every[..., where, :] / lattice.n_sites**0.5


def window_weights(name: str, count: int) -> np.ndarray:
    """``(count,)`` of a window in time: hann, hamming, blackman or rectangular (none).

    Raises:
        ConfigError: another name.
    """
    if name not in WINDOWS:
        raise ConfigError("window", name, f"known windows are {', '.join(WINDOWS)}.")
    if name == "rectangular":
        return np.ones(count)
    # periodic windows: one more point, the last left out
    return {"hann": np.hanning, "hamming": np.hamming, "blackman": np.blackman}[name](count + 1)[:-1]


def dynamic_structure_factor(
    values: Any, interval: float, window: str = "hann", connected: bool = False
) -> tuple[np.ndarray, Any]:
    """S(q, omega) from amplitudes at equal intervals of time.

    S(q, w_k) = dt / (2 pi sum_t w_t^2) sum_c |sum_t w_t S_q^c(t) exp(i w_k t)|^2 with the window w_t. By
    Parseval's theorem its sum over the frequencies times their step 2 pi / (F dt) is the average of S(q, t)
    over the run with weights w_t^2: the integral over omega is the static structure factor.

    Args:
        values: complex ``(F, ..., n, 3)`` from :func:`amplitudes`, F times.
        interval: dt between two of them.
        window: ``hann`` and others trade resolution (about 4 pi / F dt) for the absence of false tails.
        connected: take the mean over time away first: only what moves is left, without the elastic line.

    Returns:
        omega ``(F,)`` increasing, S ``(..., n, F)``.

    Raises:
        ConfigError: fewer than two times, or an unknown window.
    """
    count = len(values)
    if count < 2:
        raise ConfigError("frames", count, "a spectrum needs at least two times.")
    xp = namespace(values)
    weights = window_weights(window, count)
    if connected:
        values = values - values.mean(0)
    shape = (count,) + (1,) * (values.ndim - 1)
    if is_torch(values):
        import torch

        factor: Any = torch.as_tensor(weights, dtype=values.real.dtype, device=values.device)
    else:
        factor = xp.asarray(weights, dtype=values.real.dtype)
    # the inverse transform has exp(+i w t), and divides by the number of times
    spectrum = xp.fft.ifft(values * factor.reshape(shape), None, 0) * count
    power = (spectrum.real**2 + spectrum.imag**2).sum(-1) * (interval / (2 * np.pi * (weights**2).sum()))
    power = xp.fft.fftshift(power, 0) if not is_torch(power) else xp.fft.fftshift(power, (0,))
    omega = 2 * np.pi * np.fft.fftshift(np.fft.fftfreq(count, interval))
    return omega, xp.moveaxis(power, 0, -1)
