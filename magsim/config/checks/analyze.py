"""Which trajectory ``task=analyze`` reads, and what it writes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from shutil import which

from omegaconf import DictConfig

from magsim.config.checks.require import not_negative, one_of, require, value_of

EXPORTS = ("ovf", "spirit", "xyz", "vtk")
FILMS = ("gif", "mp4")
FILM_OF = ("spins", "chirality", "charge")


def check_analyze(cfg: DictConfig) -> None:
    """A trajectory that exists; formats that exist."""
    words = "task=analyze needs a trajectory or the folder of the run that made it."
    require(cfg, "task.path", cfg.task.path is not None, words)
    path = Path(cfg.task.path).expanduser()
    found = (path / "zarr.json").is_file() or (path / "trajectory.zarr").is_dir()
    require(cfg, "task.path", found, f"holds no trajectory (looked at {path.resolve()}).")
    times = value_of(cfg, "task.times")
    ordered = times is None or (len(times) == 2 and 0 <= times[0] <= times[1])
    require(cfg, "task.times", ordered, "must be null or two times, [t1,t2] with 0 <= t1 <= t2.")
    export = value_of(cfg, "task.export")
    allowed = set(export) <= set(EXPORTS) and len(set(export)) == len(export)
    require(cfg, "task.export", allowed, f"must be a list out of {', '.join(EXPORTS)}, each at most once.")
    not_negative(cfg, "task.replica")
    one_of(cfg, "task.precision", ("binary", "text"))
    one_of(cfg, "task.film_of", FILM_OF)
    if cfg.task.film is not None:
        one_of(cfg, "task.film", FILMS)
    if cfg.task.film == "mp4":
        found = which("ffmpeg") is not None or find_spec("imageio_ffmpeg") is not None
        words = "needs ffmpeg on the path or the package imageio-ffmpeg; gif needs neither."
        require(cfg, "task.film", found, words)
