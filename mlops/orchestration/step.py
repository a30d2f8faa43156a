"""What every task of ours has in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE

from mlops.errors import MlopsError

__all__ = ["run_as_task", "step"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("mlops")


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
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a Prefect task with a side effect: never cached, told in the log.

    Parameters
    ----------
    name
        As people read it in the Prefect UI.
    retries
        How often to try again after an error that says it is retriable.
    timeout
        Seconds.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        as_task: Any = task(
            name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=retries,
            retry_delay_seconds=2,
            retry_condition_fn=_is_retriable if retries else None,
            timeout_seconds=timeout,
        )
        return cast("Callable[P, R]", as_task(_told(function, name)))

    return decorate


def run_as_task(name: str, body: Callable[[], None]) -> None:
    """Run a body under a task of this name, as DVC's stages are."""
    as_task: Any = task(name=name, cache_policy=NO_CACHE, persist_result=False)
    as_task(_told(body, name))()


def _told(function: Callable[P, R], name: str) -> Callable[P, R]:
    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.monotonic()
        result = function(*args, **kwargs)
        log.info("%s · %.1f s", name, time.monotonic() - started)
        return result

    return told
