"""One writer at a time for a dataset, also among the jobs of a sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from magsim.errors import MagsimError
from magsim.runs import outputs_root


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the right to write ``path``; a second process waits until the first is done or dead.

    The lock is the operating system's and dies with its holder. Where there is none (Windows), nobody waits.

    Args:
        path: what is to be written; need not exist.
        waiting: called once if another process holds the lock.

    Raises:
        MagsimError: the file system cannot lock.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = outputs_root() / "datasets" / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise MagsimError(f"{folder}: this file system cannot lock files: {error}.") from error
        yield
