"""Films of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables import TETRAHEDRAL_CHIRALITY, scalar_chirality, topological_charge_density
from magsim.report import style
from magsim.report.geometry import planar, window
from magsim.report.maps import direction_colours, direction_legend, frame_panel, nearest_points

FRAMES_PER_SECOND = 12
PIXELS = 600  # of the longer side of the map
DPI = 120  # an even number of pixels, which video codecs want, comes from rounding the size below


def write_film(
    path: str | Path,
    lattice: Lattice,
    frames: Iterable[tuple[float, np.ndarray]],
    of: str = "spins",
) -> Path:
    """Spin directions, chirality or topological charge as a film.

    Args:
        path: file to write, ``.gif`` (by Pillow) or ``.mp4`` (by ffmpeg: on the path, or the package
            imageio-ffmpeg).
        lattice: two-dimensional.
        frames: time and spins ``(N, 3)`` of each.
        of: ``spins``, ``chirality`` or ``charge``.

    Returns:
        ``path``.

    Raises:
        ConfigError: the lattice is no plane, or mp4 without ffmpeg.
    """
    planar(lattice, "a film")
    view = window(lattice)
    scale = 4.4 / max(view.width, view.height)
    with saved_frames(path, view.width * scale + 1.5, view.height * scale + 0.8) as (figure, grab):
        paint = None
        for time, spins in frames:
            if paint is None:
                paint = _Painter(figure, lattice, of)
            paint(time, spins)
            grab()
    return Path(path)


@contextmanager
def saved_frames(path: str | Path, width: float, height: float) -> Iterator[tuple[Any, Callable[[], None]]]:
    """A styled figure of about this size in inches, and what takes it into the film as it is.

    Raises:
        ConfigError: mp4 without ffmpeg.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    settings: Any = mpl.rcParams
    with mpl.rc_context():
        mpl.rcdefaults()
        settings.update(style.STYLE)
        writer = _writer(path)
        even = [2 * round(side * DPI / 2) / DPI for side in (width, height)]
        figure = Figure(figsize=(even[0], even[1]), layout="constrained")
        FigureCanvasAgg(figure)
        path.parent.mkdir(parents=True, exist_ok=True)
        with writer.saving(figure, str(path), DPI):
            yield figure, writer.grab_frame


def _writer(path: Path) -> Any:
    import matplotlib as mpl
    from matplotlib.animation import FFMpegWriter, PillowWriter

    if path.suffix == ".gif":
        return PillowWriter(fps=FRAMES_PER_SECOND)
    settings: Any = mpl.rcParams
    if shutil.which("ffmpeg") is None:
        try:
            import imageio_ffmpeg

            settings["animation.ffmpeg_path"] = imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError):  # the package has no program for every platform
            words = "needs ffmpeg on the path or the package imageio-ffmpeg; gif needs neither."
            raise ConfigError("task.film", path.suffix.lstrip("."), words) from None
    return FFMpegWriter(
        fps=FRAMES_PER_SECOND, codec="libx264", extra_args=["-pix_fmt", "yuv420p", "-crf", "18"]
    )


class _Painter:
    """Draws the first frame, and then only what changes."""

    def __init__(self, figure: Any, lattice: Lattice, of: str) -> None:
        self._lattice, self._of = lattice, of
        view = window(lattice)
        points = lattice.positions
        if of != "spins":
            triangles = lattice.triangles() if of == "chirality" else lattice.triangulation()
            points = lattice.triangle_centres(triangles)
        self._index, distance, extent = nearest_points(lattice, points, view, PIXELS)
        self._empty = distance >= (1.2 if of == "spins" else 0.8)
        if of == "spins":
            panel, legend = figure.subplots(1, 2, width_ratios=[view.width, 0.2 * view.width])
            direction_legend(legend)
        else:
            panel = figure.subplots()
        blank = np.zeros((*self._index.shape, 3) if of == "spins" else self._index.shape)
        self._artist = panel.imshow(blank, extent=extent, origin="lower", interpolation="antialiased")
        if of != "spins":
            limit = float(TETRAHEDRAL_CHIRALITY) if of == "chirality" else 0.25
            self._artist.set(cmap=style.diverging(), clim=(-limit, limit))
            label = r"scalar chirality $\chi$" if of == "chirality" else r"topological charge $\Omega/4\pi$"
            bar = figure.colorbar(self._artist, ax=panel, shrink=0.8, extend="both", label=label)
            bar.outline.set_linewidth(0.6)
        frame_panel(panel, view, "t = 0")
        self._title = panel.title

    def __call__(self, time: float, spins: np.ndarray) -> None:
        if self._of == "spins":
            image = direction_colours(spins)[self._index]
            image[self._empty] = 1.0
        else:
            field = scalar_chirality if self._of == "chirality" else topological_charge_density
            image = np.where(self._empty, np.nan, field(self._lattice, spins)[self._index])
        self._artist.set_data(image)
        self._title.set_text(f"t = {time:.4g}")
