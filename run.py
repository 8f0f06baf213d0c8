"""From electrons to learned spin dynamics: ``python run.py --help``."""

from __future__ import annotations

import sys

from magsim.tasks.cli import main

if __name__ == "__main__":
    sys.exit(main())
