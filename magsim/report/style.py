"""One look for every figure: type, sizes, colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#B8A800")
"""Okabe and Ito's colours (https://jfly.uni-koeln.de/color), strongest contrasts first."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
SEQUENTIAL = "viridis"
INTENSITY = "magma"
GREY = "0.45"

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.0,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "image.cmap": SEQUENTIAL,
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def diverging() -> Any:
    """Blue, white, red without the nearly black ends, for signed quantities."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    inner = mpl.colormaps["RdBu_r"](np.linspace(0.06, 0.94, 255))
    return LinearSegmentedColormap.from_list("signed", inner)


def log_ticks(figure: Any) -> None:
    """Ticks of every log axis of a figure that has none of its own."""
    from matplotlib.ticker import FixedLocator

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log" and not isinstance(axis.get_major_locator(), FixedLocator):
                _log_ticks(axis)


def _log_ticks(axis: Any) -> None:
    """At least two labelled ticks on a log axis: powers of ten over many decades, 1, 2, 5 or more of each
    over few, and evenly spaced numbers within a factor of two."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    axis.set_minor_formatter(NullFormatter())
    low, high = sorted(axis.get_view_interval())
    if high / low > 200:
        return
    if high / low > 2:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if high / low < 6 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs))
    else:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_plain_or_power))


def _plain_or_power(value: float, _: int | None = None) -> str:
    """``0.02``, ``2000``; ``2 x 10^-5`` in mathtext where plain digits become many."""
    if value <= 0 or 1e-3 <= value < 1e5:
        return f"{value:g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    power = f"10^{{{int(exponent)}}}"
    return f"${power}$" if float(mantissa) == 1 else f"${float(mantissa):g}\\times {power}$"


def colour(index: int) -> str:
    """Palette colour of the ``index``-th curve."""
    return PALETTE[index % len(PALETTE)]


@contextmanager
def panels(
    path: str | Path, rows: int, columns: int, width: float, height: float, **options: Any
) -> Iterator[Any]:
    """A styled figure with a grid of panels, written to ``path`` on leaving.

    Uses the figure object directly, not pyplot: no display and no open figures to leak.

    Args:
        path: file to write; its ending chooses the format (png, pdf, svg). Missing folders are made.
        rows, columns: grid of panels.
        width, height: of the whole figure in inches.
        options: further arguments of ``Figure.subplots`` (``sharex``, ``gridspec_kw``, ...).

    Yields:
        ``(figure, axes)`` with ``axes`` an object array ``(rows, columns)``.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path = Path(path)
    settings: Any = mpl.rcParams
    with mpl.rc_context():
        mpl.rcdefaults()
        settings.update(STYLE)
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # type: ignore[union-attr, call-arg]
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)
        log_ticks(figure)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def band(axes: Any, x: Any, values: Any, label: str | None, index: int, **line: Any) -> None:
    """Mean over replicas as a line with the standard deviation as a band.

    Args:
        axes: panel to draw into.
        x: ``(T,)``.
        values: ``(T,)`` or ``(T, R)``; R replicas are averaged.
        label: legend entry.
        index: number of the curve, chooses the colour.
        line: further properties of the line.
    """
    values = np.asarray(values, dtype=float)
    values = values.reshape(len(values), -1)
    mean = values.mean(axis=1)
    style = {"color": colour(index), **line}
    if values.shape[1] > 1:
        spread = values.std(axis=1)
        axes.fill_between(x, mean - spread, mean + spread, color=style["color"], alpha=0.18, linewidth=0)
    axes.plot(x, mean, label=label, **style)


def panel_letter(axes: Any, index: int) -> None:
    """Write (a), (b), ... above the upper left corner of a panel."""
    axes.set_title(f"({chr(ord('a') + index)})", loc="left", fontweight="bold", fontsize=9)
