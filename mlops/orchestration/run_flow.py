"""Run a flow of the project in this process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from mlops.adapters.prefect_server.environment import folder_tag, project_tags
from mlops.config.project_folder import ProjectFolder
from mlops.errors import UsageError
from mlops.ledger.outcome import Outcome

__all__ = ["load_flow", "run_flow"]


def run_flow(folder: ProjectFolder, name: str, **parameters: Any) -> Outcome:
    """Run a flow of the project in this process; return its outcome."""
    from prefect import State, tags
    from prefect.exceptions import MissingResult

    from mlops.orchestration import flow_run

    flow = load_flow(folder, name)
    flow.fn = _untagged(flow.fn)
    ends: list[State] = []

    def note_end(_flow: Any, _run: Any, state: State) -> None:
        ends.append(state)

    flow.on_completion(note_end)
    with tags(*project_tags(folder), folder_tag(folder)), suppress(MissingResult):  # see `run.outcome`
        flow(**parameters)
    return flow_run.outcome(ends[-1])


def _untagged(body: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a flow run's tags from its tasks.

    Before a tagged task Prefect queries its database for a concurrency slot of each tag; if the database
    is busy, the task waits for seconds.
    """
    from prefect.context import TagsContext

    @wraps(body)
    def untagged(*args: Any, **kwargs: Any) -> Any:
        with TagsContext(current_tags=set()):
            return body(*args, **kwargs)

    return untagged


def load_flow(folder: ProjectFolder, name: str) -> Any:
    """Load ``flows/<name>.py`` by path and return the flow of that name.

    Raises
    ------
    UsageError
        The project has no such flow.
    """
    path = folder.root / "flows" / f"{name}.py"
    if not path.is_file():
        raise UsageError(f"{path} does not exist.", remedy="Restore it from the project's template.")
    spec = importlib.util.spec_from_file_location(f"flows_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Prefect looks a flow's module up by name when it validates parameters.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)
