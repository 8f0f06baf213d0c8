"""One thread for every library: tests on shared cores neither crowd each other out nor differ by rounding."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("magsim", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("magsim")
