"""How a simulation runs: to a trajectory on disk, on one or several processes, watched by exact solutions."""

from __future__ import annotations
