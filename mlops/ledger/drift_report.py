"""What one window of served rows showed: each column's drift, and the quality by the labels that came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlops.errors import shown
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow

__all__ = ["ColumnVerdict", "DriftReport"]


@dataclass(frozen=True)
class ColumnVerdict:
    """One column's statistic and what it means."""

    column: str
    statistic: str
    value: float | None
    threshold: float | None
    verdict: Literal["ok", "drift", "insufficient", "invalid"]
    note: str = ""


@dataclass(frozen=True)
class DriftReport:
    """What one window showed, column by column.

    `share` is the part of the columns that could be judged which drifted; `drifted` says
    whether that is enough for the window to count.
    """

    window: ServedWindow
    reference_rows: int
    columns: tuple[ColumnVerdict, ...]
    share: float
    drifted: bool
    quality: QualityVerdict | None = None

    @property
    def judged(self) -> tuple[ColumnVerdict, ...]:
        """The columns of which something could be said."""
        return tuple(column for column in self.columns if column.verdict in ("ok", "drift"))

    @property
    def raised(self) -> bool:
        """Whether the window speaks for a new model: its columns drifted, or its loss is worse."""
        return self.drifted or (self.quality is not None and self.quality.state == "worse")

    @property
    def unknown(self) -> bool:
        """Whether nothing could be said of the window, neither of a column nor of its loss."""
        return not self.judged and (self.quality is None or not self.quality.known)

    @property
    def remarks(self) -> tuple[str, ...]:
        """A line for each invalid column, and for each drifted one with a note: for its owner."""
        verbs = {"invalid": "is invalid", "drift": "drifted"}
        return tuple(
            f"{c.column} {verbs[c.verdict]}: {c.note}." for c in self.columns if c.note and c.verdict in verbs
        )

    def sentence(self, *, confirmed: bool) -> str:
        """Return the verdict and what the window showed, the columns by how far they moved."""
        findings = self._moved() if self.judged else self._why_not_judged()
        if broken := self.named("invalid"):
            findings += f"; invalid: {shown(broken)}"
        calm = "No drift" if self.judged else "Unknown"
        verdict = "Drift is confirmed" if confirmed else "Drift, not confirmed" if self.raised else calm
        quality = f"; {self.quality.text}" if self.quality is not None else ""
        return f"{verdict}: {findings}, in {self.window.rows:,} rows{quality}."

    def _moved(self) -> str:
        moved = sorted((c for c in self.judged if c.verdict == "drift"), key=lambda c: -(c.value or 0.0))
        names = f" ({shown([column.column for column in moved], 4)})" if moved else ""
        return f"{len(moved)} of {len(self.judged)} columns drifted{names}"

    def _why_not_judged(self) -> str:
        notes = dict.fromkeys(column.note for column in self.columns if column.verdict == "insufficient")
        return "; ".join(notes) or "no column could be judged"

    def named(self, verdict: str) -> tuple[str, ...]:
        """Return the columns with this verdict."""
        return tuple(column.column for column in self.columns if column.verdict == verdict)
