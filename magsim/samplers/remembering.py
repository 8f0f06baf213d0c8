"""Labels that the dynamics has just asked for are not computed twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.labelers import Labeler, Labels
from magsim.samplers.base import Before


class Remembering:
    """A labeler that keeps its last answer: the dynamics has just labelled the state that is recorded."""

    def __init__(self, labeler: Labeler) -> None:
        self.hamiltonian = labeler.hamiltonian
        self._labeler = labeler
        self._last: tuple[np.ndarray, Labels] | None = None

    def identity(self) -> dict[str, Any]:
        return self._labeler.identity()

    def label(self, spins: Any) -> Labels:
        known = self.recall(np.asarray(spins))
        if known is not None:
            return known
        labels = self._labeler.label(spins)
        self._last = (np.array(spins), labels)
        return labels

    def remember(self, before: Before) -> None:
        """Take an answer from elsewhere, if there is one."""
        if before.labels is not None:
            self._last = (np.array(before.spins), before.labels)

    def recall(self, spins: np.ndarray) -> Labels | None:
        """The last answer if these were its spins, bit by bit."""
        if self._last is not None and np.array_equal(self._last[0], spins):
            return self._last[1]
        return None
