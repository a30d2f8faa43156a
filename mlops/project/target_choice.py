"""Where a project's models run: the targets of the register, and the project's own."""

from __future__ import annotations

import logging
from contextlib import suppress
from importlib import import_module

from mlops.config.target_names import AUTO, TARGETS
from mlops.deployment.rollout import Target, TargetContext
from mlops.errors import ConfigError, UnavailableError
from mlops.model import user_module

__all__ = ["choose", "every"]

log = logging.getLogger("mlops")


def choose(wanted: str, context: TargetContext) -> Target:
    """Return the target that `deploy.target` names; of `AUTO` the first that can be used.

    Raises
    ------
    UnavailableError
        It cannot be used.
    """
    if wanted != AUTO:
        return _open(wanted, context)
    *first, last = TARGETS
    for name in first:
        try:
            target = _open(name, context)
            target.check()
            return target
        except UnavailableError as exc:
            log.info("%s cannot be used: %s", TARGETS[name].place, exc.message)
    return _open(last, context)


def every(wanted: str, context: TargetContext) -> list[Target]:
    """Return every target that can be reached: an engine that comes or goes must not hide a service."""
    found = []
    for name in dict.fromkeys([*TARGETS, *([wanted] if wanted != AUTO else [])]):
        with suppress(UnavailableError):
            found.append(_open(name, context))
    return found


def _open(name: str, context: TargetContext) -> Target:
    if name in TARGETS:
        module, _, cls = TARGETS[name].adapter.partition(":")
        target: Target = getattr(import_module(module), cls).open(context)
        return target
    own = user_module.load_name(name, context.root, key="deploy.target")
    try:
        return own.open(context)  # type: ignore[no-any-return]
    except AttributeError as exc:
        raise ConfigError("deploy.target", value=name, allowed="a class with the methods of Target") from exc
