"""Run folders: where they lie, their small files, and what state a run is in."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from magsim.errors import DataError

CHECKOUT = Path(__file__).resolve().parents[2]


def outputs_root() -> Path:
    """Folder of all run folders and datasets: ``$MAGSIM_OUTPUTS``, or ``outputs`` beside ``run.py``."""
    given = os.environ.get("MAGSIM_OUTPUTS")
    return Path(given).expanduser().resolve() if given else CHECKOUT / "outputs"


def dataset_folder(key: str) -> Path:
    """Where the dataset with this key (hash of what determines it) lies, whether it exists or not."""
    return outputs_root() / "datasets" / key


def new_id() -> str:
    """Eight hexadecimal digits, from the system's entropy: equal seeds still are different runs."""
    return secrets.token_hex(4)


def id_of(folder: Path) -> str | None:
    """The id at the end of a folder's name, if there is one."""
    found = re.search(r"-([0-9a-f]{8})$", folder.name)
    return found[1] if found else None


def stamp() -> str:
    """Local time as ``20250131-235959``; sorts by age."""
    return datetime.now().strftime("%Y%m%d-%H%M%S")


def new_run_folder(task: str, name: str, run_id: str) -> Path:
    """``outputs/<task>/<name>/<stamp>-<id>``, not created yet."""
    return outputs_root() / task / name / f"{stamp()}-{run_id}"


def write_text(path: str | Path, text: str) -> None:
    """Replace a file at once: a killed process leaves the old file or the new one, never half of it."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Atomically write JSON; numbers of NumPy and torch become plain ones, the rest its text."""
    write_text(path, json.dumps(content, indent=2, default=_plain) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: the file is missing or not JSON.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(path, "is not a JSON object")
    return content


def read_status(folder: str | Path) -> dict[str, Any]:
    """``status.json`` of a run folder, with the truth about runs that were killed.

    A killed process cannot write that it failed. A status ``running`` whose process no longer lives on this
    machine is reported as ``failed`` with the reason ``killed``. One of another machine stays ``running``:
    from here nobody can tell.
    """
    status = read_json(Path(folder) / "status.json")
    here = status.get("host") == socket.gethostname()
    if status.get("status") == "running" and here and not _lives(status.get("pid", -1), status.get("born")):
        status |= {"status": "failed", "reason": "killed; resume=<this folder> continues it"}
    return status


def born(pid: int) -> int | None:
    """When a process started (clock ticks since boot), which tells it from a later one with the same number;
    None where the system does not say."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str]:
    """Fields 3, 4, ... of ``/proc/<pid>/stat`` (proc(5)); the second, a name, may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _lives(pid: int, since: int | None) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # it lives, and belongs to someone else
    except (OSError, ValueError):
        return False
    fields = _stat(pid)
    if not fields:
        return True
    zombie = fields[0] == "Z"  # it has ended, its parent just has not asked
    return not zombie and since in (None, int(fields[19]))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
