"""The names under which the ledger holds a verdict and what came of it, each of which there is once."""

from __future__ import annotations

from mlops.ledger.store import Entry

__all__ = ["CHOOSING", "judgement", "marking", "promotion"]

CHOOSING = "champion"
"""The lock of whoever looks at the champion and puts another in its place."""


def judgement(registered: Entry, champion: Entry | None) -> str:
    """Name the judgement of a registered version beside a champion, which there is once."""
    return f"judged:{registered.id}:{champion.id if champion else 'first'}"


def promotion(decided: Entry) -> str:
    """Name the promotion that came of a verdict, or of what a person asked for."""
    return f"promoted:{decided.id}"


def marking(decided: Entry) -> str:
    """Name the row that says MLflow was told of a verdict or a promotion."""
    return f"marked:{decided.id}"
