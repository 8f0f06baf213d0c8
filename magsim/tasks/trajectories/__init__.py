"""What is made of a trajectory: figures, pages, comparisons with references, files for other programs."""

from __future__ import annotations
