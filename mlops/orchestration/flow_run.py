"""A flow's run: what it is called in Prefect, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from prefect import State
from prefect.exceptions import MissingResult
from prefect.runtime import deployment, flow_run
from prefect.states import Completed
from pydantic import BeforeValidator

from mlops.errors import shown
from mlops.ledger.outcome import Outcome

__all__ = ["Ended", "Table", "description", "ended", "name_of", "outcome", "patience", "title", "unattended"]

_PATIENCE = 900.0
_REFUSED = "Refused"

Ended: TypeAlias = "State[Outcome]"
"""What a flow returns. Whoever calls the flow gets the Outcome; Prefect's UI shows its words."""

Table: TypeAlias = Annotated[str, BeforeValidator(str)]
"""What names a table in a flow's parameters: a file, a folder, a pattern or an address."""


def ended(text: str, *, refused: bool = False) -> Ended:
    """End a flow's run with a sentence.

    Parameters
    ----------
    refused
        A gate or a policy said no. Nothing failed: the run is completed, under the name Refused.
    """
    name = _REFUSED if refused else "Completed"
    return Completed(name=name, message=text, data=Outcome(text, refused))


def outcome(state: State[Any]) -> Outcome:
    """Return how a run ended that was completed in this state.

    The words of the state say it. A Prefect whose database was busy may have taken the end of a run at
    the second try, and then hands back its own copy of the state, which holds nothing else. A person's
    own flow may have ended without words, and given anything.
    """
    if state.message:
        return Outcome(state.message, refused=state.name == _REFUSED)
    with suppress(MissingResult):
        return Outcome(f"Ended with {state.result()!r}.")
    return Outcome("Ended.")


def unattended() -> bool:
    """Tell whether Prefect started this run, rather than a person who waits for the command."""
    return deployment.id is not None


def patience() -> float:
    """Return the seconds to wait for a place that another run holds.

    A person is told at once; what Prefect started waits, for a schedule may start two at one moment.
    """
    return _PATIENCE if unattended() else 1.0


def title() -> str:
    """Name the run that begins, for ``@flow(flow_run_name=title)``."""
    return name_of(flow_run.flow_name or "", flow_run.parameters, at=flow_run.scheduled_start_time)


def name_of(flow: str, parameters: Mapping[str, Any], *, at: datetime) -> str:
    """Name a run by what it was asked, or else by when it was.

    Parameters
    ----------
    at
        When the run was to start, UTC.
    """
    said = [word for key, value in parameters.items() if value and (word := _said(key, value))]
    return " ".join([flow, *(said or [f"{at:%Y-%m-%d %H:%M} UTC"])])


def description(docstring: str | None) -> str:
    """Return a flow's docstring without its parameters, which Prefect tells in the form.

    It reads them under ``Args:`` alone, which is why flows are documented otherwise than the rest.
    """
    return (docstring or "").partition("\nArgs:\n")[0].strip()


def _said(key: str, value: Any) -> str:
    if isinstance(value, datetime):
        return f"as of {value:%Y-%m-%d}" + (f"T{value:%H:%M}" if (value.hour, value.minute) != (0, 0) else "")
    if key == "file":
        return Path(value).name
    if key == "more":
        return shown([Path(each).name for each in value], 2)
    if isinstance(value, bool):
        return f"({key})"
    if isinstance(value, Mapping):
        return "with " + ", ".join(f"{name}={each}" for name, each in value.items())
    return "on drift" if key == "cause" else f"{key} {value}"
