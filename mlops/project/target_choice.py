"""Deploy targets of a project: those of the register, and the project's own class."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from mlops.config.target_names import AUTO, TARGETS
from mlops.deployment.rollout import Target, TargetContext
from mlops.errors import ConfigError, MlopsError, UnavailableError
from mlops.files import atomic, formats, user_module

__all__ = ["available", "choose"]

log = logging.getLogger("mlops")

_USED = "targets.json"
"""The classes of the project that `deploy.target` has named."""
_FORMAT = 1


def choose(wanted: str, context: TargetContext) -> Target:
    """Return the target that `deploy.target` names; for `AUTO` the first one available.

    Raises
    ------
    UnavailableError
        It is not available.
    """
    if wanted not in (AUTO, *TARGETS):
        _remember(wanted, context)
    if wanted != AUTO:
        return _open(wanted, context)
    *first, last = TARGETS
    for name in first:
        try:
            if check := TARGETS[name].check:
                _load(check)(context)
            return _open(name, context)
        except UnavailableError as exc:
            log.info("%s not available: %s", TARGETS[name].place, exc.message)
    return _open(last, context)


def available(wanted: str, context: TargetContext) -> list[Target]:
    """Return every target that responds, the classes of the project that were used before included.

    An engine that comes or goes, or another `deploy.target`, must not hide a service.
    """
    targets = []
    for name in dict.fromkeys([*TARGETS, *([wanted] if wanted != AUTO else []), *_remembered(context)]):
        try:
            targets.append(_open(name, context))
        except UnavailableError:
            continue
        except MlopsError as exc:
            if name == wanted:
                raise
            log.warning("services of %s, which deploy.target named, are left alone: %s", name, exc)
    return targets


def _remembered(context: TargetContext) -> list[str]:
    file = context.home / _USED
    if not file.is_file():
        return []
    return list(formats.from_json(file.read_text("utf-8"), _FORMAT, where=str(file))["classes"])


def _remember(reference: str, context: TargetContext) -> None:
    known = _remembered(context)
    if reference not in known:
        context.home.mkdir(parents=True, exist_ok=True)
        atomic.write_text(context.home / _USED, formats.to_json({"classes": [*known, reference]}, _FORMAT))


def _open(name: str, context: TargetContext) -> Target:
    if name in TARGETS:
        target: Target = _load(TARGETS[name].adapter)(context)
        return target
    target_class = user_module.load_name(name, context.root, key="deploy.target")
    try:
        opened = target_class(context)
    except TypeError as exc:
        raise ConfigError(
            "deploy.target", value=name, allowed=f"one that takes a TargetContext: {exc}"
        ) from exc
    if not isinstance(opened, Target):
        raise ConfigError("deploy.target", value=name, allowed="a class with what Target lists")
    return opened


def _load(reference: str) -> Callable[[TargetContext], Any]:
    module, _, name = reference.partition(":")
    function: Callable[[TargetContext], Any] = getattr(import_module(module), name)
    return function
