"""Growth of domains: size against time, collapse of the structure factor, tail of sharp walls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.observables import PowerLaw, fit_growth
from magsim.report import style
from magsim.report.numbers import number
from magsim.report.series import LINES

GUIDES = {r"$\propto t^{1/2}$": 0.5, r"$\propto t$": 1.0}
"""Laws to compare with: t^1/2 of walls driven by their curvature (Allen and Cahn), t of chiral domains
(arXiv:2403.11705)."""


def domain_growth(
    path: str | Path,
    runs: Mapping[str, tuple[Any, Any]],
    guides: Mapping[str, float] | None = None,
    fit: tuple[float, float] | None = None,
    limit: float | None = None,
) -> Path:
    """Domain size L(t) on logarithmic axes, with fitted and with guiding power laws.

    Args:
        path: figure to write.
        runs: label -> (time ``(T,)``, L ``(T,)`` or ``(T, replicas)`` in lattice constants); replicas give
            mean and band of one standard deviation.
        guides: label -> exponent of guiding lines; default :data:`GUIDES`.
        fit: first and last time of :func:`magsim.observables.fit_growth`; the fit is drawn, its exponent with
            its standard error over replicas is in the legend, the window is shaded.
        limit: size beyond which the lattice is felt, as a line.

    Returns:
        ``path``.
    """
    with style.panels(path, 1, 1, 4.4, 3.4) as (_, axes):
        panel = axes[0, 0]
        curves, laws = [], []
        for index, (label, (time, size)) in enumerate(runs.items()):
            time = np.asarray(time, dtype=float)
            size = np.asarray(size, dtype=float).reshape(len(time), -1)
            time, size = time[time > 0], size[time > 0]
            law = None if fit is None else fit_growth(time, size, fit)
            if law is not None and np.isfinite(law.exponent):
                label = f"{label}, {law_text(law)}"
                laws.append((law, index))
            style.band(panel, time, size, label, index)
            curves.append((time, size.mean(axis=1)))
        for law, index in laws:
            t = np.geomspace(*law.window, 20)
            panel.plot(t, law(t), color=style.colour(index), linewidth=0.9, linestyle=(0, (1, 1.2)), zorder=4)
        if laws:
            _shade(panel, laws[0][0].window)
        _guide_lines(panel, curves, GUIDES if guides is None else guides)
        if limit is not None:
            panel.axhline(limit, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
        panel.set(xscale="log", yscale="log", xlabel=r"time $(\hbar/t)$", ylabel=r"domain size $L$ $(a)$")
        panel.legend(loc="upper left")
        # room for the legend above the curves
        low, high = panel.get_ylim()
        panel.set_ylim(low, high * (high / low) ** (0.07 * (len(runs) + len(panel.lines) - 1)))
    return Path(path)


def _shade(panel: Any, window: tuple[float, float]) -> None:
    panel.axvspan(*window, color="0.5", alpha=0.08, linewidth=0, zorder=0)
    panel.annotate(
        f"fit, {window[0]:.3g} to {window[1]:.3g}",
        (float(np.sqrt(window[0] * window[1])), 0),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        color=style.GREY,
        fontsize=7.5,
    )


def law_text(law: PowerLaw) -> str:
    """``t^n`` with the exponent and its error, in mathtext."""
    return "$t^{\\,%s}$" % law.text.replace("±", r"\pm")  # noqa: UP031  braces of mathtext


def _guide_lines(panel: Any, curves: Sequence[tuple[np.ndarray, np.ndarray]], guides: Any) -> None:
    """Power laws above the last third (on a log axis) of the curves, out of their way."""
    end = max((float(time[-1]) for time, _ in curves), default=1.0)
    start = min((float(time[0]) for time, _ in curves), default=1.0)
    t = np.array([end * (start / end) ** 0.3, end])
    anchor = 1.25 * max((float(np.interp(t[0], time, mean)) for time, mean in curves), default=1.0)
    for index, (label, exponent) in enumerate(guides.items()):
        look = {"color": style.GREY, "linewidth": 1.0, "linestyle": LINES[1 + index % 3]}
        panel.plot(t, anchor * (t / t[0]) ** exponent, label=label, **look)


def scaling_collapse(
    path: str | Path,
    wavenumber: Any,
    spectra: Any,
    length: Any,
    times: Sequence[float],
) -> Path:
    """A structure factor at several times, as it is and scaled by the size of the domains.

    If one length governs the growth in a plane, S(q, t) = L(t)^2 f(q L(t)): the right panel is one curve.
    Sharp walls give it the tail of Porod, f(x) ~ x^-3: Bray, Adv. Phys. 51, 481 (2002),
    doi:10.1080/00018730110117433.

    Args:
        path: figure to write.
        wavenumber: ``(n,)`` in 1/a, zero is left out.
        spectra: ``(T, n)`` averages over directions, see :func:`magsim.observables.radial_average`; over
            replicas as well.
        length: ``(T,)`` domain sizes in lattice constants.
        times: ``(T,)``.

    Returns:
        ``path``.
    """
    import matplotlib as mpl

    q, spectra, length = (np.asarray(v, dtype=float) for v in (wavenumber, spectra, length))
    keep = q > 0
    q, spectra = q[keep], spectra[:, keep]
    colours = mpl.colormaps[style.SEQUENTIAL](np.linspace(0.88, 0.05, len(times)))
    with style.panels(path, 1, 2, 7.4, 3.2) as (_, axes):
        left, right = axes[0]
        for values, size, time, shade in zip(spectra, length, times, colours, strict=True):
            left.plot(q, values, color=shade, linewidth=1.2)
            label = f"t = {number(float(time), 3)}, L = {number(float(size), 3)}"
            right.plot(q * size, values / size**2, color=shade, linewidth=1.2, label=label)
        left.set(xlabel=r"$q$ $(1/a)$", ylabel=r"$S_\chi(q, t)$")
        right.set(xlabel=r"$q\,L(t)$", ylabel=r"$S_\chi(q, t)\,/\,L(t)^2$")
        _porod(left, q, spectra[-1])
        _porod(right, q * length[-1], spectra[-1] / length[-1] ** 2)
        for index, panel in enumerate((left, right)):
            panel.set(xscale="log", yscale="log")
            style.panel_letter(panel, index)
        right.legend(loc="lower left", handlelength=1.0)
    return Path(path)


def _porod(panel: Any, x: np.ndarray, y: np.ndarray) -> None:
    """The law x^-3 above a curve, over two thirds of the decades beyond its maximum."""
    peak = int(np.argmax(y))
    reach = x[-1] / x[peak]
    if reach < 2:
        return
    line = np.geomspace(x[peak] * reach**0.25, x[peak] * reach**0.85, 2)
    anchor = 2.2 * float(np.interp(line[0], x, y))
    panel.plot(line, anchor * (line / line[0]) ** -3, color=style.GREY, linewidth=1.0, linestyle="--")
    middle = float(np.sqrt(line[0] * line[1]))
    panel.annotate(
        r"$\propto q^{-3}$",
        (middle, anchor * (middle / line[0]) ** -3),
        (4, 4),
        textcoords="offset points",
        color=style.GREY,
        fontsize=8,
    )
