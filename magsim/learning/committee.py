"""Which trained models make one committee: their files, what they have in common, their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magsim.errors import ConfigError
from magsim.learning.checkpoint import MODEL_FILE, find_checkpoint, load_checkpoint

Source = str | Path | Sequence[str | Path]


def find_members(source: Source) -> list[Path]:
    """The checkpoint files that a source means, one for each member.

    Args:
        source: a run folder or checkpoint file (one member), a list of them, the folder of a sweep, whose
            jobs are taken in their order, or the folder of a round of active learning.

    Raises:
        ConfigError: nothing there, the same file twice, or a job of a sweep that has no model.
    """
    if not isinstance(source, (str, Path)):
        files = [file for part in source for file in find_members(part)]
        twice = sorted({str(file) for file in files if files.count(file) > 1})
        if twice or not files:
            what = f"names {twice[0]} twice" if twice else "is an empty list"
            raise ConfigError(
                "checkpoint", list(map(str, source)), f"{what}; a committee has distinct members."
            )
        return files
    jobs = _jobs(Path(source).expanduser())
    return [find_checkpoint(job) for job in jobs] if jobs else [find_checkpoint(source)]


def _jobs(folder: Path) -> list[Path]:
    """Run folders ``<number>-<id>`` of a sweep or ``member_<number>`` of a round, by number; none in anything
    else."""
    if members := list(folder.glob(f"member_*/{MODEL_FILE}")):
        return sorted((file.parent for file in members), key=lambda m: int(m.name.split("_")[1]))
    jobs = [
        file.parent for file in folder.glob("*-*/status.json") if file.parent.name.split("-")[0].isdigit()
    ]
    return sorted(jobs, key=lambda job: int(job.name.split("-")[0]))


def committee_facts(source: Source) -> dict[str, Any]:
    """The facts of a checkpoint; of several, what they share.

    ``seen`` are the snapshots that any member saw; ``hash`` is that of the members' hashes in their order.
    Entries that differ (``split``, if members were trained with different ones) are left out.

    Raises:
        ConfigError: nothing there, or members of different lattices or Hamiltonians.
        DataError: a corrupt checkpoint.
    """
    files = find_members(source)
    facts = [load_checkpoint(file)[1] for file in files]
    first = facts[0]
    if len(facts) == 1:
        return first
    for key in ("lattice", "hamiltonian"):
        other = next((k for k, mine in enumerate(facts) if mine.get(key) != first.get(key)), None)
        if other is not None:
            raise ConfigError(
                "checkpoint",
                str(files[other]),
                f"its {key} is {facts[other].get(key)}, that of {files[0]} is {first.get(key)}; the members "
                "of a committee learn the same.",
            )
    shared = {key: value for key, value in first.items() if all(mine.get(key) == value for mine in facts)}
    hashes = [str(mine.get("hash", "")) for mine in facts]
    seen = set().union(*(mine.get("seen", []) for mine in facts))
    return shared | {"seen": sorted(seen), "hash": hashlib.sha256("\n".join(hashes).encode()).hexdigest()}


def source_hash(source: Source) -> str:
    """What identifies a trained field: the hash of its weights, of a committee that of all of them."""
    return str(committee_facts(source).get("hash", ""))
