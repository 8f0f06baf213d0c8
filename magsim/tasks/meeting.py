"""Where processes of one job meet."""

from __future__ import annotations

import socket
from datetime import timedelta

SILENCE = timedelta(minutes=10)  # without an answer from another process: it is dead


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
