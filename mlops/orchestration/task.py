"""The decorator of every task: run mark, log line, retries, unexpected errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE

from mlops.addresses import mask_logs
from mlops.errors import MlopsError, UnexpectedError
from mlops.files import private
from mlops.files.shortage import find_shortage
from mlops.orchestration.orphans import mark

__all__ = ["run_as_task", "step"]

P = ParamSpec("P")
R = TypeVar("R")
OfProject: TypeAlias = Callable[Concatenate[Path, P], R]

mask_logs()  # here, because a run that the runner starts begins by loading the flow's file
_OF_SERVERS = ("mlflow", "prefect")
"""Folders of .mlops whose files servers write, with a umask of their own."""

log = logging.getLogger("mlops")
if log.level == logging.NOTSET:
    # Prefect forwards the library's log records, but leaves its level at WARNING.
    log.setLevel(logging.INFO)


async def _is_retriable(_task: Any, _run: Any, state: Any) -> bool:
    """Retry errors that may pass; a rejection or invalid input will not."""
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
    """Make a function of a project's root a Prefect task with side effects: never cached, timed in the log.

    The process writes its mark first, so that the run can be ended if the process is killed.

    Parameters
    ----------
    name
        As shown in Prefect's UI.
    retries
        How often to retry after a retriable error.
    timeout
        Seconds.
    """

    def decorate(function: OfProject[P, R]) -> OfProject[P, R]:
        as_task: Any = task(
            name=name,
            task_run_name=lambda: name,  # a string would be a template
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=retries,
            retry_delay_seconds=2,
            retry_condition_fn=_is_retriable if retries else None,
            timeout_seconds=timeout,
        )
        return cast("OfProject[P, R]", as_task(_marked(_timed(_wrap_unexpected(function, name), name))))

    return decorate


def run_as_task(name: str, body: Callable[[], None]) -> None:
    """Run a function as a task of this name, as for DVC's stages."""
    as_task: Any = task(name=name, task_run_name=lambda: name, cache_policy=NO_CACHE, persist_result=False)
    as_task(_timed(_say_shortage(body), name))()


def _wrap_unexpected(function: OfProject[P, R], name: str) -> OfProject[P, R]:
    """Raise unforeseen errors with a hint to the full log: the UI shows only the last line.

    Where the machine ran out of something, that is the error, whatever met it.
    """

    @wraps(function)
    def wrapped(root: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(root, *args, **kwargs)
        except TimeoutError:  # Prefect raises it in a task that exceeds its time-out
            raise
        except Exception as exc:
            if shortage := find_shortage(exc, root):
                raise shortage from exc
            if isinstance(exc, MlopsError):
                raise
            raise UnexpectedError(name, exc) from exc

    return wrapped


def _say_shortage(body: Callable[[], None]) -> Callable[[], None]:
    @wraps(body)
    def wrapped() -> None:
        try:
            body()
        except Exception as exc:
            if shortage := find_shortage(exc, Path.cwd()):
                raise shortage from exc
            raise

    return wrapped


def _marked(function: OfProject[P, R]) -> OfProject[P, R]:
    @wraps(function)
    def marked(root: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
        home = root / ".mlops"
        mark(home)
        try:
            return function(root, *args, **kwargs)
        finally:  # whatever wrote there: DVC, git, a client library
            private.tighten(home, skip=_OF_SERVERS)

    return marked


def _timed(function: Callable[P, R], name: str) -> Callable[P, R]:
    @wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.monotonic()
        result = function(*args, **kwargs)
        log.info("%s · %.1f s", name, time.monotonic() - started)
        return result

    return timed
