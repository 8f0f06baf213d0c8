"""Where the blocks of a dissected matrix lie in memory, and where each element goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

from magsim.labelers.greens.dissection import ABSENT, Level

Array = Any

OFF_PATTERN = "an element that is asked for does not lie on the pattern of the matrix."


@dataclass(frozen=True, eq=False)
class Front:
    """Where the entries of one level's blocks lie in a flat buffer of ``size + 1`` numbers, the last unused.

    The buffer holds, for the n pieces of the level, inner x inner, inner x outer, outer x inner and outer x
    outer blocks, one after the other.
    """

    n: int
    a: int
    b: int
    source: Array  # elements of H that are eliminated here ...
    target: Array  # ... and where they go
    diagonal: Array  # positions of the diagonal of inner x inner
    padding: Array  # those of them that belong to no state
    to_parent: Array  # (n*b*b,) where outer x outer goes in the parent's buffer
    wanted: Array  # positions of the elements of the inverse that are asked for ...
    position: Array  # ... and which of those asked for they are
    passed_on: bool  # whether anything needs outer x inner of the inverse

    @property
    def size(self) -> int:
        return self.n * (self.a + self.b) ** 2

    def blocks(self, buffer: Array) -> tuple[Array, Array, Array, Array]:
        """The four stacks of blocks as views of a buffer ``(P, size + 1)``."""
        n, a, b = self.n, self.a, self.b
        shapes = ((n, a, a), (n, a, b), (n, b, a), (n, b, b))
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in shapes]).tolist()
        views = [
            buffer[:, ends[k] : ends[k + 1]].reshape(len(buffer), *shape) for k, shape in enumerate(shapes)
        ]
        return views[0], views[1], views[2], views[3]


def make_fronts(
    pattern: sparse.csr_matrix,
    levels: Sequence[Level],
    rows: np.ndarray,
    columns: np.ndarray,
    xp: ModuleType = np,
) -> list[Front]:
    """One front for each level, its index arrays on the device of ``xp``; see
    :class:`magsim.labelers.greens.selected_inverse.SelectedInverse` for the arguments."""
    n_states = pattern.shape[0]
    level_of = np.empty(n_states, dtype=np.intp)
    for k, level in enumerate(levels):
        level_of[level.inner[level.inner >= 0]] = k
    h_rows = np.repeat(np.arange(n_states), np.diff(pattern.indptr))
    h_columns = pattern.indices.astype(np.intp)
    h_level = np.minimum(level_of[h_rows], level_of[h_columns])
    wanted_level = np.minimum(level_of[rows], level_of[columns])
    fronts = []
    for k, level in enumerate(levels):
        locate = _Locator(level, n_states)
        source, position = np.flatnonzero(h_level == k), np.flatnonzero(wanted_level == k)
        n, a = level.inner.shape
        diagonal = (np.arange(n)[:, None] * a * a + np.arange(a) * (a + 1)).ravel()
        positions = {
            "source": source,
            "target": locate(h_rows[source], h_columns[source]),
            "diagonal": diagonal,
            "padding": diagonal[level.inner.ravel() < 0],
            "to_parent": _to_parent(level, levels[k + 1]) if k + 1 < len(levels) else np.empty(0, np.intp),
            "wanted": locate(rows[position], columns[position]),
            "position": position,
        }
        arrays = {name: xp.asarray(values) for name, values in positions.items()}
        b = level.outer.shape[1]
        below = (positions["wanted"] >= n * a * (a + b)) & (positions["wanted"] < n * a * (a + 2 * b))
        fronts.append(Front(n=n, a=a, b=b, passed_on=k > 0 or bool(below.any()), **arrays))
    return fronts


class _Locator:
    """Positions of matrix elements in the buffer of one level, by their row and column."""

    def __init__(self, level: Level, n_states: int) -> None:
        (self.n, self.a), self.b = level.inner.shape, level.outer.shape[1]
        self.piece = np.full(n_states, ABSENT)
        self.place = np.full(n_states, ABSENT)
        piece, place = np.nonzero(level.inner >= 0)
        self.piece[level.inner[piece, place]] = piece
        self.place[level.inner[piece, place]] = place
        # outer states belong to several pieces: looked up by (piece, state)
        piece, place = np.nonzero(level.outer >= 0)
        key = piece * n_states + level.outer[piece, place]
        order = np.argsort(key)
        self.key, self.key_place, self.n_states = key[order], place[order], n_states

    def __call__(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        inner_row, inner_column = self.piece[rows] >= 0, self.piece[columns] >= 0
        piece = np.where(inner_row, self.piece[rows], self.piece[columns])
        if (inner_row & inner_column & (self.piece[rows] != self.piece[columns])).any():
            raise ValueError(OFF_PATTERN)
        r = np.where(inner_row, self.place[rows], self._outer(piece, rows, inner_row))
        c = np.where(inner_column, self.place[columns], self._outer(piece, columns, inner_column))
        return _flat(self.n, self.a, self.b, piece, r, c, inner_row, inner_column)

    def _outer(self, piece: np.ndarray, states: np.ndarray, skip: np.ndarray) -> np.ndarray:
        if len(self.key) == 0:
            return np.zeros_like(states)
        found = np.minimum(np.searchsorted(self.key, piece * self.n_states + states), len(self.key) - 1)
        if not (skip | (self.key[found] == piece * self.n_states + states)).all():
            raise ValueError(OFF_PATTERN)
        return self.key_place[found]


def _flat(
    n: int,
    a: int,
    b: int,
    piece: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    inner_row: np.ndarray,
    inner_column: np.ndarray,
) -> np.ndarray:
    """Position in a front's buffer of element (row, column) of a piece, each counted in its own set."""
    height, width = np.where(inner_row, a, b), np.where(inner_column, a, b)
    start = np.where(
        inner_row,
        np.where(inner_column, 0, n * a * a),
        np.where(inner_column, n * a * (a + b), n * a * (a + 2 * b)),
    )
    return start + piece * height * width + row * width + column


def _to_parent(level: Level, above: Level) -> np.ndarray:
    (n, a), b = above.inner.shape, above.outer.shape[1]
    waste = n * (a + b) ** 2
    row, column = level.place[:, :, None], level.place[:, None, :]
    inner_row, inner_column = row < a, column < a
    flat = _flat(
        n,
        a,
        b,
        level.parent[:, None, None],
        np.where(inner_row, row, row - a),
        np.where(inner_column, column, column - a),
        inner_row,
        inner_column,
    )
    # half the memory traffic of the moves that follow
    narrow = np.int32 if waste < 2**31 else np.int64
    return np.where((row >= 0) & (column >= 0), flat, waste).ravel().astype(narrow)
