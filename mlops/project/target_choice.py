"""Where a project's models run: the targets of the register, and the project's own."""

from __future__ import annotations

import json
import logging
from importlib import import_module

from mlops.config.target_names import AUTO, TARGETS
from mlops.deployment.rollout import Target, TargetContext
from mlops.errors import ConfigError, MlopsError, UnavailableError
from mlops.files import atomic
from mlops.model import user_module

__all__ = ["choose", "every"]

log = logging.getLogger("mlops")

_USED = "targets.json"
"""The classes of the project that `deploy.target` has named."""


def choose(wanted: str, context: TargetContext) -> Target:
    """Return the target that `deploy.target` names; of `AUTO` the first that can be used.

    Raises
    ------
    UnavailableError
        It cannot be used.
    """
    if wanted not in (AUTO, *TARGETS):
        _remember(wanted, context)
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
    """Return every target that can be reached, those of the project's classes that were used here too.

    An engine that comes or goes, or another `deploy.target`, must not hide a service.
    """
    found = []
    for name in dict.fromkeys([*TARGETS, *([wanted] if wanted != AUTO else []), *_remembered(context)]):
        try:
            found.append(_open(name, context))
        except UnavailableError:
            continue
        except MlopsError as exc:
            if name == wanted:
                raise
            log.warning("services of %s, which deploy.target named, are left alone: %s", name, exc)
    return found


def _remembered(context: TargetContext) -> list[str]:
    file = context.home / _USED
    return list(json.loads(file.read_text())) if file.is_file() else []


def _remember(reference: str, context: TargetContext) -> None:
    known = _remembered(context)
    if reference not in known:
        context.home.mkdir(parents=True, exist_ok=True)
        atomic.write_text(context.home / _USED, json.dumps([*known, reference]))


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
