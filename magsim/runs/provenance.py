"""What a run was made of: code, versions, machine, seed."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib import metadata
from typing import Any

from magsim.runs.folder import CHECKOUT, outputs_root, stamp

PACKAGES = (
    "magsim",
    "numpy",
    "scipy",
    "torch",
    "pytorch-lightning",
    "zarr",
    "hydra-core",
    "omegaconf",
    "wandb",
    "cupy-cuda12x",
    "cupy-cuda13x",
)
LONGEST_DIFF = 1_000_000  # characters
MOST_FILES = 1000  # untracked ones that are listed
LARGEST_FILE = 10_000_000  # bytes; of larger ones the size is enough


def provenance(seed: int, device: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Git commit, uncommitted changes, versions, host, device, seed and command line of this process."""
    return {
        "time": stamp(),
        "command": [os.path.basename(sys.argv[0]), *overrides],
        "git": _git(),
        "python": platform.python_version(),
        "versions": _versions(),
        "host": {
            "name": socket.gethostname(),
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "device": _device(device),
        "seed": seed,
        "parents": {},
        "outputs": {},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git() -> dict[str, Any]:
    """Commit and uncommitted changes of the checkout; empty where there is no git."""
    commit = _command("git", "rev-parse", "HEAD")
    if commit is None:
        return {}
    diff = _command("git", "diff", "HEAD") or ""
    status = _command("git", "status", "--porcelain") or ""
    return {
        "commit": commit.strip(),
        "dirty": bool(status.strip()),
        "status": status,
        "diff": diff[:LONGEST_DIFF],
        "untracked": _untracked(),
    }


def _untracked() -> dict[str, str]:
    """sha256 of every file that git neither tracks nor ignores, outputs left out; of large files the size."""
    listed = _command("git", "ls-files", "--others", "--exclude-standard", "-z") or ""
    names = [name for name in listed.split("\0") if name]
    found = {}
    for name in names[:MOST_FILES]:
        path = CHECKOUT / name
        if path.is_relative_to(outputs_root()):
            continue
        try:
            size = path.stat().st_size
            digest = sha256(path.read_bytes()).hexdigest() if size <= LARGEST_FILE else f"{size} bytes"
        except OSError:  # a broken link, a file that just vanished
            digest = "unreadable"
        found[name] = digest
    if len(names) > MOST_FILES:
        found["..."] = f"{len(names) - MOST_FILES} more"
    return found


def _command(*words: str) -> str | None:
    try:
        done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _device(device: str) -> str:
    """The name of the device; torch is asked only if someone has imported it already."""
    torch = sys.modules.get("torch")
    if device != "cpu" and torch is not None and torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name(0)}"
    return device
