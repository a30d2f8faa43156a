"""A flow run: its name in Prefect, and its final state."""

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

__all__ = ["Ended", "Table", "description", "ended", "outcome", "patience", "run_name", "title", "unattended"]

_PATIENCE = 900.0
_REFUSED = "Refused"

Ended: TypeAlias = "State[Outcome]"
"""What a flow returns. The caller of the flow gets the Outcome; Prefect's UI shows its text."""

Table: TypeAlias = Annotated[str, BeforeValidator(str)]
"""A table in a flow's parameters: a file, a folder, a pattern or an address."""


def ended(text: str, *, refused: bool = False) -> Ended:
    """Return the final state of a flow run, with a sentence.

    Parameters
    ----------
    refused
        A gate or a policy rejected. Nothing failed: the run is completed, under the name Refused.
    """
    name = _REFUSED if refused else "Completed"
    return Completed(name=name, message=text, data=Outcome(text, refused))


def outcome(state: State[Any]) -> Outcome:
    """Return the outcome of a run that completed in this state.

    It is read from the state's message: where Prefect's database was busy and took the final state at
    the second try, Prefect returns its own copy of the state, without the data. A person's own flow may
    end without a message, and return anything.
    """
    if state.message:
        return Outcome(state.message, refused=state.name == _REFUSED)
    with suppress(MissingResult):
        return Outcome(f"Ended with {state.result()!r}.")
    return Outcome("Ended.")


def unattended() -> bool:
    """Tell whether Prefect started this run, not a person who waits for the command."""
    return deployment.id is not None


def patience() -> float:
    """Return the seconds to wait for a lock that another run holds.

    A command fails at once; a run that Prefect started waits, because a schedule may start two together.
    """
    return _PATIENCE if unattended() else 1.0


def title() -> str:
    """Name the current run, for ``@flow(flow_run_name=title)``."""
    return run_name(flow_run.flow_name or "", flow_run.parameters, at=flow_run.scheduled_start_time)


def run_name(flow: str, parameters: Mapping[str, Any], *, at: datetime) -> str:
    """Name a run by its parameters, or by its start if it has none.

    Parameters
    ----------
    at
        The planned start, UTC.
    """
    words = [word for key, value in parameters.items() if value and (word := _describe(key, value))]
    return " ".join([flow, *(words or [f"{at:%Y-%m-%d %H:%M} UTC"])])


def description(docstring: str | None) -> str:
    """Return a flow's docstring without its parameters, which Prefect shows in the run form.

    Prefect parses them under ``Args:`` only; flows are not documented in numpydoc for that reason.
    """
    return (docstring or "").partition("\nArgs:\n")[0].strip()


def _describe(key: str, value: Any) -> str:
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
