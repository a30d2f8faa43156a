"""What every task of ours has in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE

from mlops.errors import MlopsError, UnexpectedError
from mlops.orchestration.orphans import mark

__all__ = ["run_as_task", "step"]

P = ParamSpec("P")
R = TypeVar("R")
OfProject: TypeAlias = Callable[Concatenate[Path, P], R]

log = logging.getLogger("mlops")
if log.level == logging.NOTSET:
    # Prefect hands on what the library logs and leaves its level at warnings, which are few.
    log.setLevel(logging.INFO)


async def _is_retriable(_task: Any, _run: Any, state: Any) -> bool:
    """Retry what may pass by itself; a refusal or a bad input will not."""
    try:
        await state.aresult()
    except MlopsError as exc:
        return exc.retriable
    except Exception:
        return False
    return False


def step(
    *, name: str, retries: int = 0, timeout: float | None = None
) -> Callable[[OfProject[P, R]], OfProject[P, R]]:
    """Make a function of a project's root a Prefect task with a side effect: never cached, told in the log.

    The process leaves its mark first, so that its run can be ended for it if it is killed.

    Parameters
    ----------
    name
        As people read it in the Prefect UI.
    retries
        How often to try again after an error that says it is retriable.
    timeout
        Seconds.
    """

    def decorate(function: OfProject[P, R]) -> OfProject[P, R]:
        as_task: Any = task(
            name=name,
            task_run_name=lambda: name,  # a template where it is text
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=retries,
            retry_delay_seconds=2,
            retry_condition_fn=_is_retriable if retries else None,
            timeout_seconds=timeout,
        )
        return cast("OfProject[P, R]", as_task(_marked(_told(_explained(function, name), name))))

    return decorate


def run_as_task(name: str, body: Callable[[], None]) -> None:
    """Run a body under a task of this name, as DVC's stages are."""
    as_task: Any = task(name=name, task_run_name=lambda: name, cache_policy=NO_CACHE, persist_result=False)
    as_task(_told(body, name))()


def _explained(function: Callable[P, R], name: str) -> Callable[P, R]:
    """Let what nobody foresaw say where it is told in full: the UI shows the last words alone."""

    @wraps(function)
    def explained(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (MlopsError, TimeoutError):  # Prefect ends a step that takes too long by the latter
            raise
        except Exception as exc:
            raise UnexpectedError(name, exc) from exc

    return explained


def _marked(function: OfProject[P, R]) -> OfProject[P, R]:
    @wraps(function)
    def marked(root: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
        mark(root / ".mlops")
        return function(root, *args, **kwargs)

    return marked


def _told(function: Callable[P, R], name: str) -> Callable[P, R]:
    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.monotonic()
        result = function(*args, **kwargs)
        log.info("%s · %.1f s", name, time.monotonic() - started)
        return result

    return told
