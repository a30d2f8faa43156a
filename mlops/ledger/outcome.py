"""How a flow ended, in words for a person."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a flow returns.

    Parameters
    ----------
    text
        A sentence.
    refused
        A gate or a policy said no. Nothing failed: a refusal is a success of the gate.
    """

    text: str
    refused: bool = False

    def __str__(self) -> str:
        return self.text
