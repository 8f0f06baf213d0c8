"""Nested dissection of a lattice: in which order and in which blocks a sparse matrix is eliminated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

LEAF = 40  # states of a piece that is not cut further
ABSENT = -1


@dataclass(frozen=True, eq=False)
class Level:
    """The pieces of one depth of the dissection, padded to equal size.

    A piece is eliminated once all pieces inside it are. Its ``inner`` states go; its ``outer`` states, which
    belong to pieces that come later, are what the eliminated ones are connected to.

    Attributes:
        inner: ``(n, a)`` indices of states, -1 for padding.
        outer: ``(n, b)`` likewise.
        parent: ``(n,)`` position, in the next level, of the piece that is eliminated next.
        place: ``(n, b)`` position of each outer state among the parent's ``a + b`` states, -1 for padding.
    """

    inner: np.ndarray
    outer: np.ndarray
    parent: np.ndarray
    place: np.ndarray


@dataclass(eq=False)
class _Piece:
    depth: int
    inner: np.ndarray
    parent: _Piece | None
    children: list[_Piece] = field(default_factory=list)
    outer: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.intp))


def dissect(
    pattern: sparse.spmatrix,
    cells: np.ndarray,
    shape: tuple[int, ...],
    periodic: tuple[bool, ...],
    leaf: int = LEAF,
) -> list[Level]:
    """Cut a lattice into halves, and these again, along walls as thick as the longest hop.

    The cost of elimination is that of the walls, ``O(n^3)`` for an n x n lattice with N = n^2 sites, thus
    ``O(N^1.5)`` where diagonalisation takes ``O(N^3)`` and a recursion over columns ``O(N^2)`` (George,
    SIAM J. Numer. Anal. 10, 345, doi:10.1137/0710032). A periodic direction is opened by a first wall.

    Args:
        pattern: square sparse matrix whose non-zeros say which states are connected.
        cells: ``(n_states, dim)`` unit cell of every state.
        shape: number of cells along each direction.
        periodic: whether each direction closes.
        leaf: pieces with fewer states are not cut further.

    Returns:
        levels from the innermost pieces to the last wall, which has no outer states.
    """
    graph = sparse.csr_matrix(pattern)
    pieces: list[_Piece] = []
    reach = _reach(graph, cells, shape, periodic)
    _cut(pieces, np.arange(len(cells)), cells, list(periodic), reach, leaf, None)
    gone = np.zeros(len(cells), dtype=bool)
    for piece in reversed(pieces):  # children come after their parents
        _connect(piece, graph, gone)
    depth = max(piece.depth for piece in pieces)
    by_depth = [[piece for piece in pieces if piece.depth == d] for d in range(depth, -1, -1)]
    return [
        _level(level, by_depth[k + 1] if k + 1 < len(by_depth) else [], len(cells))
        for k, level in enumerate(by_depth)
    ]


def _reach(
    graph: sparse.csr_matrix, cells: np.ndarray, shape: tuple[int, ...], periodic: tuple[bool, ...]
) -> np.ndarray:
    """Longest hop along each direction in cells."""
    edges = graph.tocoo()
    step = np.abs(cells[edges.row] - cells[edges.col])
    around = np.where(periodic, np.minimum(step, np.array(shape) - step), step)
    return np.maximum(around.max(axis=0, initial=0), 1)


def _cut(
    pieces: list[_Piece],
    states: np.ndarray,
    cells: np.ndarray,
    closed: list[bool],
    reach: np.ndarray,
    leaf: int,
    parent: _Piece | None,
) -> None:
    """Cut a box of states by one wall across its longest side, and so on inside what is left."""
    low, high = cells[states].min(axis=0), cells[states].max(axis=0) + 1
    # sides in units of the thinnest wall that separates; a wall needs room on both sides
    sides = np.where(high - low > 2 * reach, (high - low) / reach, 0.0)
    along = int(np.argmax(sides))
    piece = _Piece(0 if parent is None else parent.depth + 1, states, parent)
    pieces.append(piece)
    if parent is not None:
        parent.children.append(piece)
    if len(states) <= leaf or sides[along] == 0.0:
        return
    thick = int(reach[along])
    start = low[along] if closed[along] else (low[along] + high[along] - thick) // 2
    where = cells[states, along]
    piece.inner = states[(where >= start) & (where < start + thick)]
    opened = [c and d != along for d, c in enumerate(closed)]
    for side in (states[where < start], states[where >= start + thick]):
        if len(side):
            _cut(pieces, side, cells, opened, reach, leaf, piece)


def _connect(piece: _Piece, graph: sparse.csr_matrix, gone: np.ndarray) -> None:
    """The states that the eliminated ones are connected to and that come later; marks those that are gone."""
    neighbours = [graph[piece.inner].indices.astype(np.intp), *(child.outer for child in piece.children)]
    gone[piece.inner] = True
    connected = np.unique(np.concatenate(neighbours))
    piece.outer = connected[~gone[connected]]


def _level(pieces: list[_Piece], parents: list[_Piece], n_states: int) -> Level:
    inner, outer = _padded([p.inner for p in pieces]), _padded([p.outer for p in pieces])
    place = np.full(outer.shape, ABSENT)
    parent = np.full(len(pieces), ABSENT)
    if parents:
        a = max(len(p.inner) for p in parents)
        position = {id(p): k for k, p in enumerate(parents)}
        lookup = np.empty(n_states, dtype=np.intp)
        for k, piece in enumerate(pieces):
            above = piece.parent
            assert above is not None
            parent[k] = position[id(above)]
            lookup[above.inner] = np.arange(len(above.inner))
            lookup[above.outer] = a + np.arange(len(above.outer))
            place[k, : len(piece.outer)] = lookup[piece.outer]
    return Level(inner, outer, parent, place)


def _padded(lists: list[np.ndarray]) -> np.ndarray:
    table = np.full((len(lists), max(map(len, lists))), ABSENT)
    for row, values in zip(table, lists, strict=True):
        row[: len(values)] = values
    return table
