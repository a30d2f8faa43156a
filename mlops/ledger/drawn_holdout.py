"""A holdout that was drawn from a table without a time: its share, and the equal rows on both sides."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DrawnHoldout"]


@dataclass(frozen=True)
class DrawnHoldout:
    """What came of drawing.

    Parameters
    ----------
    rows, held_out, asked
        The rows of the table, those held out, and the share that params.yaml asks for.
    groups, equal_rows
        Groups of equal rows with some that are held out and some that are not, and all rows of these.
    """

    rows: int
    held_out: int
    asked: float
    groups: int = 0
    equal_rows: int = 0

    @property
    def sentence(self) -> str:
        """The share, and which equal rows are on both sides."""
        share = f"{self.held_out:,} of {self.rows:,} rows ({self.held_out / self.rows:.1%}) were held out"
        if not self.groups:
            return f"{share}."
        groups = "1 combination" if self.groups == 1 else f"{self.groups:,} combinations"
        frequent = "is" if self.groups == 1 else "are"
        return (
            f"{share}; {self.equal_rows:,} rows are of {groups} of values that {frequent} too frequent for "
            "one side, so that rows like those held out were fitted."
        )
