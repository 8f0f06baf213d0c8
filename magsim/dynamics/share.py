"""Which sites of a run a process moves."""

from __future__ import annotations

from torch import Tensor


class Share:
    """All sites of the run: there is no other process.

    A process that moves some of them only asks the others where a decision depends on all spins.

    Attributes:
        first: number of the first of its sites in the whole lattice.
    """

    first: int = 0

    def largest(self, value: float) -> float:
        """The largest of the values of all processes."""
        return value

    def largest_of(self, values: Tensor) -> Tensor:
        """The same, element by element."""
        return values

    def total(self, values: Tensor) -> Tensor:
        """The sum of the values of all processes, element by element."""
        return values

    def fault(self, good: Tensor | None) -> tuple[int, int] | None:
        """Replica and site of the first spin that is not good.

        Args:
            good: ``(R, n)`` of the sites of this process; None: all are.

        Returns:
            None: all spins are good.
        """
        if good is None:
            return None
        found = (~good).nonzero()
        return (int(found[0, 0]), int(found[0, 1])) if len(found) else None


WHOLE = Share()


def share_of(field: object) -> Share:
    """Of which sites a field gives the field: those of its attribute ``share``, without one all."""
    return getattr(field, "share", WHOLE)
