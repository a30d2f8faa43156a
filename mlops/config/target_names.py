"""`deploy.target` of params.yaml: the register of the places that a model may be served in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops.config.source_params import FILE_AND_NAME

__all__ = ["AUTO", "TARGETS", "TargetEntry", "check_target", "describe_target"]

AUTO = "auto"
"""The first of `TARGETS` that can be used."""


@dataclass(frozen=True)
class TargetEntry:
    """A place that a model may be served in.

    Parameters
    ----------
    adapter
        ``module:function``, which takes a `mlops.deployment.rollout.TargetContext` and returns the `Target`;
        raises `UnavailableError` if its backend does not respond.
    place
        What a person calls it.
    check
        ``module:function``, which takes the context too and raises `UnavailableError` if a service cannot be
        started: `AUTO` skips the target then.
    """

    adapter: str
    place: str
    check: str | None = None


TARGETS: dict[str, TargetEntry] = {
    "docker": TargetEntry(
        "mlops.adapters.targets.docker:open_target",
        "a container",
        check="mlops.adapters.targets.docker:check_base",
    ),
    "process": TargetEntry("mlops.adapters.targets.process:open_target", "a process"),
}


def check_target(name: str) -> str:
    """Return a target's name where it is one.

    Raises
    ------
    ValueError
        It is neither `AUTO`, nor of `TARGETS`, nor names a class of the project.
    """
    if name != AUTO and name not in TARGETS and not re.match(FILE_AND_NAME, name):
        raise ValueError(f"{', '.join([AUTO, *TARGETS])}, or FILE.py:NAME for a class of the project")
    return name


def describe_target(name: str) -> str:
    """Return what a person calls the place that a service runs in."""
    return TARGETS[name].place if name in TARGETS else name
